//! Any number of pumps, with nobody serving: one of them finds a holder started, the others find it; one that is killed is
//! replaced; one that cannot start says why.

use super::http2::PREFACE;
use super::restic::Running;
use super::site::{Site, holders, signal};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn four_restics_at_once_without_a_server_the_first_killed() {
    let site = Site::new("four");
    let trees: Vec<_> = (0..4).map(|n| site.tree(&format!("tree-{n}"), 24)).collect();
    let repos: Vec<_> = (0..4).map(|n| site.over_stdio(&format!("photos/{n}"), "")).collect();
    // All at once on a directory that nobody has made yet.
    let inits: Vec<Running> = repos.iter().map(|restic| restic.start(&["init"])).collect();
    for init in inits {
        let ended = init.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(holders(&site.data()).len(), 1, "one holds it for all");
    site.wait_until_free();
    let mut backups: Vec<Running> = Vec::new();
    for (restic, tree) in repos.iter().zip(&trees) {
        backups.push(restic.start(&["backup", &tree.to_string_lossy()]));
    }
    // The first one's pump is most likely the one that started the holder.
    std::thread::sleep(Duration::from_millis(700));
    backups.remove(0).kill();
    for backup in backups {
        let ended = backup.end();
        assert_eq!(ended.code, Some(0), "the others go on: {}", ended.stderr);
    }
    for (restic, tree) in repos.iter().zip(&trees) {
        // The lock of the killed one.
        restic.must(&["unlock"]);
        restic.must(&["backup", &tree.to_string_lossy()]);
        restic.must(&["check", "--read-data"]);
        restic.restores(tree);
    }
    site.wait_until_free();
}

#[test]
fn a_killed_holder_is_replaced_and_what_it_acknowledged_is_there() {
    let site = Site::new("replaced");
    let (tree, restic) = (site.tree("tree", 40), site.over_stdio("photos", ""));
    restic.must(&["init"]);
    pump_says_that_its_holder_is_gone(&site);
    let backup = restic.start(&["backup", &tree.to_string_lossy()]);
    std::thread::sleep(Duration::from_millis(600));
    signal("KILL", site.holder().expect("a holder"));
    let ended = backup.end();
    assert!(site.data().join("rbackup.sock").exists(), "it left its socket behind");
    // Killed before the backup knocked, after it, or in between: restic may also be the first to say that it has lost its pump.
    if ended.code != Some(0) {
        assert!(!ended.stderr.trim().is_empty(), "a backup that was lost says so");
    }
    // Many find the stale socket at once.
    let lists: Vec<Running> = (0..6).map(|_| restic.start(&["--no-lock", "list", "keys"])).collect();
    for list in lists {
        let ended = list.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(holders(&site.data()).len(), 1);
    restic.must(&["unlock"]);
    restic.must(&["backup", &tree.to_string_lossy()]);
    restic.must(&["check", "--read-data"]);
    restic.restores(&tree);
}

/// Asked without restic, which may end before it repeats what its pump said.
fn pump_says_that_its_holder_is_gone(site: &Site) {
    let mut pump = site.program();
    pump.args(["serve", "restic", "--stdio", "photos"]);
    let mut pump = pump.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a pump");
    let mut asks = pump.stdin.take().expect("its stdin");
    asks.write_all(PREFACE).expect("a client's preface");
    let mut answer = [0];
    pump.stdout.as_mut().expect("its stdout").read_exact(&mut answer).expect("it is connected");
    signal("KILL", site.holder().expect("a holder"));
    let ended = pump.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("the server closed the connection"), "{said}");
}

#[test]
fn a_server_is_used_when_there_is_one_and_gives_way_when_it_ends() {
    let site = Site::new("served");
    let (tree, restic) = (site.tree("tree", 4), site.over_stdio("photos", ""));
    let server = site.serve();
    restic.must(&["init"]);
    restic.must(&["backup", &tree.to_string_lossy()]);
    assert_eq!(site.holder(), None, "the server serves");
    let socket = site.data().join("rbackup.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.stop().expect("it ends");
    assert!(!socket.exists(), "its socket went with it");
    restic.must(&["check", "--read-data"]);
    assert!(site.holder().is_some());
    site.wait_until_free();
    let server = site.serve();
    server.kill();
    assert!(socket.exists(), "a killed one leaves it");
    restic.restores(&tree);
}

#[test]
fn a_holder_that_lingers_makes_way_for_a_server_and_one_that_works_does_not() {
    let site = Site::new("succeeded");
    let (tree, restic) = (site.tree("tree", 40), site.over_stdio("photos", ""));
    restic.must(&["init"]);
    assert!(site.holder().is_some(), "it lingers");
    let listed = site.program().args(["repo", "list", "--data"]).arg(site.data()).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("photos: "), "asked of the holder: {listed:?}");
    let begun = Instant::now();
    let server = site.serve();
    assert!(begun.elapsed() < Duration::from_secs(4), "it left when it was asked: {:?}", begun.elapsed());
    assert_eq!(site.holder(), None);
    server.stop().expect("it ends");
    let mut pump = site.program();
    let mut pump = pump
        .args(["serve", "restic", "--stdio", "photos"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while site.holder().is_none() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Until its pump is in.
    std::thread::sleep(Duration::from_millis(500));
    let serve = Running::of(site.program().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(site.data())).end();
    assert_eq!(serve.code, Some(11), "nobody's connection is cut: {}", serve.stderr);
    drop(pump.stdin.take());
    assert!(pump.wait().unwrap().success());
    restic.must(&["backup", &tree.to_string_lossy()]);
    site.wait_until_free();
}

#[test]
fn a_holder_logs_beside_what_is_remembered_of_data_directories() {
    let site = Site::new("logged");
    let mut pump = site.program();
    pump.env_remove("RBACKUP_HOLDER_LOG").args(["serve", "restic", "--stdio", "photos"]);
    assert!(pump.output().unwrap().status.success());
    site.wait_until_free();
    assert!(site.path("data.state").join("holder.log").is_file());
}

#[test]
fn nobody_waits_for_a_holder() {
    let site = Site::new("detached");
    // A descriptor that a script's pipe left open must not be kept by the holder: cat would wait for it.
    let program = site.program().get_program().to_string_lossy().into_owned();
    let script = format!("{{ {program} serve restic --stdio photos </dev/null 7>&1 9>&1 2>&1; echo done; }} | cat");
    let begun = Instant::now();
    let mut shell = Command::new("sh");
    let ran = shell.args(["-c", &script]).envs(site.environment()).stdin(Stdio::null()).output().expect("a shell");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("done"));
    assert!(begun.elapsed() < Duration::from_secs(4), "somebody waited for the holder: {:?}", begun.elapsed());
    let holder = site.holder().expect("it lives on");
    let stat = std::fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!((fields[2], fields[3]), (&*holder.to_string(), &*holder.to_string()), "a session of its own");
    for descriptor in ["0", "1"] {
        let at = std::fs::read_link(format!("/proc/{holder}/fd/{descriptor}")).unwrap();
        assert_eq!(at.to_string_lossy(), "/dev/null");
    }
    site.wait_until_free();
}

#[test]
fn a_holder_that_cannot_start_tells_its_pump() {
    let site = Site::new("cannot");
    let pump = |remote: &str| Running::of(site.program().args(["serve", "restic", "--stdio", remote])).end();
    std::fs::create_dir(site.data()).unwrap();
    std::fs::write(site.data().join("holiday.jpg"), b"not a store").unwrap();
    for remote in ["photos", &site.data().to_string_lossy()] {
        let ended = pump(remote);
        assert_eq!(ended.code, Some(11), "{}", ended.stderr);
        assert!(ended.stderr.contains("not empty") && ended.stdout.is_empty(), "{}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(site.data()).unwrap().count(), 1, "left as it was");
    let ended = pump(&site.path("nowhere/below").to_string_lossy());
    assert_eq!(ended.code, Some(11), "{}", ended.stderr);
    std::fs::remove_dir_all(site.data()).unwrap();
    for remote in ["photos/data", "a//b", "a/../b", "anna:b/config"] {
        let ended = pump(remote);
        assert_eq!(ended.code, Some(2), "{remote}: {}", ended.stderr);
    }
    assert!(!site.data().exists(), "a path that nobody can have makes nothing");
}

#[test]
fn a_process_that_serves_nobody_is_waited_for() {
    let site = Site::new("in-use");
    site.over_stdio("photos", "").must(&["init"]);
    site.wait_until_free();
    let lock = site.data().join("lock");
    let mut other = Command::new("flock");
    let mut other = other.arg(&lock).args(["sleep", "3"]).spawn().expect("flock is there");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    let keys = site.over_stdio("photos", "").run(&["list", "keys"]);
    assert_eq!(keys.code, Some(0), "{}", keys.stderr);
    assert!(begun.elapsed() > Duration::from_secs(2), "it waited");
    assert!(keys.stderr.contains("waiting for it"), "and said so: {}", keys.stderr);
    let _ = other.wait();
}
