//! Where the bytes of each version lie, found from the format's description and not by the code under test: so that the
//! judge knows which versions a damage has hit, and when it has hit no block at all.

use super::image::Image;
use super::oracle::End;
use super::shape::Shape;
use super::visitor;
use rbackup::model::ChunkId;
use rbackup::store::{Root, Store, parse_manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// `FORMAT.md`, "block" and "frame".
const MAGIC: &[u8; 4] = b"RBk1";
const BLOCK_HEADER: usize = 40;
const ACKNOWLEDGED: usize = 28;
const CHECKED: usize = 32;
const BLOCK_MAX: usize = 255 * 1024;
const FRAME_HEADER: usize = 60;
const FRAME_HASH: usize = 16;
const OFFSET_BITS: u32 = 18;

/// A block by the directory it lies in, its volume's and its own number, and its checksum.
pub type Name = (u32, u32, u32, u64);

/// A block found in a file.
#[derive(Clone, Debug)]
pub struct Block {
    /// The file.
    pub path: String,
    /// Where in it.
    pub at: usize,
    /// Bytes of header and payload.
    pub bytes: usize,
}

/// A frame that a version needs.
struct Held {
    volume: u32,
    /// Payload ranges by block number.
    pieces: Vec<(u32, Range<usize>)>,
    versions: BTreeSet<u64>,
}

/// A shape's blocks and the frames its versions need.
pub struct Layout {
    key: [u8; 32],
    blocks: BTreeMap<Name, Vec<Block>>,
    held: Vec<Held>,
    /// For each volume, from which block on nothing in it says that it was acknowledged.
    ends: BTreeMap<u32, u32>,
}

impl Hit {
    /// Whether nothing that is left says that this was ever acknowledged.
    pub fn has_no_trace_of(&self, end: End) -> bool {
        self.unprovable
            .is_some_and(|from| end.volume > from.volume || (end.volume == from.volume && end.block >= from.block))
    }
}

/// What a damage did, as far as the bytes tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// A block is gone or changed, or there is one more.
    pub blocks: bool,
    /// `FORMAT` differs.
    pub format: bool,
    /// From here on a killed store cannot know what was acknowledged.
    pub unprovable: Option<End>,
    /// Versions of which a frame that the catalog names has lost bytes.
    pub versions: BTreeSet<u64>,
    /// Versions of which a frame lies in a block that is gone or changed, whether its own bytes are hit or not.
    pub touched: BTreeSet<u64>,
    /// Blocks that are gone or changed, and that a later block of their volume had called acknowledged.
    pub lost: BTreeSet<End>,
}

impl Layout {
    /// Reads a shape; `scratch` is a path that does not exist yet.
    pub fn of(shape: &Shape, scratch: &Path) -> Layout {
        let key = key(&shape.now);
        let blocks = blocks(&shape.now, &key, |_| true);
        shape.now.write(scratch);
        let needed = needed(scratch);
        std::fs::remove_dir_all(scratch).expect("remove the copy");
        let payloads = Payloads { blocks: &blocks, image: &shape.now };
        let held = needed.into_iter().map(|((volume, address), versions)| {
            let pieces = payloads.frame(volume, address);
            Held { volume, pieces, versions }
        });
        let held = held.collect();
        let ends = ends(&shape.now, &blocks);
        Layout { key, blocks, held, ends }
    }

    /// The blocks by name; a sound store has each once.
    pub fn blocks(&self) -> &BTreeMap<Name, Vec<Block>> {
        &self.blocks
    }

    /// Where a version's frames lie in their file: for damage that must hit one.
    pub fn bytes_of(&self, version: u64) -> Vec<(String, Range<usize>)> {
        let held = self.held.iter().filter(|held| held.versions.contains(&version));
        held.flat_map(|held| held.pieces.iter().flat_map(|(number, range)| self.on_disk(held.volume, *number, range)))
            .collect()
    }

