//! What was seen, as a table for people; nothing is judged here.

/// One line.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The file system.
    pub disk: &'static str,
    /// When the disk was filled.
    pub stage: &'static str,
    /// By what.
    pub filled_by: &'static str,
    /// Volumes in the end; more than one or two where they were small.
    pub volumes: usize,
    /// Uploads refused as they should be.
    pub refused: u32,
    /// Accounts listed.
    pub lists: u32,
    /// Versions downloaded, bit for bit.
    pub downloads: u32,
    /// Removals acknowledged.
    pub removals: u32,
    /// Logins and registrations acknowledged.
    pub logins: u32,
    /// From the moment there was room until an upload was taken.
    pub uploads_after_s: Option<f64>,
    /// … until the ballast was whole.
    pub ballast_after_s: Option<f64>,
    /// Changes were refused, and no ballast was left for them.
    pub used_up: bool,
    /// Anything else worth a word.
    pub note: String,
}

/// Prints all of it to stderr.
pub fn print(rows: &[Row]) {
    eprintln!(
        "{:<6} {:<32} {:<14} {:>7} {:>7} {:>6} {:>9} {:>8} {:>7} {:>9} {:>9}  note",
        "disk",
        "stage",
        "filled by",
        "volumes",
        "refused",
        "lists",
        "downloads",
        "removals",
        "logins",
        "uploads s",
        "ballast s"
    );
    let seconds = |taken: Option<f64>| taken.map_or("-".into(), |taken| format!("{taken:.1}"));
    for row in rows {
        eprintln!(
            "{:<6} {:<32} {:<14} {:>7} {:>7} {:>6} {:>9} {:>8} {:>7} {:>9} {:>9}  {}",
            row.disk,
            row.stage,
            row.filled_by,
            row.volumes,
            row.refused,
            row.lists,
            row.downloads,
            row.removals,
            row.logins,
            seconds(row.uploads_after_s),
            seconds(row.ballast_after_s),
            row.note
        );
    }
}
