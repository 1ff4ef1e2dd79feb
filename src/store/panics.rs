//! What sled means when it panics: it unwraps some errors of the system, which are no verdict about bytes.

use std::any::Any;
use std::io;

/// The system's error behind a panic, if it was one. sled unwraps `io::Error`s, whose `Debug` form names the code.
pub fn system_error(panic: &(dyn Any + Send)) -> Option<io::Error> {
    let (_, rest) = text(panic).split_once("code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok().map(io::Error::from_raw_os_error)
}

/// Its message.
pub fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwrapped_error_of_the_system_is_told_from_a_failed_assertion() {
        let unwrapped = std::panic::catch_unwind(|| {
            let full = |code| -> io::Result<()> { Err(io::Error::from_raw_os_error(code)) };
            full(libc::ENOSPC).expect("called on")
        });
        let panic = unwrapped.expect_err("panicked");
        assert_eq!(system_error(&*panic).map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
        let panic = std::panic::catch_unwind(|| assert_eq!(1, 2, "code: none")).expect_err("panicked");
        assert!(system_error(&*panic).is_none() && text(&*panic).contains("code: none"));
    }
}
