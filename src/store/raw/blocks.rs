//! The blocks of a volume as pieces of its file, and what they say together.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{Kind, Piece, Pieces};
use crate::store::block;
use crate::store::frame::{Frame, FrameKind};
use crate::store::header::VolumeHeader;
use crate::store::place::Address;
use crate::store::shape::BlockKey;

/// The blocks of one volume.
#[derive(Debug, Clone, Copy)]
pub struct BlockKind {
    /// Its number.
    pub volume: u32,
    /// The key of the store's checksums.
    pub key: BlockKey,
}

impl Kind for BlockKind {
    const MAGIC: [u8; 4] = block::MAGIC;

    fn verify(&self, bytes: &[u8]) -> Option<Piece> {
        let (header, bytes) = block::parse_first(&self.key, bytes)?;
        (header.volume == self.volume).then_some(Piece { number: header.number, bytes })
    }

    fn key(&self) -> &BlockKey {
        &self.key
    }
}

impl BlockKind {
    /// The furthest end that any block in the file at `path` calls acknowledged, and whether parts of it could not be read.
    pub fn acknowledged(&self, path: &Path) -> io::Result<(Address, bool)> {
        let mut acknowledged = Address::START;
        let pieces = Pieces::scan(File::open(path)?, block::MAGIC, |bytes| {
            let (header, bytes) = block::parse_first(&self.key, bytes).filter(|(h, _)| h.volume == self.volume)?;
            acknowledged = acknowledged.max(header.acknowledged);
            Some(Piece { number: header.number, bytes })
        })?;
        Ok((acknowledged, pieces.is_unreadable()))
    }
}

/// The store that the header of a volume in the file at `path` names, whose volume ever it is.
pub fn store_of(path: &Path) -> io::Result<Option<[u8; 16]>> {
    let mut store = None;
    Pieces::scan(File::open(path)?, block::MAGIC, |bytes| {
        let frame = Frame::parse(bytes.get(block::HEADER_BYTES..)?).filter(|f| f.header.kind == FrameKind::Header)?;
        let header = VolumeHeader::parse(&frame.stored)?;
        store.get_or_insert(header.store);
        Some(Piece { number: header.volume, bytes: block::HEADER_BYTES })
    })?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::super::{PieceFile, WINDOW_BYTES};
    use super::*;
    use crate::store::block::{BLOCK_BYTES_MAX, BlockHeader, HEADER_BYTES};

    fn block(key: &BlockKey, number: u32, payload: &[u8]) -> Vec<u8> {
        let header =
            BlockHeader { volume: 7, number, seq: 1, first_frame: None, acknowledged: Address::new(number, 0) };
        let mut block = vec![0; HEADER_BYTES];
        block.extend_from_slice(payload);
        block::finish(key, &header, &mut block);
        block
    }

    fn scan(bytes: &[u8], key: BlockKey) -> (Pieces, BlockKind, Address) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let kind = BlockKind { volume: 7, key };
        let (acknowledged, unreadable) = kind.acknowledged(file.path()).expect("read");
        assert!(!unreadable);
        let opened = File::open(file.path()).expect("opened");
        (Pieces::scan(opened, BlockKind::MAGIC, |bytes| kind.verify(bytes)).expect("read"), kind, acknowledged)
    }

    #[test]
    fn a_block_is_found_wherever_it_lies_and_a_damaged_one_is_not() {
        let key = BlockKey::of([1; 16]);
        let sound = block(&key, 3, &vec![0x5A; BLOCK_BYTES_MAX - HEADER_BYTES]);
        let mut damaged = block(&key, 9, &[0x5A; 500]);
        damaged[400] ^= 1;
        for before in [0, 1000, WINDOW_BYTES - BLOCK_BYTES_MAX - 1, WINDOW_BYTES - 100, WINDOW_BYTES] {
            let (found, kind, acknowledged) = scan(&[vec![0xEE; before], sound.clone(), damaged.clone()].concat(), key);
            assert_eq!(acknowledged, Address::new(3, 0), "behind {before} bytes");
            assert_eq!(found.read(&kind, 3).expect("read").as_deref(), Some(&sound[..]));
            assert_eq!((found.last(), found.read(&kind, 9).expect("read")), (Some(3), None));
        }
        assert_eq!(scan(&sound, BlockKey::of([2; 16])).0.last(), None, "another store's");
    }

    #[test]
    fn a_block_inside_a_block_is_content() {
        let key = BlockKey::of([1; 16]);
        let inner = block(&key, 5, b"an old block that somebody backed up");
        let outer = block(&key, 4, &inner);
        let (found, kind, _) = scan(&outer, key);
        assert_eq!((found.last(), found.read(&kind, 5).expect("read")), (Some(4), None));
        assert_eq!(scan(&[outer, inner].concat(), key).0.last(), Some(5), "beside it, it is one");
    }

    #[test]
    fn a_list_saves_the_search_and_a_wrong_one_costs_nothing_else() {
        let home = tempfile::tempdir().expect("a directory");
        let (key, path) = (BlockKey::of([1; 16]), home.path().join("db"));
        let blocks: Vec<_> = (0..9).map(|number| block(&key, number, &[number as u8; 700])).collect();
        let fresh = || PieceFile::of(BlockKind { volume: 7, key });
        let whole = |file: &PieceFile<BlockKind>| {
            (0..9).all(|number| {
                file.get(&path, number, false).expect("read").as_deref() == Some(&blocks[number as usize][..])
            })
        };
        std::fs::write(&path, blocks.concat()).expect("written");
        assert!(fresh().write_list(&path).expect("listed"));
        let list = home.path().join("pieces");
        let text = std::fs::read(&list).expect("a list");
        assert!(whole(&fresh()));
        // Moved blocks, of the same length in all.
        std::fs::write(&path, blocks.iter().rev().flatten().copied().collect::<Vec<u8>>()).expect("written");
        assert!(whole(&fresh()));
        for at in 0..text.len() {
            let mut flipped = text.clone();
            flipped[at] ^= 4;
            std::fs::write(&list, flipped).expect("written");
            assert!(whole(&fresh()), "byte {at} of the list");
        }
        assert!(fresh().write_list(&path).is_ok_and(|now| !now), "there is one");
        std::fs::remove_file(&path).expect("removed");
        assert!(fresh().get(&path, 0, false).is_err());
    }

    #[test]
    fn what_is_added_to_a_file_that_grows_is_found() {
        let home = tempfile::tempdir().expect("a directory");
        let (key, path) = (BlockKey::of([1; 16]), home.path().join("db"));
        let file = PieceFile::of(BlockKind { volume: 7, key });
        let mut bytes = Vec::new();
        for number in 0..20 {
            bytes.extend_from_slice(&[0xEE; 77]);
            bytes.extend_from_slice(&block(&key, number, &[number as u8; 7000]));
            std::fs::write(&path, &bytes).expect("written");
            assert_eq!(file.get(&path, number + 1, true).expect("read"), None);
            for known in 0..=number {
                assert!(file.get(&path, known, true).expect("read").is_some(), "block {known} of {number}");
            }
        }
    }
}
