//! restic's lists of objects, as its two versions have them. Promises: an entry is what restic parses, byte by byte.

use std::fmt::Write;

use crate::model::{ObjectName, Sha256};

const V1: &str = "application/vnd.x.restic.rest.v1";
const V2: &str = "application/vnd.x.restic.rest.v2";

/// The version of the protocol that a list is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Names alone; the client then asks for each size.
    One,
    /// Names with sizes.
    Two,
}

impl Version {
    /// What an `Accept` header asks for: version 1 unless it names version 2.
    pub fn asked_for(accept: Option<&str>) -> Self {
        let names_two = accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim() == V2));
        if names_two { Self::Two } else { Self::One }
    }

    /// What the list is called. restic compares it as a whole: a parameter would make it version 1.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::One => V1,
            Self::Two => V2,
        }
    }
}

/// Appends one object to a list.
pub fn append(version: Version, name: &ObjectName, size: u64, json: &mut Vec<u8>) {
    let name = Sha256(*name.hash());
    let mut text = String::with_capacity(96);
    let _ = match version {
        Version::One => write!(text, "\"{name}\""),
        Version::Two => write!(text, "{{\"name\":\"{name}\",\"size\":{size}}}"),
    };
    json.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectKind;

    #[test]
    fn entries_are_the_json_that_restic_reads() {
        let name = ObjectName::new(ObjectKind::Data, [0xAB; 32]);
        let mut json = Vec::new();
        append(Version::Two, &name, u64::MAX, &mut json);
        let parsed: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(parsed, serde_json::json!({"name": "ab".repeat(32), "size": u64::MAX}));
        json.clear();
        append(Version::One, &name, 1, &mut json);
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)).into_bytes());
    }

    #[test]
    fn version_two_is_answered_to_who_names_it() {
        let both = format!("{V2}, */*");
        for (accept, version) in [
            (None, Version::One),
            (Some(V1), Version::One),
            (Some("*/*"), Version::One),
            (Some(V2), Version::Two),
            (Some(both.as_str()), Version::Two),
        ] {
            assert_eq!(Version::asked_for(accept), version, "{accept:?}");
        }
    }
}
