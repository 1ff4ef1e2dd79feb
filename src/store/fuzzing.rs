//! The doors through which fuzzers reach the decoders of stored bytes. Each takes any bytes and must not panic.

use super::frame::{self, Frame, FrameHeader};
use super::header::{Footer, VolumeHeader};
use super::mark::Mark;
use super::records::Record;
use super::shape::BlockKey;
use super::{block, manifest};

/// Frames, blocks, headers, footers and manifests. True when `bytes` begin with a whole frame, which is written again alike.
pub fn frame(bytes: &[u8]) -> bool {
    let key = BlockKey::of([0; 16]);
    let _ = (block::parse_first(&key, bytes), VolumeHeader::parse(bytes), Footer::parse(bytes), manifest::parse(bytes));
    Frame::parse(bytes).is_some_and(|frame| bytes.starts_with(&frame.encode()))
}

/// Adds the hash that makes a frame's first bytes and content acceptable, so that a fuzzer gets past it.
pub fn with_hash(bytes: &[u8]) -> Vec<u8> {
    let Some((head, rest)) = bytes.split_first_chunk::<{ frame::HEADER_BYTES }>() else { return bytes.to_vec() };
    let stored = FrameHeader::parse(head).and_then(|header| rest.get(..header.stored_len as usize));
    let Some(stored) = stored else { return bytes.to_vec() };
    [&head[..], stored, &frame::hash(head, stored)].concat()
}

/// Records and marks. Some when `bytes` are a record: whether it is written again to something that reads alike.
pub fn record(bytes: &[u8]) -> Option<bool> {
    let _ = Mark::parse(bytes);
    let record = Record::parse(bytes).ok()?;
    let _ = (record.changes(1), record.counters(1));
    let again = record.encode().and_then(|again| Record::parse(&again));
    Some(again.is_ok_and(|again| again == record))
}
