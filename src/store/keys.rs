//! The catalog's keys: one letter for the kind, then fixed-size big-endian ids, then text. Pure.
//!
//! A file's row, its versions and their removals lie side by side in this order, so a listing is one scan.

/// Everything of one kind lies between its letter and the next.
const ACCOUNT: u8 = b'a';
const ACCOUNT_NAME: u8 = b'n';
const REMOVED_ACCOUNT: u8 = b'z';
const DEVICE: u8 = b'd';
const DEVICE_COUNT: u8 = b'e';
const SESSION: u8 = b's';
const BROWSER: u8 = b'b';
const TOKEN: u8 = b't';
const ACCOUNT_TOKEN: u8 = b'k';
const INVITE: u8 = b'i';
const FILE: u8 = b'f';
const VERSION_FILE: u8 = b'v';
const PATH: u8 = b'p';
const CHUNK: u8 = b'c';
const QUOTA: u8 = b'g';
const USAGE_NOTED: u8 = b'u';
const REPO: u8 = b'r';
const OBJECT: u8 = b'o';
const REMOVED_OBJECT: u8 = b'q';
const REMOVED_REPO: u8 = b'x';
const AUDIT: u8 = b'w';

/// All keys: each begins with a letter.
pub fn everything() -> Range {
    (vec![0], vec![0xff])
}

/// Whether it is the key of a frame's place.
pub fn is_chunk(key: &[u8]) -> bool {
    key.first() == Some(&CHUNK)
}

/// Whether it is the key of a version's file.
pub fn is_version_file(key: &[u8]) -> bool {
    key.first() == Some(&VERSION_FILE)
}

/// An entry of the audit log, by its number.
pub fn audit(number: u64) -> Vec<u8> {
    key(AUDIT, &[&number.to_be_bytes()])
}

/// The number and hash of the newest one.
pub fn audit_head() -> Vec<u8> {
    key(AUDIT, &[])
}

/// Whether it is the key of an entry of the audit log.
pub fn is_audit(key: &[u8]) -> bool {
    key.first() == Some(&AUDIT) && key.len() > 1
}

/// The account's row.
pub fn account(account: u64) -> Vec<u8> {
    key(ACCOUNT, &[&account.to_be_bytes()])
}

/// A removed account's row.
pub fn removed_account(account: u64) -> Vec<u8> {
    key(REMOVED_ACCOUNT, &[&account.to_be_bytes()])
}

/// How much an account may keep.
pub fn quota(account: u64) -> Vec<u8> {
    key(QUOTA, &[&account.to_be_bytes()])
}

/// There once anything was noted of what accounts store.
pub fn usage_noted() -> Vec<u8> {
    key(USAGE_NOTED, &[])
}

/// Folded name → account id.
pub fn account_name(folded: &str) -> Vec<u8> {
    key(ACCOUNT_NAME, &[folded.as_bytes()])
}

/// The device's row.
pub fn device(account: u64, name: &str) -> Vec<u8> {
    key(DEVICE, &[&account.to_be_bytes(), name.as_bytes()])
}

/// How many devices the account has had.
pub fn device_count(account: u64) -> Vec<u8> {
    key(DEVICE_COUNT, &[&account.to_be_bytes()])
}

/// A session's row, by a hash of its family's name; for one that the first programs opened, by that of its secret.
pub fn session(family: &[u8; 32]) -> Vec<u8> {
    key(SESSION, &[family])
}

/// Hash of a token's secret → its row.
pub fn token(hash: &[u8; 32]) -> Vec<u8> {
    key(TOKEN, &[hash])
}

/// Hash of an invitation's code → its row.
pub fn invite(hash: &[u8; 32]) -> Vec<u8> {
    key(INVITE, &[hash])
}

/// All invitations.
pub fn invites() -> Range {
    (vec![INVITE], vec![INVITE + 1])
}

/// The hash that [`invite`] was made of.
pub fn parse_invite(key: &[u8]) -> Option<[u8; 32]> {
    key.strip_prefix(&[INVITE])?.try_into().ok()
}

/// A token of an account → hash of its secret.
pub fn account_token(account: u64, token: u64) -> Vec<u8> {
    key(ACCOUNT_TOKEN, &[&account.to_be_bytes(), &token.to_be_bytes()])
}

/// The tokens of an account.
pub fn account_tokens(account: u64) -> Range {
    (account_token(account, 0), account_token(account.saturating_add(1), 0))
}

/// The token's number in a key made by [`account_token`].
pub fn parse_account_token(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.get(9..)?.first_chunk::<8>()?))
}

/// The file's row.
pub fn file(account: u64, file: u64) -> Vec<u8> {
    key(FILE, &[&account.to_be_bytes(), &file.to_be_bytes()])
}

/// The version's row, behind its file's.
pub fn version(account: u64, file: u64, version: u64) -> Vec<u8> {
    key(FILE, &[&account.to_be_bytes(), &file.to_be_bytes(), &version.to_be_bytes()])
}

/// The version's removal, behind its version's row.
pub fn removal(account: u64, file: u64, version: u64) -> Vec<u8> {
    key(FILE, &[&account.to_be_bytes(), &file.to_be_bytes(), &version.to_be_bytes(), &[1]])
}

/// Version id → file id.
pub fn version_file(account: u64, version: u64) -> Vec<u8> {
    key(VERSION_FILE, &[&account.to_be_bytes(), &version.to_be_bytes()])
}

/// Path on a device → file id.
pub fn path(account: u64, device: u32, path: &[u8]) -> Vec<u8> {
    key(PATH, &[&account.to_be_bytes(), &device.to_be_bytes(), path])
}

