//! HTTP/2 frames in a recorded stream: whether it is made of nothing else, and what its beginning offers.

/// The head of every frame.
const HEAD_BYTES: usize = 9;
/// Types of RFC 9113 and of the extensions that are in use.
const TYPE_MAX: u8 = 0x10;

/// restic takes no larger ones, and no server sends what was not asked for.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// What a server's stream says of its windows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Bytes of a stream.
    pub stream_window: u32,
    /// Bytes of all streams together.
    pub connection_window: u32,
    /// The largest frame it takes.
    pub frame_bytes: u32,
    /// Streams at once.
    pub streams: u32,
}

/// Reads a stream from its first byte; an error when something in it is no frame. The last one may be cut.
pub fn read(stream: &[u8]) -> Result<Offered, String> {
    let mut offered = Offered { stream_window: 65_535, connection_window: 65_535, frame_bytes: 16_384, streams: 0 };
    let (mut at, mut number) = (0, 0);
    while let Some(head) = stream.get(at..at + HEAD_BYTES) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, id) = (head[3], u32::from_be_bytes(head[5..9].try_into().unwrap()));
        let shown = String::from_utf8_lossy(&stream[at..stream.len().min(at + 40)]);
        if kind > TYPE_MAX || length > FRAME_BYTES_MAX || id > 1 << 30 {
            return Err(format!("no frame at byte {at}: {shown:?}"));
        }
        if number == 0 && (kind, id) != (4, 0) {
            return Err(format!("it does not begin with SETTINGS: {shown:?}"));
        }
        let payload = &stream[at + HEAD_BYTES..stream.len().min(at + HEAD_BYTES + length)];
        match kind {
            4 => offered.settings(payload),
            8 if id == 0 && number < 4 => offered.connection_window += u32::from_be_bytes(payload.try_into().unwrap()),
            _ => {}
        }
        at += HEAD_BYTES + length;
        number += 1;
    }
    if number == 0 { Err("not one frame".to_owned()) } else { Ok(offered) }
}

impl Offered {
    fn settings(&mut self, payload: &[u8]) {
        for pair in payload.chunks_exact(6) {
            let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
            match u16::from_be_bytes([pair[0], pair[1]]) {
                3 => self.streams = value,
                4 => self.stream_window = value,
                5 => self.frame_bytes = value,
                _ => {}
            }
        }
    }
}

#[test]
fn a_banner_is_no_frame() {
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 64, 0, 0];
    assert_eq!(read(&settings).map(|offered| offered.stream_window), Ok(4 << 20));
    for planted in ["\n", "rbackup 0.1.0\n", "2026-01-01T00:00:00Z INFO serving\n"] {
        assert!(read(&[planted.as_bytes(), &settings].concat()).is_err(), "{planted:?} before");
        assert!(read(&[&settings, planted.as_bytes(), &settings].concat()).is_err(), "{planted:?} between");
    }
    assert!(read(b"").is_err());
}
