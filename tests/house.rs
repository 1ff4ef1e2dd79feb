//! The walls of the house (`ARCHITECTURE.md`), as tests: which room may use which, who may name sled, warp and serde_json,
//! how long files and functions may be, that no test file lies about unused, and that every example configuration is one.
//!
//! Each rule is a pure function over a path and a text, and is first shown a planted violation: a rule that cannot fail
//! holds nothing. What breaks here is not the product but the plan; move the code, or change the plan and say why.

#[path = "house/rust.rs"]
mod rust;

use rbackup::config::{Config, Overrides};
use std::path::{Path, PathBuf};

/// The rooms and what each may import besides itself.
const ROOMS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("wire", &["model"]),
    ("chunk", &["model"]),
    ("store", &["model"]),
    ("service", &["store", "chunk", "model"]),
    ("worker", &["service", "model"]),
    ("server", &["service", "wire", "model"]),
    ("client", &["wire", "model"]),
    ("config", &["model"]),
    ("app", &["server", "worker", "service", "client", "config", "store", "chunk", "wire", "model"]),
    ("cli", &["app", "client", "config", "service", "wire", "model"]),
];

/// Libraries that live in some rooms only.
const LODGERS: [(&str, &[&str]); 3] =
    [("sled", &["store"]), ("warp", &["server"]), ("serde_json", &["wire", "server", "client", "cli"])];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn rooms_import_only_what_the_plan_allows() {
    let planted = [
        ("src/store/log.rs", "use crate::service::Session;"),
        ("src/chunk/cut.rs", "fn f() { crate::store::open() }"),
        ("src/server/api/files.rs", "use crate::{model::FileId, store::Store};"),
        ("src/server/api/files.rs", "use crate::{\n    model,\n    chunk::{cut, seal},\n};"),
        ("src/wire/mod.rs", "use super::service;"),
        ("src/store/rows/page.rs", "use super::super::super::service::Error;"),
        ("src/config/mod.rs", "mod tests { use super::super::app; }"),
        ("src/app.rs", "use crate::cli::exit;"),
        ("src/cli/check.rs", "use crate::store::Store;"),
        ("src/cellar/mod.rs", "fn a_room_that_is_not_in_the_plan() {}"),
    ];
    for (path, text) in planted {
        assert_eq!(walls(path, text).len(), 1, "planted, and seen once: {path}: {text}");
    }
    let fine = [
        ("src/service/upload.rs", "use crate::{chunk::{cut, seal}, model, store::Store}; // not crate::server"),
        ("src/server/mod.rs", "fn f() { let s = \"crate::store\"; } /* crate::store */ use super::server::api;"),
        ("src/wire/file.rs", "use super::json;\n#[cfg(test)]\nmod tests { use super::super::json; }"),
        ("src/main.rs", "fn main() { rbackup::cli::run() }"),
    ];
    for (path, text) in fine {
        assert_eq!(walls(path, text), [""; 0], "{text}");
    }
    hold(walls);
}

#[test]
fn sled_warp_and_serde_json_stay_in_their_rooms() {
    let planted = [
        ("src/service/upload.rs", "fn f(db: &sled::Db) {}"),
        ("src/app.rs", "use sled::Config;"),
        ("src/cli/serve.rs", "use warp::{Filter, Reply};"),
        ("src/service/listing.rs", "let text = serde_json::to_string(&file);"),
        ("src/main.rs", "use sled as database;"),
    ];
    for (path, text) in planted {
        assert_eq!(lodgers(path, text).len(), 1, "planted: {path}: {text}");
    }
    for (path, text) in
        [("src/store/volume.rs", "use sled::Db;"), ("src/app.rs", "// sled::Db\nlet warped = timewarp::now();")]
    {
        assert_eq!(lodgers(path, text), [""; 0], "{text}");
    }
    hold(lodgers);
}

