//! The end of the log that grows: frames to blocks, blocks to the open volume, one sync for all that waits.
//!
//! Promise: what [`Writer::flush`] returned for is durable and in order. After any error the writer is spent: its volume
//! is never written again, and the next one names the end that was acknowledged.

use std::sync::Arc;

use super::block::{self, BlockHeader};
use super::durable;
use super::error::Error;
use super::frame::{self, Frame, FrameHeader, FrameKind};
use super::header::{Counters, Ending, Entry, Footer, VolumeHeader};
use super::log::Log;
use super::place::{Address, BLOCKS_ADDRESSABLE, Place};
use super::scan;
use super::volume::Volume;
use crate::model::ChunkId;

/// When a volume is full.
#[derive(Debug, Clone, Copy)]
pub struct VolumeLimits {
    /// Bytes of payload; 256 MiB unless a test wants many small volumes.
    pub payload_bytes: u64,
    /// Many small commits make many short blocks; each costs a key, and addresses end at 16 384.
    pub blocks: u32,
    /// Frames: bounds the memory for the footer's lines.
    pub frames: usize,
    /// Bytes of records: the footer repeats them, and must stay one frame.
    pub record_bytes: u64,
}

impl VolumeLimits {
    /// What the product uses.
    pub const DEFAULT: Self =
        Self { payload_bytes: 256 << 20, blocks: 15_000, frames: 150_000, record_bytes: 24 << 20 };
}

/// Blocks kept free behind the limit for the last commit, the footer and the end.
const BLOCKS_SPARE: u32 = 600;
const _: () = assert!(15_000 + BLOCKS_SPARE < BLOCKS_ADDRESSABLE);

/// The end of the log: a volume that is written, or where the last one ended and what its successor must say of it.
pub type Tail = Result<Writer, (Ending, Option<Footer>)>;

/// The writing end of the open volume.
#[derive(Debug)]
pub struct Writer {
    volume: Arc<Volume>,
    block_bytes_max: usize,
    entries: Vec<Entry>,
    block: Vec<u8>,
    first_frame: Option<u32>,
    next_block: u32,
    seq: u64,
    running: [u8; 32],
    payload_bytes: u64,
    record_bytes: u64,
    unflushed_bytes: u64,
    acknowledged: Ending,
    acknowledged_entries: usize,
}

impl Writer {
    /// Begins volume `number` behind the one that ended as `before` says; `footer` lists that one if it could not itself, `note` says
    /// what was stored before.
    pub fn begin(
        log: &Log,
        number: u32,
        store: [u8; 16],
        counters: Counters,
        before: Ending,
        footer: Option<&Footer>,
        note: Option<&(FrameHeader, Vec<u8>)>,
    ) -> Result<Self, Error> {
        log.clear(number)?;
        let volume = Arc::new(Volume::create(log.dir(), number, log.shape())?);
        let mut writer = Self::new(Arc::clone(&volume));
        let header = VolumeHeader { store, volume: number, counters, before };
        writer.append(&described(FrameKind::Header, [0; 32], counters.seq), &header.encode())?;
        if let Some(footer) = footer {
            writer.append(&footer_header(before.volume, counters.seq), &footer.encode())?;
        }
        if let Some((header, stored)) = note {
            writer.append(header, stored)?;
        }
        let synced = durable::syncs();
        writer.flush(counters.seq)?;
        if durable::syncs() == synced {
            return Err(Error::NotDurable);
        }
        log.add(volume);
        Ok(writer)
    }

    /// Goes on writing a volume that was closed in good order and holds exactly `entries`.
    pub fn resume(volume: Arc<Volume>, entries: Vec<Entry>, ending: Ending, payload_bytes: u64) -> Self {
        let mut writer = Self::new(volume);
        writer.next_block = ending.end.block();
        writer.running = ending.running;
        writer.payload_bytes = payload_bytes;
        writer.acknowledged = ending;
        writer.acknowledged_entries = entries.len();
        let records = entries.iter().filter(|entry| entry.kind == FrameKind::Record);
        writer.record_bytes = records.map(|entry| (frame::OVERHEAD_BYTES + entry.stored_len as usize) as u64).sum();
        writer.entries = entries;
        writer
    }

    fn new(volume: Arc<Volume>) -> Self {
        let acknowledged = Ending { volume: volume.number(), ..Ending::NOTHING };
        let block_bytes_max = volume.shape().segment.value_bytes_max();
        let mut block = Vec::with_capacity(block_bytes_max);
        block.resize(block::HEADER_BYTES, 0);
        Self {
            volume,
            block_bytes_max,
            entries: Vec::new(),
            block,
            first_frame: None,
            next_block: 0,
            seq: 0,
            running: [0; 32],
            payload_bytes: 0,
            record_bytes: 0,
            unflushed_bytes: 0,
            acknowledged,
            acknowledged_entries: 0,
        }
    }

    /// The number of the open volume.
    pub fn volume(&self) -> u32 {
        self.volume.number()
    }

