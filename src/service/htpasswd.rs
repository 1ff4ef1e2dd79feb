//! Names and passwords as Apache's htpasswd writes them, for a server without accounts of its own.
//!
//! Promises: bcrypt and `{SHA}` only; what changes in the file counts without a restart; a password is verified once in ten
//! minutes and not once per request, and only what was right is remembered, under a hash with a key of this process.
//! Never: keeps a password, takes a line it does not understand for a password, or forgets the last good file for a bad one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::Secret;
use crate::model::random::random;

/// A removed user is refused at once all the same; see [`Users::look`].
const REMEMBERED: Duration = Duration::from_secs(600);
/// When it is full everything is verified anew.
const REMEMBERED_MAX: usize = 1024;
/// htpasswd writes the file in place: one that is younger may not be whole yet.
const SETTLED: Duration = Duration::from_secs(1);
/// Ten thousand users; a larger file is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who may sign in.
pub struct Users {
    file: Option<PathBuf>,
    key: [u8; 32],
    state: Mutex<State>,
}

struct State {
    seen: Option<Seen>,
    users: HashMap<String, Proof>,
    remembered: HashMap<[u8; 32], Instant>,
}

/// By what a file is known to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

/// What a password is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Bcrypt(String),
    Sha1([u8; 20]),
    /// A keyed hash of a password that was given on the command line.
    Keyed([u8; 32]),
}

impl Users {
    /// The users of an htpasswd file.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let users = Self { file: Some(path.to_owned()), ..Self::nobody()? };
        let (seen, read) = read(path)?;
        *users.state() = State { seen: Some(seen), users: read, remembered: HashMap::new() };
        Ok(users)
    }

    /// One user.
    pub fn single(name: &str, password: &Secret<String>) -> io::Result<Self> {
        let users = Self::nobody()?;
        let proof = Proof::Keyed(users.hash(name, password));
        users.state().users.insert(name.to_owned(), proof);
        Ok(users)
    }

    fn nobody() -> io::Result<Self> {
        let state = State { seen: None, users: HashMap::new(), remembered: HashMap::new() };
        Ok(Self { file: None, key: random()?, state: Mutex::new(state) })
    }

    /// Whether the pair was verified a moment ago. Quick, but it asks the file system whether the file has changed.
    pub fn remembers(&self, name: &str, password: &Secret<String>) -> bool {
        self.look();
        let hash = self.hash(name, password);
        self.state().remembered.get(&hash).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    /// Whether name and password belong together. Takes as long as the file's bcrypt, also for unknown names.
    pub fn verify(&self, name: &str, password: &Secret<String>) -> bool {
        if self.remembers(name, password) {
            return true;
        }
        let (proof, other) = {
            let state = self.state();
            let mut others = state.users.values();
            (state.users.get(name).cloned(), others.find(|proof| matches!(proof, Proof::Bcrypt(_))).cloned())
        };
        let Some(proof) = proof else {
            // The same work, so that the time does not tell which names there are.
            if let Some(other) = other {
                self.proves(&other, name, password);
            }
            return false;
        };
        let right = self.proves(&proof, name, password);
        if right {
            let hash = self.hash(name, password);
            let mut state = self.state();
            // The file may have changed meanwhile.
            if state.users.get(name) == Some(&proof) {
                state.remember(hash);
            }
        }
        right
    }

    fn proves(&self, proof: &Proof, name: &str, password: &Secret<String>) -> bool {
        match proof {
            Proof::Bcrypt(hash) => bcrypt::verify(password.reveal(), hash).unwrap_or(false),
            Proof::Sha1(hash) => {
                let given = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, password.reveal().as_bytes());
                same(given.as_ref(), hash)
            }
            Proof::Keyed(hash) => same(&self.hash(name, password), hash),
        }
    }

    /// Reads the file again when it is another one than it was.
    fn look(&self) {
        let Some(path) = &self.file else { return };
        let Ok(now) = fs::metadata(path).map(|about| Seen::of(&about)) else { return };
        if self.state().seen.as_ref() == Some(&now) || !now.is_settled() {
            return;
        }
        match read(path) {
            Ok((seen, users)) => *self.state() = State { seen: Some(seen), users, remembered: HashMap::new() },
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "the password file cannot be read; its users stay")
            }
        }
    }

    /// The length stands before the name, so that no other pair has the same bytes.
    fn hash(&self, name: &str, password: &Secret<String>) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(password.reveal().as_bytes());
        hasher.finalize().into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, hash: [u8; 32]) {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(hash, Instant::now());
    }
}

impl Seen {
    fn of(about: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { modified: about.modified().ok(), bytes: about.len(), inode: about.ino() }
    }

