//! One message over a byte stream, blocking: written whole, read bounded.

use std::io::{self, ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::limits::PREAMBLE_BYTES_MAX;
use crate::wire::preamble::{self, HEAD_BYTES, Unusable};

/// Why there is no message.
#[derive(Debug)]
pub enum NoMessage {
    /// The other side went, or never spoke.
    Lost(io::Error),
    /// It said something else.
    Unusable(Unusable),
}

/// Writes a message.
pub fn send<T: Serialize>(out: &mut dyn Write, message: &T) -> io::Result<()> {
    out.write_all(&preamble::frame(message)).and_then(|()| out.flush())
}

/// Reads a message.
pub fn receive<T: DeserializeOwned>(input: &mut dyn Read) -> Result<T, NoMessage> {
    receive_up_to(input, PREAMBLE_BYTES_MAX)
}

/// Reads a message that may be longer.
pub fn receive_up_to<T: DeserializeOwned>(input: &mut dyn Read, bytes_max: usize) -> Result<T, NoMessage> {
    let mut head = [0; HEAD_BYTES];
    input.read_exact(&mut head).map_err(NoMessage::Lost)?;
    let bytes = preamble::body_bytes_up_to(&head, bytes_max).map_err(NoMessage::Unusable)?;
    let mut body = vec![0; bytes];
    input.read_exact(&mut body).map_err(NoMessage::Lost)?;
    preamble::parse(&body).map_err(NoMessage::Unusable)
}

impl NoMessage {
    /// Whether the other side simply ended, as one does that stops in good order.
    pub fn is_end(&self) -> bool {
        use ErrorKind as K;
        let ends = [K::UnexpectedEof, K::ConnectionReset, K::BrokenPipe];
        matches!(self, Self::Lost(error) if ends.contains(&error.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::preamble::Verdict;

    #[test]
    fn a_message_arrives_whole_or_not_at_all() {
        let verdict = Verdict::Refused { exit: 11, sentence: "in use".to_owned() };
        let mut bytes = Vec::new();
        send(&mut bytes, &verdict).expect("written");
        assert_eq!(receive::<Verdict>(&mut &bytes[..]).expect("read"), verdict);
        for cut in 0..bytes.len() {
            assert!(receive::<Verdict>(&mut &bytes[..cut]).is_err_and(|error| error.is_end()), "cut at {cut}");
        }
    }
}