#[test]
fn only_the_guard_lets_anybody_into_a_repository() {
    for text in
        ["RepoAccess::new(&owner, repo, Rights::FULL)", "services.local_owner()", "services . owner_named(&name)"]
    {
        let planted = format!("fn f() {{ {text}; }}");
        assert_eq!(doors("src/server/restic/object.rs", &planted).len(), 1, "planted: {text}");
        assert_eq!(doors("src/server/guard/basic.rs", &planted), [""; 0], "{text}");
    }
    assert_eq!(
        doors("src/server/restic/mod.rs", "use crate::service::restic::RepoAccess; // RepoAccess::new(…)"),
        [""; 0]
    );
    hold(doors);
}

#[test]
fn files_and_functions_stay_short() {
    let long_file = "fn f() {}\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(lengths("src/a.rs", &long_file).len(), 1, "a planted long file");
    let body = "    let x = \"}\"; // }\n".repeat(FUNCTION_LINES_MAX);
    let long_function = format!(
        "impl A {{\n    pub fn short() {{}}\n    async fn long<'a>(x: &'a [u8; {{ 4 }}]) -> char {{\n{body}    '{{' }}\n}}\n"
    );
    assert_eq!(lengths("src/a.rs", &long_function).len(), 1, "a planted long function");
    let short = "trait A { fn f(); }\nfn g() where A: B {\n    /* { */ r#\"{\"#;\n}\n".to_owned()
        + &"\n".repeat(80)
        + "fn h() {}\n";
    assert_eq!(lengths("src/a.rs", &short), [""; 0]);
    hold(lengths);
}

