//! Where a volume's frames are listed: in the footer at its own end, or behind its successor's header.
//!
//! Promises: an end that a crash has lost in part, on which nobody has built, is no damage. Never: writes.

use super::error::Error;
use super::frame::FrameKind;
use super::header::Footer;
use super::log::{Cursor, Log};
use super::place::{Address, Place};

impl Log {
    /// The footer of a volume: its own, or the one its successor carries. `None` for a volume that is still open, and for one whose
    /// end, which nobody has built upon, a crash has lost in part.
    pub fn footer(&self, number: u32) -> Result<Option<Footer>, Error> {
        let own = self.own_footer(number);
        if matches!(&own, Ok(Some(_))) || matches!(&own, Err(error) if !error.is_damage()) {
            return own;
        }
        let Some(next) = self.next_there(number) else { return Ok(None) };
        if self.header(next)?.before.volume != number {
            return own;
        }
        match self.footer_in_successor(number, next)? {
            Some(footer) => Ok(Some(footer)),
            None => own,
        }
    }

    /// The footer at a volume's end; present exactly when the volume was sealed in good health.
    pub fn own_footer(&self, number: u32) -> Result<Option<Footer>, Error> {
        let volume = self.volume(number)?;
        let Some(last) = volume.last_block()? else { return Ok(None) };
        let end = match self.read(Place { volume: number, address: Address::new(last, 0) }) {
            Ok(end) => end,
            Err(error) if error.is_damage() => return Ok(None),
            Err(error) => return Err(error),
        };
        let (FrameKind::End, Ok(address)) = (end.header.kind, <[u8; 4]>::try_from(&end.stored[..])) else {
            return Ok(None);
        };
        let footer = self.read(Place { volume: number, address: Address(u32::from_le_bytes(address)) })?;
        Footer::parse(&footer.stored).map(Some)
    }

    fn footer_in_successor(&self, number: u32, successor: u32) -> Result<Option<Footer>, Error> {
        let successor = self.volume(successor)?;
        let mut cursor = Cursor::new(&successor, Address::START);
        cursor.frame()?;
        let frame = match cursor.frame() {
            Ok(frame) => frame,
            Err(error) if error.is_damage() => return Ok(None),
            Err(error) => return Err(error),
        };
        if frame.header.kind != FrameKind::Footer || frame.header.id.0[..4] != number.to_le_bytes() {
            return Ok(None);
        }
        Footer::parse(&frame.stored).map(Some)
    }
}