/// The path in a key made by [`path`].
pub fn parse_path(key: &[u8]) -> Option<&[u8]> {
    key.get(13..)
}

/// The accounts.
pub fn accounts() -> Range {
    (vec![ACCOUNT], vec![ACCOUNT + 1])
}

/// A browser's row: like a device's, and beside them.
pub fn browser(account: u64, name: &str) -> Vec<u8> {
    key(BROWSER, &[&account.to_be_bytes(), name.as_bytes()])
}

/// The browsers of an account; [`parse_device`] reads their names.
pub fn browsers(account: u64) -> Range {
    (browser(account, ""), browser(account.saturating_add(1), ""))
}

/// Id of a chunk, manifest or part → its place.
pub fn chunk(id: &[u8; 32]) -> Vec<u8> {
    key(CHUNK, &[id])
}

/// A repository's name → its row.
pub fn repo(account: u64, path: &str) -> Vec<u8> {
    key(REPO, &[&account.to_be_bytes(), path.as_bytes()])
}

/// A removed repository's row.
pub fn removed_repo(account: u64, repo: u64) -> Vec<u8> {
    key(REMOVED_REPO, &[&account.to_be_bytes(), &repo.to_be_bytes()])
}

/// An object's row.
pub fn object(account: u64, repo: u64, kind: u8, name: &[u8; 32]) -> Vec<u8> {
    key(OBJECT, &[&account.to_be_bytes(), &repo.to_be_bytes(), &[kind], name])
}

/// The row of an object that was removed by the record `seq`.
pub fn removed_object(account: u64, repo: u64, kind: u8, name: &[u8; 32], seq: u64) -> Vec<u8> {
    key(REMOVED_OBJECT, &[&account.to_be_bytes(), &repo.to_be_bytes(), &[kind], name, &seq.to_be_bytes()])
}

/// The fields in the key of an object, removed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey {
    /// The account.
    pub account: u64,
    /// The repository's number.
    pub repo: u64,
    /// The byte of its kind.
    pub kind: u8,
    /// Its name.
    pub name: [u8; 32],
}

/// Reads a key made by [`object`] or [`removed_object`].
pub fn parse_object(key: &[u8]) -> Option<ObjectKey> {
    let (account, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (repo, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let name = *rest.first_chunk::<32>()?;
    Some(ObjectKey { account: u64::from_be_bytes(*account), repo: u64::from_be_bytes(*repo), kind: *kind, name })
}

/// Reads a key made by [`repo`].
pub fn parse_repo(key: &[u8]) -> Option<(u64, &str)> {
    let (account, path) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*account), std::str::from_utf8(path).ok()?))
}

/// From and until of a range of rows.
pub type Range = (Vec<u8>, Vec<u8>);

/// The repositories of an account.
pub fn repos(account: u64) -> Range {
    (repo(account, ""), repo(account.saturating_add(1), ""))
}

/// The repositories of all accounts.
pub fn all_repos() -> Range {
    (vec![REPO], vec![REPO + 1])
}

/// The objects of one kind in a repository.
pub fn objects(account: u64, repo: u64, kind: u8) -> Range {
    let at = |kind: u8| key(OBJECT, &[&account.to_be_bytes(), &repo.to_be_bytes(), &[kind]]);
    (at(kind), at(kind + 1))
}

/// The objects of a repository.
pub fn objects_of(account: u64, repo: u64) -> Range {
    let at = |repo: u64| key(OBJECT, &[&account.to_be_bytes(), &repo.to_be_bytes()]);
    (at(repo), at(repo.saturating_add(1)))
}

/// The objects of all repositories.
pub fn all_objects() -> Range {
    (vec![OBJECT], vec![OBJECT + 1])
}

/// The removed objects of all repositories.
pub fn all_removed_objects() -> Range {
    (vec![REMOVED_OBJECT], vec![REMOVED_OBJECT + 1])
}

/// What a key of a file's neighbourhood stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKey {
    /// A file's row.
    File(u64),
    /// A version's row: file, version.
    Version(u64, u64),
    /// A version's removal: file, version.
    Removal(u64, u64),
}

/// Reads a key between [`files_from`] and [`files_until`]; also tells the account.
pub fn parse_file(key: &[u8]) -> Option<(u64, FileKey)> {
    let (letter, rest) = key.split_first()?;
    let (account, rest) = rest.split_first_chunk::<8>()?;
    let (file, rest) = rest.split_first_chunk::<8>()?;
    let (account, file) = (u64::from_be_bytes(*account), u64::from_be_bytes(*file));
    if *letter != FILE {
        return None;
    }
    let Some((version, rest)) = rest.split_first_chunk::<8>() else { return Some((account, FileKey::File(file))) };
    let version = u64::from_be_bytes(*version);
    let key = if rest.is_empty() { FileKey::Version(file, version) } else { FileKey::Removal(file, version) };
    Some((account, key))
}

/// The name in a device's key.
pub fn parse_device(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(9..)?).ok()
}

/// Where the files of an account begin, or all files for account 0.
pub fn files_from(account: u64) -> Vec<u8> {
    file(account, 0)
}

/// Where the files of an account end.
pub fn files_until(account: u64) -> Vec<u8> {
    key(FILE, &[&account.saturating_add(1).to_be_bytes()])
}

/// Where the rows of one file end.
pub fn file_until(account: u64, file: u64) -> Vec<u8> {
    self::file(account, file.saturating_add(1))
}

/// Where all files of all accounts end.
pub fn all_files_until() -> Vec<u8> {
    vec![FILE + 1]
}

/// The devices of an account: from and until.
pub fn devices(account: u64) -> Range {
    (device(account, ""), device(account.saturating_add(1), ""))
}

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(letter);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}