#[test]
fn no_test_file_lies_about_unused() {
    let main = "//! mod forgotten;\nmod account;\n#[path = \"../kit/mod.rs\"]\nmod kit;\n";
    assert!(undeclared("account", main).is_none());
    assert!(undeclared("forgotten", main).is_some(), "a planted file that nobody declares");
    let mut wrong = Vec::new();
    let mut folders = 0;
    for root in files(&top().join("tests")).into_iter().filter(|path| is_root(path)) {
        let (folder, text) = (root.parent().expect("a folder").to_owned(), read(&root));
        let names = files(&folder).into_iter().filter(|path| path.parent() == Some(&folder) && *path != root).map(stem);
        wrong.extend(names.filter_map(|name| undeclared(&name, &text)));
        folders += 1;
    }
    assert!(folders > 15, "only {folders} folders were looked at");
    let manifest = read(&top().join("Cargo.toml"));
    for path in files(&top().join("tests")).into_iter().filter(|path| path.parent() == Some(&top().join("tests"))) {
        let entry = format!("path = \"tests/{}.rs\"", stem(path));
        if !manifest.contains(&entry) {
            wrong.push(format!("Cargo.toml has no [[test]] with {entry}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a file declares what else is in its folder.
fn is_root(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "mod.rs" || name == "main.rs")
}

#[test]
fn every_file_says_first_what_it_is_about() {
    assert_eq!(first_lines("src/a.rs", "use x;\n").len(), 1, "a planted file without a first line");
    assert_eq!(first_lines("src/a.rs", "//! What it promises.\n"), [""; 0]);
    hold(first_lines);
}

#[test]
fn every_example_configuration_is_one() {
    let place = tempfile::tempdir().expect("a directory");
    let load = |config: PathBuf| {
        Config::load(Overrides { config: Some(config), data: Some(place.path().into()), ..Overrides::default() })
    };
    let planted = place.path().join("bad.toml");
    std::fs::write(&planted, "[server]\nlisten_at = \"127.0.0.1:1\"\n").expect("write it");
    assert!(load(planted).is_err(), "a planted unknown key");
    let mut seen = 0;
    for entry in std::fs::read_dir(top().join("examples/config")).expect("examples/config is there").flatten() {
        if entry.path().extension().is_some_and(|kind| kind == "toml") {
            seen += 1;
            let loaded = load(entry.path()).map(|_| ());
            assert!(loaded.is_ok(), "{:?}: {loaded:?}", entry.path());
        }
    }
    assert!(seen > 0, "examples/config has a configuration");
}

#[test]
fn unsafe_code_stands_where_the_security_policy_says() {
    let policy = read(&top().join("SECURITY.md"));
    let named = |path: &str| policy.contains(&format!("`{path}`"));
    let strays = |path: &str, text: &str| {
        let code = rust::code_only(text);
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") && !named(path)
    };
    assert!(strays("src/model/id.rs", "fn f() { unsafe { g() } }"), "planted: a file that the policy does not name");
    assert!(
        !strays("src/model/id.rs", "// unsafe\n#![forbid(unsafe_code)]"),
        "neither a comment nor the lint is unsafe"
    );
    let sources = files(&top().join("src"));
    let name = |path: &PathBuf| path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned();
    let found: Vec<String> = sources.iter().filter(|path| strays(&name(path), &read(path))).map(name).collect();
    assert_eq!(found, [""; 0], "unsafe, and not named in SECURITY.md");
}

/// Runs a rule over every file of `src/`.
fn hold(rule: fn(&str, &str) -> Vec<String>) {
    let sources = files(&top().join("src"));
    assert!(sources.len() > 20, "the sources were found");
    let mut wrong = Vec::new();
    for path in sources {
        let name = path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned();
        wrong.extend(rule(&name, &read(&path)).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The room of a file, or of the module in it; none for `main.rs` and `lib.rs`.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?.trim_end_matches(".rs");
    (!["main", "lib"].contains(&first)).then_some(first)
}

fn walls(path: &str, text: &str) -> Vec<String> {
    let Some(own) = room(path) else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == own) else {
        return vec![format!("the plan has no room {own}")];
    };
    let code = rust::code_only(text);
    let named = rust::rooms_named(path, &code);
    let foreign = named.into_iter().filter(|name| name != own && !allowed.contains(&name.as_str()));
    foreign.map(|name| format!("{own} may not import {name}")).collect()
}

fn lodgers(path: &str, text: &str) -> Vec<String> {
    let code = rust::code_only(text);
    let own = room(path).unwrap_or("main.rs or lib.rs");
    let strangers = LODGERS.iter().filter(|(name, rooms)| !rooms.contains(&own) && rust::names_crate(&code, name));
    strangers.map(|(name, rooms)| format!("{own} names {name}, which lives in {}", rooms.join(", "))).collect()
}

/// What makes access to a repository, named where it is not decided who asks.
fn doors(path: &str, text: &str) -> Vec<String> {
    let allowed = ["src/server/guard/", "src/service/restic/"];
    if allowed.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let code: String = rust::code_only(text).split_whitespace().collect();
    let named = ["RepoAccess::new(", ".local_owner(", ".owner_named("].into_iter().filter(|door| code.contains(door));
    named.map(|door| format!("{door}…) belongs into src/server/guard")).collect()
}

fn lengths(_: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!("{lines} lines, at most {FILE_LINES_MAX}"));
    }
    for (name, lines) in rust::functions(&rust::code_only(text)) {
        if lines > FUNCTION_LINES_MAX {
            wrong.push(format!("fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}"));
        }
    }
    wrong
}

fn first_lines(_: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") { Vec::new() } else { vec!["does not begin with what it promises (//!)".to_owned()] }
}

fn undeclared(name: &str, root: &str) -> Option<String> {
    let declared = [format!("mod {name};"), format!("pub mod {name};")];
    let found = root.lines().any(|line| declared.iter().any(|text| line.trim() == text));
    (!found).then(|| format!("{name}.rs is declared nowhere and never runs"))
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn stem(path: PathBuf) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// All Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    let mut found: Vec<PathBuf> = below.filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect();
    found.sort();
    found
}