    /// Whether whoever wrote it has ended, as far as one can tell.
    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|at| at.elapsed().ok());
        age.is_none_or(|age| age >= SETTLED)
    }
}

/// BLAKE3's comparison takes the same time wherever they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

fn read(path: &Path) -> io::Result<(Seen, HashMap<String, Proof>)> {
    let about = fs::metadata(path)?;
    if about.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long for a password file"));
    }
    Ok((Seen::of(&about), parse(&fs::read_to_string(path)?)))
}

/// The first line of a name counts, as with Apache.
fn parse(text: &str) -> HashMap<String, Proof> {
    let mut users = HashMap::new();
    let mut met = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line_number = number + 1;
        let user = line.split_once(':').filter(|(name, _)| is_name(name));
        let Some((name, proof)) = user.and_then(|(name, hash)| Some((name, proof_of(hash)?))) else {
            tracing::warn!(line_number, "a line of the password file is ignored: {}", why_ignored(line));
            continue;
        };
        if met.insert(name) {
            users.insert(name.to_owned(), proof);
        }
    }
    users
}

/// `htpasswd` without a flag writes a kind that is not read here.
fn why_ignored(line: &str) -> &'static str {
    match line.split_once(':') {
        Some((_, hash)) if hash.starts_with("$apr1$") => "$apr1$ is not supported; make it with `htpasswd -B`",
        _ => "no name, or neither bcrypt nor {SHA}",
    }
}

/// Names that are safe as the first segment of a repository's path.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-'))
}

fn proof_of(hash: &str) -> Option<Proof> {
    if let Some(digits) = hash.strip_prefix("{SHA}") {
        return STANDARD.decode(digits).ok()?.try_into().ok().map(Proof::Sha1);
    }
    let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind)) && hash.len() == 60;
    is_bcrypt.then(|| Proof::Bcrypt(hash.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Apache's htpasswd wrote for `secret` with -bnBC 4 and with -bns.
    const BCRYPT: &str = "$2y$04$7WT2tnHhw/TiQshnCrZMyOyXbDn.H4HKvLrMCqut9vn4ch0xsxZQe";
    const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn aged(path: &Path, text: &str, age: Duration) {
        fs::write(path, text).expect("written");
        let file = fs::File::options().write(true).open(path).expect("open");
        file.set_modified(SystemTime::now() - age).expect("dated");
    }

    #[test]
    fn passwords_of_both_kinds_are_verified_and_the_cache_confuses_nobody() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("htpasswd");
        fs::write(&path, format!("# users\nann:{BCRYPT}\nbob:{SHA}\nap:$apr1$x$y\nsl/ash:{SHA}\nann:{SHA}\n"))
            .expect("written");
        let users = Users::of_file(&path).expect("read");
        for _ in 0..3 {
            assert!(users.verify("ann", &secret("secret")));
            assert!(!users.verify("ann", &secret("Secret")));
            assert!(users.verify("bob", &secret("secret")));
            for (name, password) in [("bob", "secret2"), ("ap", "x"), ("sl/ash", "secret"), ("", ""), ("an", "nsecret")]
            {
                assert!(!users.verify(name, &secret(password)), "{name}");
            }
        }
        assert!(users.remembers("ann", &secret("secret")) && !users.remembers("ann", &secret("Secret")));
    }

    #[test]
    fn whoever_has_apaches_own_kind_is_told_how_to_make_another() {
        assert!(why_ignored("ann:$apr1$x$y").contains("htpasswd -B"));
        for line in ["ann:$5$x$y", "ann", "", ":$apr"] {
            assert!(!why_ignored(line).contains("apr1"), "{line}");
        }
    }

    #[test]
    fn a_changed_file_counts_once_it_has_settled_and_a_lost_one_changes_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("htpasswd");
        aged(&path, &format!("ann:{SHA}\n"), Duration::from_secs(60));
        let users = Users::of_file(&path).expect("read");
        assert!(users.verify("ann", &secret("secret")));
        fs::write(&path, "").expect("being written");
        assert!(users.verify("ann", &secret("secret")), "it is not taken for whole yet");
        aged(&path, &format!("bob:{SHA}\n"), Duration::from_secs(30));
        assert!(users.verify("bob", &secret("secret")), "the new one");
        assert!(!users.verify("ann", &secret("secret")), "the removed one, although remembered");
        fs::remove_file(&path).expect("removed");
        assert!(users.verify("bob", &secret("secret")));
    }

    #[test]
    fn one_user_of_the_command_line() {
        let users = Users::single("ann", &secret("secret")).expect("random");
        assert!(users.verify("ann", &secret("secret")));
        assert!(!users.verify("ann", &secret("secre")) && !users.verify("annsec", &secret("ret")));
    }
}
