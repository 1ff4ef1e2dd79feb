//! `/api/v1/overview`, `folder`, `versions` and `search`: what a person looks at. Promises: a page has at most
//! [`PAGE_ENTRIES_MAX`] entries and says where the next begins. Never changes anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use warp::http::StatusCode;

use crate::model::{DeviceName, FileId, Invalid, Timestamp};
use crate::server::Context;
use crate::server::error::Error;
use crate::server::query::Query;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::service::Caller;
use crate::service::browse::{
    Cursor, DeviceTotals, FolderPage, FolderQuery, PAGE_ENTRIES_MAX, PastVersion, Presence, RecentVersion, SearchQuery,
    SeenFile, Sort,
};
use crate::wire::browse::{
    DeviceJson, FolderJson, FolderPageJson, MatchJson, OverviewJson, PastVersionJson, PathJson, RecentJson,
    SearchPageJson, SeenFileJson, VersionPageJson,
};

/// Entries of a page when the client does not say how many it wants.
const PAGE_ENTRIES: usize = 200;

/// What the account has.
pub async fn overview(context: Context, caller: Caller) -> Result<Reply, Error> {
    let overview = context.bridge.call(move || context.services.overview(&caller)).await?;
    let json = OverviewJson {
        account: overview.account.clone(),
        administrator: overview.administrator,
        counted_ms: overview.counted.0,
        devices: overview.devices.iter().map(device_json).collect(),
        recent: overview.recent.iter().map(recent_json).collect(),
    };
    Ok(Reply::json(StatusCode::OK, &json))
}

/// One page of a folder.
pub async fn folder(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let query = request.query()?;
    let folder_query = FolderQuery {
        device: DeviceName::parse(query.required_text("device_id")?)?,
        folder: folder_path(&query)?,
        at: moment(&query)?,
        with_removed: flag(&query, "removed")?,
        sort: sort(&query)?,
        descending: one_of(&query, "order", &["asc", "desc"])? == 1,
        after: cursor(&query)?,
        limit: limit(&query)?,
    };
    let page = context.bridge.call(move || context.services.folder(&caller, &folder_query)).await?;
    Ok(Reply::json(StatusCode::OK, &page_json(&page)))
}

/// One page of a file's versions.
pub async fn versions(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let query = request.query()?;
    let (file, after, limit) = (FileId(query.required_number("file_id")?), cursor(&query)?, limit(&query)?);
    let services = context.services.clone();
    let page = context.bridge.call(move || services.versions(&caller, file, after.as_ref(), limit)).await?;
    let json = VersionPageJson {
        id: page.file.0,
        device_id: page.device.as_str().to_owned(),
        path: PathJson::of(page.path.as_bytes()),
        now_ms: context.services.now().0,
        versions: page.versions.iter().map(version_json).collect(),
        next: page.next.as_ref().map(encode),
    };
    Ok(Reply::json(StatusCode::OK, &json))
}

/// One page of a search.
pub async fn search(context: Context, caller: Caller, request: Request) -> Result<Reply, Error> {
    let query = request.query()?;
    let wanted = SearchQuery::parse(&query.required_text("q")?)?;
    let (after, limit) = (cursor(&query)?, limit(&query)?);
    let services = context.services.clone();
    let page = context.bridge.call(move || services.search(&caller, &wanted, after.as_ref(), limit)).await?;
    let matches = page
        .matches
        .iter()
        .map(|found| MatchJson { device_id: found.device.as_str().to_owned(), file: file_json(&found.file) });
    let json =
        SearchPageJson { matches: matches.collect(), looked_at: page.looked_at, next: page.next.as_ref().map(encode) };
    Ok(Reply::json(StatusCode::OK, &json))
}

/// Empty, or a path that ends with a separator.
pub(super) fn folder_path(query: &Query) -> Result<Vec<u8>, Error> {
    let folder = query.bytes("folder")?.unwrap_or_default();
    match folder.last() {
        None | Some(b'/' | b'\\') => Ok(folder),
        Some(_) => Err(Invalid::new("folder", "does not end with a separator").into()),
    }
}

