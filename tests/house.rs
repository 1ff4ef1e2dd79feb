//! The walls of the house. A room that reaches where it must not, a file or function that grew too long, a test file that
//! nobody runs, an example that does not parse: each is found here, so that nobody has to remember it. Every check is a
//! pure function over (path, text), and the last tests show each of them a planted violation.

use std::fs;
use std::path::Path;

/// Room → what it may import besides itself. `app` and `cli` are the front of the house.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("wire", &["model"]),
    ("chunk", &["model"]),
    ("store", &["model"]),
    ("service", &["store", "chunk", "model"]),
    ("worker", &["service", "model"]),
    ("server", &["service", "wire", "model"]),
    ("client", &["wire", "model"]),
    ("config", &["model"]),
    ("cli", &["app", "client", "config", "service", "wire", "model"]),
];

/// Crate → the rooms that may name it.
const MAY_NAME: [(&str, &[&str]); 3] =
    [("sled", &["store"]), ("warp", &["server"]), ("serde_json", &["wire", "server", "client", "cli"])];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// The first directory or file name below `src/`.
fn room(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

/// The lines that are code: comments are words, and words may name anything.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or(line))
}

fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(prefix).skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(rest))
}

fn forbidden_imports(path: &str, text: &str) -> Vec<String> {
    let own = room(path);
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == own) else { return Vec::new() };
    let named = code(text).flat_map(|line| names_after(line, "crate::"));
    let rooms = MAY_IMPORT.iter().map(|(name, _)| *name).chain(["app"]).collect::<Vec<_>>();
    let wrong = named.filter(|name| rooms.contains(name) && *name != own && !allowed.contains(name));
    wrong.map(|name| format!("{path} imports crate::{name} ({own} may import: {})", allowed.join(", "))).collect()
}

fn forbidden_names(path: &str, text: &str) -> Vec<String> {
    let own = room(path);
    let mut wrong = Vec::new();
    for (name, rooms) in MAY_NAME {
        let said = code(text).any(|line| {
            line.match_indices(&format!("{name}::"))
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        if said && !rooms.contains(&own) {
            wrong.push(format!("{path} names {name}, which only {} may", rooms.join(", ")));
        }
    }
    wrong
}

fn too_long(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!("{path} has {lines} lines, at most {FILE_LINES_MAX}"));
    }
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let starts = line.split_whitespace().take_while(|word| *word != "fn").count();
        if starts > 4 || !line.contains("fn ") || !line.trim_end().ends_with('{') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let end = lines[at..].iter().position(|line| **line == closing).unwrap_or(0);
        if end >= FUNCTION_LINES_MAX {
            wrong.push(format!("{path}:{}: a function of {} lines, at most {FUNCTION_LINES_MAX}", at + 1, end + 1));
        }
    }
    wrong
}

fn undeclared(main: &str, files: &[String]) -> Vec<String> {
    let declared = |name: &str| main.lines().any(|line| line.trim() == format!("mod {name};"));
    let missing = files.iter().filter(|name| *name != "main" && !declared(name));
    missing.map(|name| format!("{name}.rs is not declared in main.rs, so nobody runs it")).collect()
}

/// All files below `dir` with this ending, as paths from the project's root.
fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {dir}");
    found
}

fn all(check: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    files("src", "rs").iter().flat_map(|(path, text)| check(path, text)).collect()
}

#[test]
fn rooms_import_only_what_the_plan_allows() {
    assert_eq!(all(forbidden_imports), [""; 0]);
}

#[test]
fn sled_warp_and_json_stay_in_their_rooms() {
    assert_eq!(all(forbidden_names), [""; 0]);
}

#[test]
fn files_and_functions_stay_short() {
    assert_eq!(all(too_long), [""; 0]);
}

#[test]
fn every_file_of_a_test_binary_is_run() {
    for dir in ["tests/suite", "tests/edge"] {
        let below = format!("{dir}/");
        let names = files(dir, "rs").into_iter().filter_map(|(path, _)| {
            path.strip_prefix(&below)
                .filter(|name| !name.contains('/'))
                .map(|name| name.trim_end_matches(".rs").to_owned())
        });
        let main =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir).join("main.rs")).expect("main.rs");
        assert_eq!(undeclared(&main, &names.collect::<Vec<_>>()), [""; 0]);
    }
}

#[test]
fn every_example_configuration_is_accepted() {
    for (path, _) in files("examples/config", "toml") {
        let config = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path));
        let overrides = rbackup::config::Overrides { config, data: Some("/data".into()), ..Default::default() };
        let loaded = rbackup::config::Config::load(overrides);
        assert!(loaded.is_ok(), "{path}: {loaded:?}");
    }
}

#[test]
fn planted_violations_are_found() {
    let import = "use crate::store::Store;";
    assert_eq!(forbidden_imports("src/server/api/x.rs", import).len(), 1);
    assert_eq!(forbidden_imports("src/service/x.rs", import).len(), 0);
    assert_eq!(forbidden_imports("src/server/x.rs", "// crate::store is elsewhere").len(), 0);
    assert_eq!(forbidden_names("src/service/x.rs", "let x: sled::Db;").len(), 1);
    assert_eq!(forbidden_names("src/store/x.rs", "let x: sled::Db;").len(), 0);
    assert_eq!(forbidden_names("src/service/x.rs", "Error::sled(1)").len(), 0);
    assert_eq!(too_long("src/x.rs", &"\n".repeat(401)).len(), 1);
    let long = format!("    pub fn f() {{\n{}    }}\n", "        x();\n".repeat(70));
    assert_eq!(too_long("src/x.rs", &long).len(), 1);
    assert_eq!(too_long("src/x.rs", &long.replacen("        x();\n", "", 10)).len(), 0);
    assert_eq!(undeclared("mod a;\n", &["a".to_owned(), "b".to_owned()]).len(), 1);
}
