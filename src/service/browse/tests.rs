//! Pages of folders against what the listing of all files says, over a real store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::model::{Clock, FilePath, Password, Secret, Username};
use crate::service::{Admission, Policy, Services, UploadRequest, Visit, WhichSessions};
use crate::store::{Options, Store};

struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1000, Ordering::SeqCst))
    }
}

struct World {
    services: Services,
    session: Caller,
    clock: Arc<Moved>,
    _place: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path(), Options { ballast_bytes: Some(0), ..Options::DEFAULT }).expect("a store");
        let clock = Arc::new(Moved(AtomicI64::new(1_700_000_000_000)));
        let services = Services::new(store, clock.clone(), Policy::default());
        let (name, password) = (Username::parse("ann".to_owned()).expect("a name"), "a password".to_owned());
        services
            .register(name.clone(), Password::parse(password.clone()).expect("good enough"), &Admission::local())
            .expect("registers");
        let device = DeviceName::parse("laptop".to_owned()).expect("a name");
        let signed_in = services.login(&name, &Secret::new(password), device, &Visit::default()).expect("signs in");
        let session = services.session(signed_in.session_id.reveal()).expect("is live");
        Self { services, session, clock, _place: place }
    }

    fn put(&self, path: &[u8], bytes: &[u8]) -> u64 {
        let path = FilePath::parse(path.to_vec()).expect("a path");
        let request = UploadRequest { path, size: None, size_min: 0, mtime: None, mode: None };
        let mut intake = self.services.upload(&self.session, request).expect("begins");
        intake.push(bytes.to_vec().into()).expect("takes bytes");
        intake.finish(None).expect("commits").id.0
    }

    /// The moment before whatever comes next.
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.0.load(Ordering::SeqCst) - 1)
    }

    fn query(folder: &[u8]) -> FolderQuery {
        FolderQuery {
            device: DeviceName::parse("laptop".to_owned()).expect("a name"),
            folder: folder.to_vec(),
            at: None,
            with_removed: false,
            sort: Sort::Name,
            descending: false,
            after: None,
            limit: 1000,
        }
    }

    /// All entries of a folder, page by page.
    fn walk(&self, mut query: FolderQuery) -> (Vec<Vec<u8>>, Vec<SeenFile>) {
        let (mut folders, mut files, mut pages) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = self.services.folder(&self.session, &query).expect("a page");
            assert!(page.folders.len() + page.files.len() <= query.limit);
            folders.extend(page.folders.into_iter().map(|folder| folder.path));
            files.extend(page.files);
            pages += 1;
            assert!(pages < 1000, "it ends");
            match page.next {
                Some(next) => query.after = Some(Cursor::parse(&next.to_bytes()).expect("a cursor")),
                None => return (folders, files),
            }
        }
    }
}

/// What lies directly in a folder, worked out from all paths.
fn expected(paths: &BTreeSet<Vec<u8>>, folder: &[u8]) -> (BTreeSet<Vec<u8>>, BTreeSet<Vec<u8>>) {
    let (mut folders, mut files) = (BTreeSet::new(), BTreeSet::new());
    for path in paths.iter().filter(|path| path.starts_with(folder)) {
        match path[folder.len()..].iter().position(|byte| is_separator(*byte)) {
            Some(end) => folders.insert(path[..=folder.len() + end].to_vec()),
            None => files.insert(path.clone()),
        };
    }
    (folders, files)
}

fn tree() -> BTreeSet<Vec<u8>> {
    let mut paths = BTreeSet::new();
    for one in 0..40_u32 {
        paths.insert(format!("/home/ann/many/{one:03}/file").into_bytes());
        paths.insert(format!("/home/ann/many/loose {one}").into_bytes());
    }
    for path in [
        "/etc/hosts",
        "/etc/hosts.d/a",
        "/etc/hosts-b",
        "/a/",
        "/a//b",
        "C:\\Users\\ann\\x.txt",
        "C:\\Users\\ann\\sub\\y",
        "mixed\\a/b",
        "mixed/a\\b",
        "bare",
        "/home/ann/ä",
        "/home/ann/many/000/x/y/z",
    ] {
        paths.insert(path.as_bytes().to_vec());
    }
    paths.insert(b"/home/ann/\xff\xfe".to_vec());
    paths
}

#[test]
fn folders_are_what_paths_have_in_common() {
    let world = World::new();
    let paths = tree();
    for path in &paths {
        world.put(path, path);
    }
    let mut folders = vec![Vec::new()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let (want_folders, want_files) = expected(&paths, &folder);
        for limit in [1, 3, 7, 1000] {
            for (sort, descending) in
                [(Sort::Name, false), (Sort::Name, true), (Sort::Size, true), (Sort::Changed, false)]
            {
                let query = FolderQuery { sort, descending, limit, ..World::query(&folder) };
                let (got_folders, got_files) = world.walk(query);
                let files: Vec<Vec<u8>> = got_files.iter().map(|file| file.path.clone()).collect();
                let mut sorted = got_files.clone();
                sorted.sort_by_key(|file| match sort {
                    Sort::Name => (0, file.path.clone()),
                    Sort::Size => (file.size, file.path.clone()),
                    _ => (file.changed.0.cast_unsigned(), file.path.clone()),
                });
                if descending {
                    sorted.reverse();
                }
                assert_eq!(got_files, sorted, "{} by {sort:?}", String::from_utf8_lossy(&folder));
                let context = format!("{:?} limit {limit} {sort:?} {descending}", String::from_utf8_lossy(&folder));
                assert_eq!(got_folders.len(), want_folders.len(), "{context}: no folder twice");
                assert_eq!(files.len(), want_files.len(), "{context}: no file twice");
                assert_eq!(BTreeSet::from_iter(got_folders), want_folders, "{context}");
                assert_eq!(BTreeSet::from_iter(files), want_files, "{context}");
            }
        }
        seen += want_files.len();
        folders.extend(want_folders);
    }
    assert_eq!(seen, paths.len(), "every file was in exactly one folder");
}

