//! `tests/run` fails when it cannot have what the tests need: it never passes by leaving something out.
//!
//! It is run with a `PATH` of its own: links to everything that is on this machine, but for what a test takes away. What installs
//! (apt-get, npm) and who asks (id) are stand-ins there, as a test may not remove a program from the machine.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A machine on which some programs are missing and others were replaced by these lines of shell.
struct Machine(TempDir);

impl Machine {
    fn without(missing: &[&str], replaced: &[(&str, &str)]) -> Machine {
        let place = TempDir::with_prefix_in("runner-", env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let path = std::env::var_os("PATH").expect("a PATH");
        for folder in std::env::split_paths(&path) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let taken = missing.iter().chain(replaced.iter().map(|(name, _)| name)).any(|taken| name == *taken);
                if !taken {
                    // One that an earlier folder has counts.
                    let _ = symlink(entry.path(), place.path().join(name));
                }
            }
        }
        for (name, lines) in replaced {
            let file = place.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{lines}\n")).expect("write a stand-in");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("make it a program");
        }
        Machine(place)
    }

    /// With no tools of an earlier run, which would hide what is missing.
    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run"));
        let tools = self.0.path().join("no tools yet");
        command.args(words).env("PATH", self.0.path()).env("RBACKUP_TOOLS", tools).output().expect("tests/run runs")
    }
}

/// It ended with an error, said this, and did not say that anything passed.
#[track_caller]
fn fails(machine: &Machine, words: &[&str], why: &str) {
    let ended = machine.run(words);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{words:?} ended with 0:\n{said}");
    assert!(said.contains(why), "{words:?} does not say {why:?} but:\n{said}");
    assert!(!said.contains(" passed"), "{words:?}:\n{said}");
}

/// What the others are compared with: with everything there it passes, and says how long that took.
#[test]
fn with_everything_there_it_passes_and_prints_seconds() {
    let ended = Machine::without(&[], &[("apt-get", "exit 100")]).run(&["tools"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let row = said.lines().find(|line| line.starts_with("tools ")).expect("a row of the table");
    let seconds = row.trim_start_matches("tools").trim().strip_suffix(" s").expect("seconds");
    seconds.parse::<u64>().unwrap_or_else(|_| panic!("no seconds: {row}"));
    assert!(said.ends_with("1 passed, 0 failed\n"), "{said}");
}

#[test]
fn a_package_that_cannot_be_had_fails_it() {
    let refusing = ("apt-get", "echo 'no network' >&2; exit 100");
    fails(&Machine::without(&["restic"], &[refusing]), &["tools"], "stage tools FAILED");
    fails(&Machine::without(&["chromium"], &[refusing]), &["web"], "stage web FAILED");
    fails(&Machine::without(&["python3"], &[refusing]), &["openapi"], "stage openapi FAILED");
    // One that believes to have installed it, and has not.
    fails(&Machine::without(&["restic"], &[("apt-get", "exit 0")]), &["tools"], "restic is still missing");
    fails(&Machine::without(&["npm"], &[("apt-get", "exit 0")]), &["web"], "npm is still missing");
}

#[test]
fn without_root_it_says_so() {
    let somebody = ("id", "echo 1000");
    fails(&Machine::without(&[], &[somebody]), &["tools"], "must run as root");
}

#[test]
fn a_stage_that_fails_ends_it_and_an_unknown_one_does_not_begin_it() {
    fails(&Machine::without(&[], &[("cargo", "exit 101")]), &["format", "tools"], "stage format FAILED");
    fails(&Machine::without(&[], &[]), &["tools", "nonsense"], "no stage nonsense");
}

/// What comes from PyPI and crates.io, on a machine that reaches neither.
#[test]
fn a_tool_that_cannot_be_had_fails_it() {
    let refusing = ("apt-get", "exit 100");
    let alone = Machine::without(&[], &[refusing, ("python3", "echo 'no network' >&2; exit 1")]);
    fails(&alone, &["openapi"], "schemathesis cannot be had from PyPI");
    fails(&alone, &["openapi"], "stage openapi FAILED");
    fails(&Machine::without(&[], &[("cargo", "echo 'no network' >&2; exit 101")]), &["deny"], "stage deny FAILED");
}
