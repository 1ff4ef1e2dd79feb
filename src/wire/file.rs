//! Files and versions as JSON. Promises: a name that is not UTF-8 comes a second time, exactly, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use crate::model::{File, Version};

/// A file with its versions, oldest first.
pub struct FileJson<'a>(pub &'a File);

impl Serialize for FileJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = self.0;
        let exact = match std::str::from_utf8(file.path.as_bytes()) {
            Ok(_) => None,
            Err(_) => Some(STANDARD.encode(file.path.as_bytes())),
        };
        let mut json = serializer.serialize_struct("File", 4 + usize::from(exact.is_some()))?;
        json.serialize_field("id", &file.id.0)?;
        json.serialize_field("device_id", file.device.as_str())?;
        json.serialize_field("original_name", &file.path.to_text())?;
        if let Some(exact) = exact {
            json.serialize_field("original_name_b64", &exact)?;
        }
        json.serialize_field("versions", &Versions(&file.versions))?;
        json.end()
    }
}

struct Versions<'a>(&'a [Version]);

impl Serialize for Versions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for version in self.0 {
            list.serialize_element(&VersionJson(version))?;
        }
        list.end()
    }
}

struct VersionJson<'a>(&'a Version);

impl Serialize for VersionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.0;
        let mut json = serializer.serialize_struct("Version", 6)?;
        json.serialize_field("version", &version.id.0)?;
        json.serialize_field("size", &version.size)?;
        json.serialize_field("hash", &format_args!("{}", version.hash))?;
        json.serialize_field("created", &format_args!("{}", version.created))?;
        json.serialize_field("mtime", &format_args!("{}", version.mtime))?;
        json.serialize_field("storage_name", &format_args!("{}", version.storage_name))?;
        json.end()
    }
}

/// Appends one file to a JSON array that is being written piece by piece.
pub fn append(file: &File, json: &mut Vec<u8>) {
    json.append(&mut super::json(&FileJson(file)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceName, FileId, FilePath, Sha256, StorageName, Timestamp, VersionId};

    fn file(name: &[u8]) -> File {
        let version = Version {
            id: VersionId(1),
            size: 354,
            hash: Sha256([0xd7; 32]),
            crc32: 5,
            created: Timestamp(1_532_459_743_999),
            mtime: Timestamp(1_532_459_740_000),
            mode: Some(0o644),
            storage_name: StorageName([0x56; 32]),
        };
        File {
            id: FileId(2583),
            device: DeviceName::parse("laptop".to_owned()).expect("a name"),
            path: FilePath::parse(name.to_vec()).expect("a path"),
            versions: vec![version],
        }
    }

    #[test]
    fn a_file_is_the_contracts() {
        let json = String::from_utf8(super::super::json(&FileJson(&file(b"/etc/hosts")))).expect("text");
        let (hash, name) = ("d7".repeat(32), "56".repeat(32));
        assert_eq!(
            json,
            format!(
                r#"{{"id":2583,"device_id":"laptop","original_name":"/etc/hosts","versions":[{{"version":1,"size":354,"hash":"{hash}","created":"2018-07-24T19:15:43","mtime":"2018-07-24T19:15:40","storage_name":"{name}"}}]}}"#
            )
        );
    }

    #[test]
    fn a_name_that_is_no_text_comes_twice() {
        let json = String::from_utf8(super::super::json(&FileJson(&file(b"a\xffb\n\"")))).expect("text");
        assert!(json.contains("\"original_name\":\"a\u{fffd}b\\n\\\"\",\"original_name_b64\":\"Yf9iCiI=\""), "{json}");
    }
}