    fn on_disk<'a>(
        &'a self,
        volume: u32,
        number: u32,
        range: &'a Range<usize>,
    ) -> impl Iterator<Item = (String, Range<usize>)> + 'a {
        let found = self.blocks.iter().filter(move |(name, _)| (name.0, name.1, name.2) == (volume, volume, number));
        found.flat_map(|(_, blocks)| blocks).map(|block| {
            let payload = block.at + BLOCK_HEADER;
            (block.path.clone(), payload + range.start..payload + range.end)
        })
    }

    /// Blocks that a damaged copy still had, and that are nowhere below `volumes` in `left`: volume, block.
    pub fn destroyed(&self, damaged: &Image, left: &Image) -> Vec<(u32, u32)> {
        let names = |image: &Image| -> BTreeSet<(u32, u32, u64)> {
            blocks(image, &self.key, |_| true)
                .into_keys()
                .map(|(_, volume, number, sum)| (volume, number, sum))
                .collect()
        };
        names(damaged).difference(&names(left)).map(|(volume, number, _)| (*volume, *number)).collect()
    }

    /// What has been hit in a damaged copy of the shape.
    pub fn hit(&self, shape: &Shape, damaged: &Image) -> Hit {
        let changed: BTreeSet<String> = shape.now.differing(damaged).into_iter().collect();
        let format = changed.contains("FORMAT");
        if !changed.iter().any(|path| path.starts_with("volumes")) {
            return Hit { format, ..Hit::default() };
        }
        let unchanged = |path: &str| !changed.contains(path);
        let kept = self.blocks.iter().filter(|(_, copies)| copies.iter().any(|block| unchanged(&block.path)));
        let mut there: BTreeSet<Name> = kept.map(|(name, _)| *name).collect();
        there.extend(blocks(damaged, &self.key, |path| !unchanged(path)).into_keys());
        let lost: BTreeSet<&Name> = self.blocks.keys().filter(|name| !there.contains(name)).collect();
        let more = there.iter().any(|name| !self.blocks.contains_key(name));
        let hit = |held: &&Held| held.pieces.iter().any(|piece| self.is_hit(held.volume, piece, &lost, shape, damaged));
        let versions = self.held.iter().filter(hit).flat_map(|held| held.versions.iter().copied()).collect();
        let in_lost = |held: &&Held| held.pieces.iter().any(|(number, _)| is_lost(&lost, held.volume, *number));
        let touched = self.held.iter().filter(in_lost).flat_map(|held| held.versions.iter().copied()).collect();
        let killed = !shape.now.has("clean");
        let unprovable = if killed { provable(damaged, &self.key, &shape.newest_volume()) } else { None };
        let acknowledged = |name: &&&Name| name.0 == name.1 && self.ends.get(&name.1).is_some_and(|end| name.2 < *end);
        let lost_for_good =
            lost.iter().filter(acknowledged).map(|name| End { volume: name.1, block: name.2 }).collect();
        Hit { blocks: more || !lost.is_empty(), format, unprovable, versions, touched, lost: lost_for_good }
    }

    /// Whether bytes of a piece differ, in a block of which no other copy is left.
    fn is_hit(
        &self,
        volume: u32,
        (number, range): &(u32, Range<usize>),
        lost: &BTreeSet<&Name>,
        shape: &Shape,
        damaged: &Image,
    ) -> bool {
        if !is_lost(lost, volume, *number) {
            return false;
        }
        let mut copies = self.on_disk(volume, *number, range);
        copies.all(|(path, at)| {
            damaged.file(&path).and_then(|bytes| bytes.get(at.clone()))
                != shape.now.file(&path).and_then(|bytes| bytes.get(at))
        })
    }
}

/// Whether block `number` of `volume` is among the lost ones.
fn is_lost(lost: &BTreeSet<&Name>, volume: u32, number: u32) -> bool {
    lost.iter().any(|name| (name.0, name.1, name.2) == (volume, volume, number))
}

/// The last block of a volume.
pub fn end_of(image: &Image, volume: &str) -> End {
    let last =
        blocks(image, &key(image), |path| path.starts_with(volume)).into_keys().map(|name| (name.0, name.2)).max();
    let (volume, block) = last.expect("a volume has blocks");
    End { volume, block }
}

/// Up to where the blocks of each volume call those before them acknowledged. The last commit of a volume is not among them, and
/// neither is its footer.
fn ends(image: &Image, blocks: &BTreeMap<Name, Vec<Block>>) -> BTreeMap<u32, u32> {
    let mut ends = BTreeMap::new();
    for (name, copies) in blocks.iter().filter(|(name, _)| name.0 == name.1) {
        let bytes = copies.first().and_then(|block| image.file(&block.path)?.get(block.at..)).unwrap_or_default();
        let acknowledged = word(bytes, ACKNOWLEDGED).unwrap_or(0);
        let offset = acknowledged & ((1 << OFFSET_BITS) - 1);
        let end: &mut u32 = ends.entry(name.1).or_default();
        *end = (*end).max((acknowledged >> OFFSET_BITS) + u32::from(offset > 0));
    }
    ends
}

/// The first block of the newest volume that no whole block of it calls acknowledged: without a note of the last stop,
/// nothing tells a damaged last commit from one that was never finished. That there was such a volume is noted, so the loss of
/// all its blocks must be noticed.
fn provable(image: &Image, key: &[u8; 32], newest: &str) -> Option<End> {
    let volume = newest.trim_start_matches("volumes/").parse().expect("a volume's number");
    let left = blocks(image, key, |path| path.starts_with(newest)).into_iter().filter(|(name, _)| name.1 == volume);
    let acknowledged = |found: Block| {
        let bytes = image.file(&found.path).unwrap_or_default();
        word(&bytes[found.at..], ACKNOWLEDGED).unwrap_or(0) >> OFFSET_BITS
    };
    let block = left.flat_map(|(_, copies)| copies).map(acknowledged).max()?;
    Some(End { volume, block })
}