pub(super) fn moment(query: &Query) -> Result<Option<Timestamp>, Error> {
    let Some(millis) = query.number("at")? else { return Ok(None) };
    let moment = Timestamp::from_millis(millis);
    Ok(Some(moment.ok_or_else(|| Invalid::new("at", "lies outside of the years 0 to 9999"))?))
}

fn flag(query: &Query, name: &'static str) -> Result<bool, Error> {
    Ok(one_of(query, name, &["no", "yes"])? == 1)
}

fn sort(query: &Query) -> Result<Sort, Error> {
    let sorts = [Sort::Name, Sort::Size, Sort::Changed, Sort::Versions];
    Ok(sorts[one_of(query, "sort", &["name", "size", "changed", "versions"])?])
}

/// Which of the words a field has; the first when it is not given.
fn one_of(query: &Query, name: &'static str, words: &[&str]) -> Result<usize, Error> {
    let Some(text) = query.text(name)? else { return Ok(0) };
    let found = words.iter().position(|word| *word == text);
    Ok(found.ok_or_else(|| Invalid::new(name, format!("is none of {}", words.join(", "))))?)
}

fn cursor(query: &Query) -> Result<Option<Cursor>, Error> {
    let Some(text) = query.text("cursor")? else { return Ok(None) };
    let bytes = BASE64.decode(text).map_err(|_| Invalid::new("cursor", "is not one of this server's"))?;
    Ok(Some(Cursor::parse(&bytes)?))
}

fn encode(cursor: &Cursor) -> String {
    BASE64.encode(cursor.to_bytes())
}

fn limit(query: &Query) -> Result<usize, Error> {
    let limit = query.number("limit")?.unwrap_or(PAGE_ENTRIES);
    match limit {
        1..=PAGE_ENTRIES_MAX => Ok(limit),
        _ => Err(Invalid::new("limit", format!("is not a number from 1 to {PAGE_ENTRIES_MAX}")).into()),
    }
}

fn page_json(page: &FolderPage) -> FolderPageJson {
    let folders = page.folders.iter();
    FolderPageJson {
        folders: folders
            .map(|folder| FolderJson { path: PathJson::of(&folder.path), removed: !folder.is_there })
            .collect(),
        files: page.files.iter().map(file_json).collect(),
        next: page.next.as_ref().map(encode),
    }
}

fn file_json(file: &SeenFile) -> SeenFileJson {
    let (removed_ms, held_until_ms) = match file.presence {
        Presence::There => (None, None),
        Presence::Removed { at, hold_until } => (Some(at.0), Some(hold_until.0)),
    };
    SeenFileJson {
        id: file.id.0,
        path: PathJson::of(&file.path),
        version: file.version.0,
        size: file.size,
        changed_ms: file.changed.0,
        arrived_ms: file.arrived.0,
        versions: file.versions,
        removed_ms,
        held_until_ms,
    }
}

fn version_json(past: &PastVersion) -> PastVersionJson {
    let (version, removed) = (&past.version, past.removed.as_ref());
    PastVersionJson {
        version: version.id.0,
        size: version.size,
        hash: version.hash.to_string(),
        changed_ms: version.mtime.0,
        arrived_ms: version.created.0,
        mode: version.mode.map(|mode| format!("{mode:o}")),
        removed_ms: removed.map(|removal| removal.at),
        removed_by: removed.map(|removal| removal.by.clone()),
        held_until_ms: removed.map(|removal| removal.hold_until),
    }
}

fn device_json(totals: &DeviceTotals) -> DeviceJson {
    DeviceJson {
        device_id: totals.device.as_str().to_owned(),
        first_seen_ms: totals.first_seen.0,
        last_upload_ms: totals.last_upload.map(|moment| moment.0),
        files: totals.files,
        versions: totals.versions,
        bytes: totals.bytes,
        bytes_of_versions: totals.bytes_of_versions,
        days: totals.days.to_vec(),
    }
}

fn recent_json(recent: &RecentVersion) -> RecentJson {
    RecentJson {
        version: recent.version.0,
        file_id: recent.file.0,
        device_id: recent.device.as_str().to_owned(),
        path: PathJson::of(&recent.path),
        size: recent.size,
        arrived_ms: recent.arrived.0,
        first: recent.is_first,
    }
}
