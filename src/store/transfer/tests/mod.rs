//! The stream and the way there and back. Whatever is not exactly what an export wrote must be refused, and must leave nothing.

mod moving;
mod reading;

use super::super::frame::{COMPRESSED, Frame, FrameHeader, FrameKind};
use super::super::header::Counters;
use super::super::{Error, NewFrame, Options, Segment, VolumeLimits};
use super::stream::{Head, Item, StreamReader, StreamWriter};
use crate::model::ChunkId;

const CHUNK_BYTES: [u32; 3] = [1024, 4096, 16384];

/// Small volumes, so that a short history crosses several, of small segments, so that damage stays where it is.
fn options() -> Options {
    Options {
        volume: VolumeLimits { payload_bytes: 30_000, blocks: 200, frames: 20, record_bytes: 8_000 },
        chunk_bytes: CHUNK_BYTES,
        segment: Segment::new(4096).expect("a size of segments"),
        ballast_bytes: Some(0),
        ..Options::DEFAULT
    }
}

/// Bytes of the trailer: its first byte, nine numbers, a hash.
const TRAILER_BYTES: usize = 1 + 9 * 8 + 32;

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn new_frame(kind: FrameKind, id: ChunkId, stored: Vec<u8>) -> NewFrame {
    let raw_len = stored.len() as u32;
    NewFrame { header: FrameHeader { kind, flags: COMPRESSED, stored_len: 0, raw_len, account: 1, seq: 0, id }, stored }
}

/// A small stream without a store.
fn small() -> Vec<u8> {
    let mut stream = Vec::new();
    let mut writer =
        StreamWriter::begin(&mut stream, &Head { store: [1; 16], chunk_bytes: CHUNK_BYTES }).expect("begun");
    for (n, kind) in [FrameKind::Chunk, FrameKind::Manifest, FrameKind::Part].into_iter().enumerate() {
        let it = new_frame(kind, ChunkId([n as u8; 32]), noise(n as u64, 40 + n));
        let header = FrameHeader { stored_len: it.stored.len() as u32, seq: 1, ..it.header };
        writer.frame(&Frame { header, stored: it.stored }).expect("written");
    }
    writer.finish(Counters { seq: 2, version: 3, file: 4, account: 5 }).expect("finished");
    stream
}

/// Reads a stream to its end.
fn read(mut bytes: &[u8]) -> Result<(Vec<Frame>, Counters), Error> {
    let mut stream = StreamReader::open(&mut bytes)?;
    let mut frames = Vec::new();
    loop {
        match stream.item()? {
            Item::Frame(frame) => frames.push(frame),
            Item::End(trailer) => return Ok((frames, trailer.counters)),
        }
    }
}

/// Makes the hash of the whole right again.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - blake3::OUT_LEN;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(hash.as_bytes());
    bytes
}
