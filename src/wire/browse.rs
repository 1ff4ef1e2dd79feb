//! What the web interface reads, as JSON. Promises: moments are milliseconds since 1970 in UTC, in fields that end with `_ms`; a
//! path comes twice, as text to be shown and percent-encoded, which is exact and goes into a query as it is.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;

/// Who is greeted.
#[derive(Debug, Serialize)]
pub struct HelloJson {
    /// The program's version.
    pub version: &'static str,
    /// Whether nobody has registered yet.
    pub first_run: bool,
    /// Whether the first account takes the setup code when it is made from where this is read.
    pub setup_code: bool,
    /// Who may register once there is an account: `open`, `invite` or `closed`.
    pub registration: &'static str,
}

/// A browser's session.
#[derive(Debug, Serialize)]
pub struct BrowserJson {
    /// The account's name.
    pub account: String,
    /// What the browser is called; absent for a device's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The sign-in before this one, as far as its session is still there; only in the answer to a sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sign_in: Option<LastSignInJson>,
}

/// A sign-in of before.
#[derive(Debug, Serialize)]
pub struct LastSignInJson {
    /// When.
    pub at_ms: i64,
    /// Which device or browser.
    pub name: String,
    /// From where it was last used.
    pub address: String,
}

/// A path of a device.
#[derive(Debug, Serialize)]
pub struct PathJson {
    /// As text, with U+FFFD where it is not UTF-8.
    pub path: String,
    /// Its bytes, percent-encoded.
    pub path_encoded: String,
}

impl PathJson {
    /// A path's two forms.
    pub fn of(path: &[u8]) -> Self {
        let path_encoded = percent_encode(path, NON_ALPHANUMERIC).to_string();
        Self { path: String::from_utf8_lossy(path).into_owned(), path_encoded }
    }
}

/// A page of a folder.
#[derive(Debug, Serialize)]
pub struct FolderPageJson {
    /// Its folders.
    pub folders: Vec<FolderJson>,
    /// Its files.
    pub files: Vec<SeenFileJson>,
    /// Asks for the next page; absent behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A folder.
#[derive(Debug, Serialize)]
pub struct FolderJson {
    /// Its path with the separator at its end.
    #[serde(flatten)]
    pub path: PathJson,
    /// Whether all that was in it had been removed.
    pub removed: bool,
}

/// A file as of a moment.
#[derive(Debug, Serialize)]
pub struct SeenFileJson {
    /// The file's id.
    pub id: u64,
    /// Its path.
    #[serde(flatten)]
    pub path: PathJson,
    /// The newest version of then.
    pub version: u64,
    /// That version's length.
    pub size: u64,
    /// When it was changed.
    pub changed_ms: i64,
    /// When it arrived.
    pub arrived_ms: i64,
    /// Versions that were there.
    pub versions: u64,
    /// When it was removed, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_ms: Option<i64>,
    /// Until when that can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until_ms: Option<i64>,
}

/// A page of a file's versions.
#[derive(Debug, Serialize)]
pub struct VersionPageJson {
    /// The file's id.
    pub id: u64,
    /// Its device.
    pub device_id: String,
    /// Its path.
    #[serde(flatten)]
    pub path: PathJson,
    /// The server's clock.
    pub now_ms: i64,
    /// Newest first.
    pub versions: Vec<PastVersionJson>,
    /// Asks for the next page; absent behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A version, there or removed.
#[derive(Debug, Serialize)]
pub struct PastVersionJson {
    /// The version's id.
    pub version: u64,
    /// Its length.
    pub size: u64,
    /// SHA-256 of its content.
    pub hash: String,
    /// When it was changed.
    pub changed_ms: i64,
    /// When it arrived.
    pub arrived_ms: i64,
    /// Permission bits as octal digits, where the device told them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// When it was removed, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_ms: Option<i64>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<String>,
    /// Until when that can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until_ms: Option<i64>,
}

/// A page of a search.
#[derive(Debug, Serialize)]
pub struct SearchPageJson {
    /// Files that match.
    pub matches: Vec<MatchJson>,
    /// Paths that this page looked at.
    pub looked_at: u64,
    /// Goes on; absent when all paths were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A file that matches.
#[derive(Debug, Serialize)]
pub struct MatchJson {
    /// Its device.
    pub device_id: String,
    /// The file.
    #[serde(flatten)]
    pub file: SeenFileJson,
}

/// What an account has.
#[derive(Debug, Serialize)]
pub struct OverviewJson {
    /// The account's name.
    pub account: String,
    /// Whether it may administer the server.
    pub administrator: bool,
    /// When it was counted.
    pub counted_ms: i64,
    /// Its devices by name.
    pub devices: Vec<DeviceJson>,
    /// Its newest versions, newest first.
    pub recent: Vec<RecentJson>,
}

/// A device in numbers.
#[derive(Debug, Serialize)]
pub struct DeviceJson {
    /// The device.
    pub device_id: String,
    /// When it signed in for the first time.
    pub first_seen_ms: i64,
    /// When its newest version arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_upload_ms: Option<i64>,
    /// Files that are there.
    pub files: u64,
    /// Their versions.
    pub versions: u64,
    /// Bytes of the newest versions.
    pub bytes: u64,
    /// Bytes of all versions.
    pub bytes_of_versions: u64,
    /// Versions that arrived on each of the last 30 days in UTC, today last.
    pub days: Vec<u64>,
}

/// A version that came a moment ago.
#[derive(Debug, Serialize)]
pub struct RecentJson {
    /// The version.
    pub version: u64,
    /// Its file.
    pub file_id: u64,
    /// Its device.
    pub device_id: String,
    /// Its path.
    #[serde(flatten)]
    pub path: PathJson,
    /// Its length.
    pub size: u64,
    /// When it arrived.
    pub arrived_ms: i64,
    /// Whether it is the first of its file.
    pub first: bool,
}