    /// Bytes appended since the last flush; sled keeps them in memory.
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes
    }

    /// Whether the volume should be sealed before more is appended.
    pub fn is_full(&self, limits: &VolumeLimits) -> bool {
        self.payload_bytes >= limits.payload_bytes
            || self.next_block >= limits.blocks
            || self.entries.len() >= limits.frames
            || self.record_bytes >= limits.record_bytes
    }

    /// How the volume would end if nothing more were acknowledged.
    pub fn ending(&self) -> Ending {
        self.acknowledged
    }

    /// Appends a frame to the stream; it is neither durable nor readable before the next flush.
    /// The header's stored length is set here.
    pub fn append(&mut self, header: &FrameHeader, stored: &[u8]) -> Result<Place, Error> {
        let header = &FrameHeader { stored_len: stored.len() as u32, ..*header };
        if self.block.len() == self.block_bytes_max {
            self.end_block()?;
        }
        let offset = self.block.len() - block::HEADER_BYTES;
        let address = Address::new(self.next_block, offset);
        self.first_frame.get_or_insert(offset as u32);
        self.seq = self.seq.max(header.seq);
        let head = header.encode();
        self.put(&head)?;
        self.put(stored)?;
        self.put(&frame::hash(&head, stored))?;
        if header.kind == FrameKind::Record {
            self.record_bytes += header.frame_bytes() as u64;
        }
        self.entries.push(Entry::of(header, address));
        Ok(Place { volume: self.volume(), address })
    }

    /// Ends the block, syncs, and takes all that was appended as acknowledged. `seq` is the newest one given.
    pub fn flush(&mut self, seq: u64) -> Result<(), Error> {
        self.seq = self.seq.max(seq);
        self.end_block()?;
        self.volume.flush()?;
        self.unflushed_bytes = 0;
        self.acknowledged.end = Address::new(self.next_block, 0);
        self.acknowledged.running = self.running;
        self.acknowledged_entries = self.entries.len();
        if self.volume.is_due() {
            self.volume.close();
        }
        Ok(())
    }

    /// Whether the volume's database is still where it was made.
    pub fn is_there(&self) -> bool {
        self.volume.is_in_place()
    }

    /// Closes and opens the volume again if readers took much through it. Only right after a flush.
    pub fn recycle(&self) {
        if self.volume.is_due() && self.unflushed_bytes == 0 {
            self.volume.close();
        }
    }

    /// Seals the volume: footer, end, sync, and sled's snapshot. Returns where it ends; when that fails, where what was
    /// acknowledged before ends.
    pub fn seal(mut self, log: &Log) -> (Ending, Result<(), Error>) {
        let acknowledged = self.acknowledged;
        let sealed = self.flush(self.seq).and_then(|()| self.put_footer(log));
        if sealed.is_ok() {
            return (self.acknowledged, sealed);
        }
        self.retire();
        (acknowledged, sealed)
    }

    fn put_footer(&mut self, log: &Log) -> Result<(), Error> {
        let footer = footer(log, self.volume(), std::mem::take(&mut self.entries))?;
        let place = self.append(&footer_header(self.volume(), self.seq), &footer.encode())?;
        self.end_block()?;
        let address = place.address.0.to_le_bytes();
        self.append(&described(FrameKind::End, [0; 32], self.seq), &address)?;
        self.flush(self.seq)?;
        self.volume.settle()
    }

    /// Gives the volume up after an error, and returns what its successor must say of it.
    pub fn abandon(mut self, log: &Log) -> (Ending, Option<Footer>) {
        self.entries.truncate(self.acknowledged_entries);
        self.retire();
        let entries = std::mem::take(&mut self.entries);
        (self.acknowledged, footer(log, self.volume(), entries).ok())
    }

    fn retire(&self) {
        if let Err(error) = self.volume.retire() {
            let (volume, error) = (self.volume(), &error as &dyn std::error::Error);
            tracing::warn!(volume, error, "a volume that failed could not be put to rest");
        }
    }

    /// Leaves the volume open for the next start; flushed before.
    pub fn suspend(mut self) -> Result<Ending, Error> {
        self.flush(self.seq)?;
        self.volume.suspend()?;
        Ok(self.acknowledged)
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = self.block_bytes_max - self.block.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if !bytes.is_empty() {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Writes the block out, however long it is; an empty one stays.
    fn end_block(&mut self) -> Result<(), Error> {
        let payload = self.block.len() - block::HEADER_BYTES;
        if payload == 0 {
            return Ok(());
        }
        let header = BlockHeader {
            volume: self.volume(),
            number: self.next_block,
            seq: self.seq,
            first_frame: self.first_frame.take(),
            acknowledged: self.acknowledged.end,
        };
        let sum = block::finish(&self.volume.shape().key, &header, &mut self.block);
        self.volume.put(self.next_block, &self.block)?;
        self.running = scan::run(self.running, sum);
        self.payload_bytes += payload as u64;
        self.unflushed_bytes += self.block.len() as u64;
        self.next_block += 1;
        self.block.truncate(block::HEADER_BYTES);
        Ok(())
    }
}

/// The footer for a volume with these entries: their records are read again rather than kept in memory.
pub fn footer(log: &Log, volume: u32, entries: Vec<Entry>) -> Result<Footer, Error> {
    let mut records = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == FrameKind::Record) {
        let frame: Frame = log.read(Place { volume, address: entry.address })?;
        records.extend_from_slice(&frame.encode());
        // Everything is flushed when a footer is made, so the writer's own volume may be closed.
        let read = log.volume(volume)?;
        if read.is_due() {
            read.close();
        }
    }
    Ok(Footer { entries, records })
}

fn footer_header(of: u32, seq: u64) -> FrameHeader {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&of.to_le_bytes());
    described(FrameKind::Footer, id, seq)
}

/// The header of a frame that belongs to the store itself.
fn described(kind: FrameKind, id: [u8; 32], seq: u64) -> FrameHeader {
    FrameHeader { kind, flags: 0, stored_len: 0, raw_len: 0, account: 0, seq, id: ChunkId(id) }
}