/// Finds the whole blocks in the databases of all volumes.
fn blocks(image: &Image, key: &[u8; 32], wanted: impl Fn(&str) -> bool) -> BTreeMap<Name, Vec<Block>> {
    let mut found: BTreeMap<Name, Vec<Block>> = BTreeMap::new();
    for path in image.files().filter(|path| wanted(path)) {
        let Some((directory, _)) = path.strip_prefix("volumes/").and_then(|rest| rest.split_once("/db")) else {
            continue;
        };
        // What was set aside under another name is no volume, but it is there.
        let directory = directory.parse().unwrap_or(0);
        let bytes = image.file(path).unwrap_or_default();
        for at in memchr::memmem::find_iter(bytes, MAGIC) {
            if let Some((volume, number, sum, length)) = block_at(&bytes[at..], key) {
                let block = Block { path: path.to_owned(), at, bytes: length };
                found.entry((directory, volume, number, sum)).or_default().push(block);
            }
        }
    }
    found
}

fn block_at(bytes: &[u8], key: &[u8; 32]) -> Option<(u32, u32, u64, usize)> {
    let length = BLOCK_HEADER + word(bytes, 12)? as usize;
    let whole = bytes.get(..length.min(BLOCK_MAX + 1))?;
    let sum = sum_of(whole, key);
    let stored = u64::from_le_bytes(whole.get(CHECKED..BLOCK_HEADER)?.try_into().ok()?);
    (whole.len() == length && sum == stored).then_some((word(bytes, 4)?, word(bytes, 8)?, sum, length))
}

/// A block's checksum: the first eight bytes of BLAKE3, keyed, over the header before the checksum, and the payload.
pub fn sum_of(block: &[u8], key: &[u8; 32]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let hash = hasher.update(&block[..CHECKED]).update(&block[BLOCK_HEADER..]).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The key of a store's checksums, which is made from its id.
pub fn key(image: &Image) -> [u8; 32] {
    let text = String::from_utf8_lossy(image.file("FORMAT").expect("a healthy store has a FORMAT")).into_owned();
    let format: toml::Table = text.parse().expect("FORMAT is TOML");
    let id = format["store_id"].as_str().and_then(|id| u128::from_str_radix(id, 16).ok()).expect("a store id");
    blake3::derive_key("rbackup block checksum v1", &id.to_be_bytes())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The payloads of all blocks as one stream to a volume.
struct Payloads<'a> {
    blocks: &'a BTreeMap<Name, Vec<Block>>,
    image: &'a Image,
}

impl Payloads<'_> {
    fn payload(&self, volume: u32, number: u32) -> &[u8] {
        let found = self.blocks.iter().find(|(name, _)| (name.0, name.1, name.2) == (volume, volume, number));
        let block = found.and_then(|(_, copies)| copies.first());
        block.map_or(&[], |block| {
            let bytes = self.image.file(&block.path).unwrap_or_default();
            &bytes[block.at + BLOCK_HEADER..block.at + block.bytes]
        })
    }

    /// The pieces of the frame at an address, whose header says how long it is.
    fn frame(&self, volume: u32, address: u32) -> Vec<(u32, Range<usize>)> {
        let mut header = Vec::new();
        for (number, range) in self.pieces(volume, address, FRAME_HEADER) {
            header.extend_from_slice(&self.payload(volume, number)[range]);
        }
        let stored = word(&header, 4).expect("a frame begins at its place") as usize;
        self.pieces(volume, address, FRAME_HEADER + stored + FRAME_HASH)
    }

    fn pieces(&self, volume: u32, address: u32, mut bytes: usize) -> Vec<(u32, Range<usize>)> {
        let (mut number, mut from) = (address >> OFFSET_BITS, (address & ((1 << OFFSET_BITS) - 1)) as usize);
        let mut pieces = Vec::new();
        while bytes > 0 {
            let payload = self.payload(volume, number);
            assert!(!payload.is_empty(), "volume {volume} has no block {number} below a frame");
            let taken = bytes.min(payload.len().saturating_sub(from));
            pieces.push((number, from..from + taken));
            (number, from, bytes) = (number + 1, 0, bytes - taken);
        }
        pieces
    }
}

/// The place of every frame that a version needs, removed ones too, with those versions.
fn needed(data: &Path) -> BTreeMap<(u32, u32), BTreeSet<u64>> {
    let store = Store::open(data, visitor::OPTIONS).expect("a healthy store opens");
    let mut places: BTreeMap<(u32, u32), BTreeSet<u64>> = BTreeMap::new();
    for file in store.catalog().all_files() {
        for entry in file.expect("a file").versions {
            let mut open: Vec<Root> = entry.row.root.into_iter().collect();
            while let Some(root) = open.pop() {
                let id = ChunkId(root.id);
                let place = store.catalog().place(&id).expect("a readable catalog").expect("a known chunk");
                places.entry((place.volume, place.address.0)).or_default().insert(entry.version);
                if root.level > 0 {
                    let children = parse_manifest(&store.read(&id).expect("a manifest").stored).expect("its children");
                    open.extend(children.iter().map(|child| Root { level: root.level - 1, id: child.id.0 }));
                }
            }
        }
    }
    store.close().expect("closed");
    places
}
