//! Rows of text in columns that stand under each other.
//!
//! Never: lets a control character of somebody's name reach the terminal.

/// Between two columns.
const GAP: &str = "  ";

/// A table with its head; nothing for no rows.
pub fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = head.map(str::to_owned);
    let all: Vec<[String; COLUMNS]> =
        std::iter::once(&head).chain(rows).map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join(GAP).trim_end())
    };
    all.iter().map(line).collect()
}

/// Names and values, a line each, the values under each other.
pub fn list(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count() + 1).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{:<width$}{GAP}{}\n", format!("{name}:"), plain(value))).collect()
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["anna".to_owned(), "1".to_owned()], ["o\u{1b}[31m".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME         N\nanna         1\no\\u{1b}[31m\n");
        assert_eq!(table(["NAME"], &[]), "");
        assert_eq!(list(&[("a", "1".to_owned()), ("long", "2".to_owned())]), "a:     1\nlong:  2\n");
    }
}
