//! The machine's users and groups by their names, as its files have them; a number stands for itself.
//!
//! A static binary cannot ask the system's other directories; who keeps people there writes their numbers.

use std::fs;

/// A user's number.
pub fn user(name: &str) -> Option<u32> {
    number(name, "/etc/passwd")
}

/// A group's number.
pub fn group(name: &str) -> Option<u32> {
    number(name, "/etc/group")
}

fn number(name: &str, file: &str) -> Option<u32> {
    match name.parse() {
        Ok(number) => Some(number),
        Err(_) => find(&fs::read_to_string(file).ok()?, name),
    }
}

/// Lines of `name:password:number:…`, in both files.
fn find(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbackup:x:34:34::/:\nbroken\n";
        assert_eq!((find(text, "root"), find(text, "backup")), (Some(0), Some(34)));
        assert_eq!((find(text, "bac"), find(text, "broken"), find(text, "")), (None, None, None));
        assert_eq!((user("1000"), group("root")), (Some(1000), Some(0)));
        assert_eq!(user("-1"), None);
    }
}