#[test]
fn a_folder_is_as_it_was() {
    let world = World::new();
    let start = world.now();
    let first = world.put(b"/d/a", b"1");
    let one = world.now();
    world.put(b"/d/a", b"22");
    world.put(b"/d/later/b", b"333");
    let two = world.now();
    world.services.remove_file(&world.session, FileId(first)).expect("removes");
    let mut at: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    at.extend([("start", Some(start)), ("one", Some(one)), ("two", Some(two)), ("now", None)]);
    let look = |when: &str, with_removed: bool| {
        let query = FolderQuery { at: at[when], with_removed, ..World::query(b"/d/") };
        let (folders, files) = world.walk(query);
        (folders.len(), files.iter().map(|file| (file.size, file.versions, file.presence == Presence::There)).collect())
    };
    let none: Vec<(u64, u64, bool)> = Vec::new();
    assert_eq!(look("start", true), (0, none.clone()));
    assert_eq!(look("one", false), (0, vec![(1, 1, true)]));
    assert_eq!(look("two", false), (1, vec![(2, 2, true)]));
    assert_eq!(look("now", false), (1, none));
    assert_eq!(look("now", true), (1, vec![(2, 0, false)]));
}

#[test]
fn versions_come_newest_first_and_by_the_page() {
    let world = World::new();
    let ids: Vec<u64> = (0..5_u8).map(|size| world.put(b"/f", &vec![0; size.into()])).collect();
    let file = FileId(ids[0]);
    let (mut sizes, mut after) = (Vec::new(), None);
    loop {
        let page = world.services.versions(&world.session, file, after.as_ref(), 2).expect("a page");
        sizes.extend(page.versions.iter().map(|past| past.version.size));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(sizes, [4, 3, 2, 1, 0]);
    assert!(world.services.versions(&world.session, FileId(99), None, 2).is_err());
}

#[test]
fn a_search_finds_what_the_listing_has() {
    let world = World::new();
    let paths = tree();
    for path in &paths {
        world.put(path, b"x");
    }
    let query = SearchQuery::parse("loose").expect("words");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.services.search(&world.session, &query, after.as_ref(), 3).expect("a page");
        found.extend(page.matches.into_iter().map(|one| one.file.path));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let want: Vec<Vec<u8>> = paths.into_iter().filter(|path| String::from_utf8_lossy(path).contains("loose")).collect();
    assert_eq!(found, want);
}

#[test]
fn an_overview_counts_what_is_there() {
    let world = World::new();
    world.put(b"/a", b"12345");
    world.put(b"/a", b"123");
    let gone = world.put(b"/b", b"1");
    world.services.remove_file(&world.session, FileId(gone)).expect("removes");
    let overview = world.services.overview(&world.session).expect("counts");
    let device = &overview.devices[0];
    assert_eq!((device.files, device.versions, device.bytes, device.bytes_of_versions), (1, 2, 3, 8));
    assert_eq!(device.days.iter().sum::<u64>(), 3);
    assert_eq!(overview.recent.iter().map(|recent| recent.size).collect::<Vec<_>>(), [3, 5]);
    assert!(device.last_upload.is_some());
}

#[test]
fn browsers_are_no_devices() {
    let world = World::new();
    let name = Username::parse("ann".to_owned()).expect("a name");
    let password = Secret::new("a password".to_owned());
    let browser = DeviceName::parse("laptop".to_owned()).expect("a name");
    let sign_in =
        |browser| world.services.sign_in_browser(&name, &password, browser, &Visit::default()).expect("signs in");
    let (first, before) = sign_in(browser.clone());
    assert_eq!(before.expect("the device's").name, "laptop");
    assert!(world.services.session(first.session_id.reveal()).expect("is live").browser().is_some());
    let (second, _) = sign_in(browser);
    assert!(world.services.session(first.session_id.reveal()).is_err(), "one for each browser's name");
    let session = world.services.session(second.session_id.reveal()).expect("is live");
    assert_eq!(
        world.services.devices(&session).expect("lists"),
        [DeviceName::parse("laptop".to_owned()).expect("one")]
    );
    world.put(b"/still", b"the device of that name goes on");
    let tablet = DeviceName::parse("tablet".to_owned()).expect("a name");
    assert!(world.services.add_device(&session, tablet.clone()).expect("adds"));
    assert!(!world.services.add_device(&session, tablet.clone()).expect("is there"));
    assert!(world.services.on_behalf_of(&session, tablet).is_ok());
    world.services.end_sessions(&session, &WhichSessions::Current).expect("signs out");
    assert!(world.services.session(second.session_id.reveal()).is_err());
}

/// Who, when and until when: what a page of versions shows is the row of the removal's record.
#[test]
fn a_removal_says_who_asked_for_it_and_how_long_it_is_held() {
    let world = World::new();
    let file = FileId(world.put(b"/a", b"content"));
    let removal = || {
        let page = world.services.versions(&world.session, file, None, 10).expect("a page");
        page.versions[0].removed.clone()
    };
    assert_eq!(removal(), None, "nobody has removed it yet");
    let before = world.now().0;
    world.services.remove_file(&world.session, file).expect("removed");
    let row = removal().expect("it is removed");
    assert_eq!(row.by, "laptop", "the device whose session asked");
    assert!(before < row.at && row.at <= world.now().0, "{row:?}");
    assert_eq!(row.hold_until - row.at, 7 * 24 * 60 * 60 * 1000, "{row:?}");
}
