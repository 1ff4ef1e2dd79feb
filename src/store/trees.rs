//! How the blocks of a volume lie in sled's trees: nine to a tree, under their numbers. Never does IO of its own.

/// A leaf is rewritten when its tenth fragment arrives; a tree that ends at nine never is.
const BLOCKS_PER_TREE: u32 = 9;

/// The number of the last block in a database. Opens only trees that are there, so it creates none.
pub fn last_in(db: &sled::Db) -> sled::Result<Option<u32>> {
    let mut trees: Vec<u32> = db.tree_names().iter().filter_map(|name| number_of(name)).collect();
    trees.sort_unstable();
    for tree in trees.into_iter().rev() {
        if let Some((key, _)) = db.open_tree(tree.to_be_bytes())?.last()? {
            return Ok(number_of(&key));
        }
    }
    Ok(None)
}

/// The tree that holds a block.
pub fn tree_name(block: u32) -> [u8; 4] {
    (block / BLOCKS_PER_TREE).to_be_bytes()
}

fn number_of(name: &[u8]) -> Option<u32> {
    name.try_into().ok().map(u32::from_be_bytes)
}
