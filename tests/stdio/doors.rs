//! Who may come through the data directory's socket, and what may be said there.

use super::restic::Running;
use super::site::Site;
use crate::kit::server::{Start, tail};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

/// A group and users that nobody has; numbers need no names.
const GROUP: &str = "64123";
const LISTED: &str = "64124";
const NOT_LISTED: &str = "64125";

/// A pump as another user, who may go everywhere on the way to the data directory.
fn pump_as(site: &Site, uid: &str, gid: &str, remote: &str) -> Running {
    let mut command = as_user(site, uid, gid);
    command.args(["serve", "restic", "--stdio", "--data"]).arg(site.data()).arg(remote);
    Running::of(&mut command)
}

fn as_user(site: &Site, uid: &str, gid: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", uid, "--regid", gid, "--clear-groups"]).arg(site.program().get_program());
    command.envs(site.environment()).env_remove("RBACKUP_HOLDER_LOG").stdin(std::process::Stdio::null());
    command
}

fn open_the_way(site: &Site) {
    let mut path = site.path("").canonicalize().unwrap();
    while path.parent().is_some() {
        let mode = path.metadata().unwrap().permissions().mode();
        if mode & 0o001 == 0 && path.starts_with(std::env::temp_dir()) {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode | 0o055)).unwrap();
        }
        path.pop();
    }
}

#[test]
fn the_kernel_says_who_comes_and_the_configuration_what_it_may() {
    let site = Site::new("door");
    open_the_way(&site);
    let config = format!("[server]\nsocket_group = \"{GROUP}\"\n[restic.socket_users]\n{LISTED} = [\"anna\"]\n");
    let start = Start::on(&site.data()).config(&config);
    let log = start.log();
    let server = start.serve().unwrap_or_else(|why| panic!("{why}"));
    register(&server.address.to_string(), "anna");
    let socket = site.data().join("rbackup.sock").metadata().unwrap();
    assert_eq!((socket.mode() & 0o777, socket.gid().to_string()), (0o660, GROUP.to_owned()));
    assert_eq!(site.data().metadata().unwrap().mode() & 0o777, 0o710, "its members reach the socket and see nothing");
    let rows = [
        ("the listed user on its account", LISTED, GROUP, "anna:photos", Some(0), ""),
        ("… however it is written", LISTED, GROUP, "ANNA:photos", Some(0), ""),
        ("… not on the local realm", LISTED, GROUP, "photos", Some(12), "may not use the repositories of \"local\""),
        ("… nor by a name that is no account's", LISTED, GROUP, "bert:photos", Some(12), "\"local\""),
        ("a member that is not listed", NOT_LISTED, GROUP, "anna:photos", Some(12), "may not use this socket"),
        ("a listed user outside of the group", LISTED, "64126", "anna:photos", Some(12), "ermission denied"),
        ("root", "0", "0", "anna:photos", Some(0), ""),
        ("root in the local realm", "0", "0", "photos", Some(0), ""),
    ];
    for (what, uid, gid, remote, code, said) in rows {
        let ended = pump_as(&site, uid, gid, remote).end();
        assert_eq!(ended.code, code, "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{what}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{what}");
    }
    assert!(tail(&log).contains("refused at the socket"), "refusals are logged: {}", tail(&log));
    let repos = |uid: &str| {
        let mut command = as_user(&site, uid, GROUP);
        command.args(["repo", "list", "--account", "anna", "--data"]).arg(site.data());
        Running::of(&mut command).end()
    };
    for uid in [LISTED, NOT_LISTED] {
        let ended = repos(uid);
        assert_eq!((ended.code, &*ended.stdout), (Some(12), ""), "errands are the owner's: {}", ended.stderr);
    }
    assert_eq!(repos("0").code, Some(0));
    server.stop().expect("it ends");
    let server = Start::on(&site.data()).serve().unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(site.data().metadata().unwrap().mode() & 0o777, 0o700, "a group that is named no more has no way in");
    server.stop().expect("it ends");
}

#[test]
fn only_its_owner_reaches_the_socket_without_a_group() {
    let site = Site::new("door-closed");
    open_the_way(&site);
    let server = site.serve();
    for uid in [LISTED, NOT_LISTED] {
        let ended = pump_as(&site, uid, uid, "photos").end();
        assert_eq!(ended.code, Some(12), "{}", ended.stderr);
    }
    server.stop().expect("it ends");
}

#[test]
fn an_account_is_its_own_realm_and_an_unknown_name_is_a_path() {
    let site = Site::new("realms");
    let server = site.serve();
    register(&server.address.to_string(), "anna");
    let (hers, local) = (site.over_stdio("Anna:photos", ""), site.over_stdio("photos", ""));
    hers.must(&["init"]);
    local.must(&["init"]);
    assert_ne!(hers.must(&["cat", "config"]), local.must(&["cat", "config"]), "two repositories");
    let url = format!("http://anna:long%20enough@{}/restic/photos/", server.address);
    assert_eq!(site.over_http(&url).must(&["cat", "config"]), hers.must(&["cat", "config"]), "hers over HTTP");
    let unknown = site.over_stdio("b2:bucket/photos", "");
    let ended = unknown.run(&["init"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let notes = ended.stderr.lines().filter(|line| line.contains("is a path in the local realm")).count();
    assert_eq!(notes, 1, "{}", ended.stderr);
    let spelled = site.over_stdio("local:b2:bucket/photos", "");
    assert_eq!(spelled.must(&["cat", "config"]), unknown.must(&["cat", "config"]));
    let private = site.over_stdio("Anna:photos", "--private-repos").start(&["cat", "config"]);
    let mut private = private;
    assert!(private.until("403"), "nobody is signed in over stdio: {}", private.said());
    server.stop().expect("it ends");
}

#[test]
fn what_is_no_preamble_is_refused_and_costs_nothing() {
    let site = Site::new("garbage");
    let mut server = site.serve();
    let head = |version: u16, length: u32| [&b"\0RBackup"[..], &version.to_be_bytes(), &length.to_be_bytes()].concat();
    let framed = |json: &str| [head(1, json.len() as u32), json.as_bytes().to_vec()].concat();
    let rows = [
        (b"GET /config HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "not RBackup's own protocol"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "not RBackup's own protocol"),
        (head(2, 10), "use the same release"),
        (head(1, u32::MAX), "longer than"),
        (framed("{}"), "lacks something"),
        (framed("[]"), "lacks something"),
        (framed("{\"account\":null,\"repo\":\"a\",\"append_only\":true}"), "lacks something"),
        (framed(&"[".repeat(16_000)), "lacks something"),
        (framed("{\"account\":null,\"repo\":\"a/../b\",\"append_only\":true,\"private_repos\":false}"), "segment"),
        (framed("{\"account\":\"x\\u0000\",\"repo\":\"\",\"append_only\":true,\"private_repos\":false}"), "segment"),
    ];
    for (bytes, sentence) in rows {
        let mut socket = UnixStream::connect(site.data().join("rbackup.sock")).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = socket.write_all(&bytes);
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
        let text = String::from_utf8_lossy(&said);
        assert!(text.contains("refused") && text.contains(sentence), "{bytes:?} is answered {text:?}");
    }
    assert!(!server.died());
    site.over_stdio("photos", "").must(&["init"]);
    server.stop().expect("it ends");
}

fn register(address: &str, name: &str) {
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sSf", "-d", &format!("username={name}"), "-d", "password=long enough"]);
    let ran = curl.arg(format!("http://{address}/account/register")).output().expect("curl");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
