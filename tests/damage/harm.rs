//! One way to damage a data directory. It is a value: it can be written down, sent to another process and done again.

use super::image::{Image, PAGE};
use super::shape::{Shape, is_volume};
use crate::kit::random::Random;
use serde::{Deserialize, Serialize};

/// What is done to a data directory. Paths are relative to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Harm {
    /// Nothing: the judge must be content.
    Nothing,
    /// The bits of `mask` in one byte change.
    Flip { path: String, at: usize, mask: u8 },
    /// A file ends after `to` bytes.
    Truncate { path: String, to: usize },
    /// The page from `at` on is zeros.
    Zero { path: String, at: usize },
    /// Random bytes behind the end.
    Append { path: String, bytes: usize, seed: u64 },
    /// A file, or a directory with all in it, is gone.
    Delete { path: String },
    /// Two files or directories change places.
    Swap { one: String, other: String },
    /// Two stretches of a file, each of so many bytes, change places.
    Trade { path: String, one: usize, other: usize, bytes: usize },
    /// A path is put back as it was in another copy: `yesterday`, `morning`, or `foreign`, which is another store.
    PutBack { path: String, from: String },
}

impl Harm {
    /// Its kind, as the table names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Flip { .. } => "flip",
            Self::Truncate { .. } => "truncate",
            Self::Zero { .. } => "zero a page",
            Self::Append { .. } => "append",
            Self::Delete { .. } => "delete",
            Self::Swap { .. } => "swap",
            Self::Trade { .. } => "swap two blocks",
            Self::PutBack { from, .. } if from == "foreign" => "put foreign",
            Self::PutBack { .. } => "put back",
        }
    }

    /// What it is done to.
    pub fn path(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Swap { one, .. } => one,
            Self::Flip { path, .. } | Self::Truncate { path, .. } | Self::Zero { path, .. } => path,
            Self::Append { path, .. } | Self::Delete { path } | Self::PutBack { path, .. } => path,
            Self::Trade { path, .. } => path,
        }
    }

    /// The shape's directory with the damage done.
    pub fn done_to(&self, shape: &Shape) -> Image {
        let mut image = shape.now.clone();
        match self {
            Self::Nothing => {}
            Self::Flip { path, at, mask } => image.file_mut(path)[*at] ^= mask,
            Self::Truncate { path, to } => image.file_mut(path).truncate(*to),
            Self::Zero { path, at } => image.file_mut(path).iter_mut().skip(*at).take(PAGE).for_each(|byte| *byte = 0),
            Self::Append { path, bytes, seed } => {
                let mut more = vec![0; *bytes];
                Random::new(*seed).fill(&mut more);
                image.file_mut(path).extend(more);
            }
            Self::Delete { path } => drop(image.remove(path)),
            Self::Swap { one, other } => {
                let before = image.clone();
                image.put(one, &before, other);
                image.put(other, &before, one);
            }
            Self::Trade { path, one, other, bytes } => {
                let (before, behind) = image.file_mut(path).split_at_mut(*other);
                before[*one..][..*bytes].swap_with_slice(&mut behind[..*bytes]);
            }
            Self::PutBack { path, from } => image.put(path, shape.before(from), path),
        }
        image
    }
}

/// What a file or directory of a data directory is; the rows of the table and of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    SealedDb,
    OpenDb,
    CrashedDb,
    VolumeSnap,
    VolumeConf,
    VolumeDir,
    RunDb,
    RunSnap,
    RunConf,
    CatalogDir,
    Format,
    Clean,
    Newest,
    VolumeList,
    RunList,
    FormatCopy,
    Other,
}

impl Class {
    /// The class of a path in a shape.
    pub fn of(path: &str, newest_volume: &str) -> Class {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match (is_volume(folder), folder.starts_with("catalog/"), name) {
            (true, _, "db") if folder == newest_volume => Class::OpenDb,
            (true, _, "db") => Class::SealedDb,
            (true, _, "db.crashed" | "db.before-recovery") => Class::CrashedDb,
            (true, _, "conf") => Class::VolumeConf,
            (true, _, _) if name.starts_with("snap.") => Class::VolumeSnap,
            (_, true, "db") => Class::RunDb,
            (_, true, "conf") => Class::RunConf,
            (_, true, _) if name.starts_with("snap.") => Class::RunSnap,
            (false, false, "FORMAT") => Class::Format,
            (true, _, "pieces") => Class::VolumeList,
            (_, true, "pieces") => Class::RunList,
            (false, false, "FORMAT.copy") => Class::FormatCopy,
            (false, false, "clean") => Class::Clean,
            (false, false, "newest") => Class::Newest,
            _ if is_volume(path) || path == "volumes" => Class::VolumeDir,
            _ if path == "catalog" || folder == "catalog" => Class::CatalogDir,
            _ => Class::Other,
        }
    }

    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SealedDb => "sealed volume, db",
            Self::OpenDb => "open volume, db",
            Self::CrashedDb => "crashed volume, db",
            Self::VolumeSnap => "volume, snap",
            Self::VolumeConf => "volume, conf",
            Self::VolumeDir => "volume, directory",
            Self::RunDb => "catalog run, db",
            Self::RunSnap => "catalog run, snap",
            Self::RunConf => "catalog run, conf",
            Self::CatalogDir => "catalog, directory",
            Self::Format => "FORMAT",
            Self::Clean => "clean",
            Self::Newest => "newest",
            Self::VolumeList => "volume, pieces",
            Self::RunList => "catalog run, pieces",
            Self::FormatCopy => "FORMAT.copy",
            Self::Other => "something else",
        }
    }
}
