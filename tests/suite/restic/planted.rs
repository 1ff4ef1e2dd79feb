//! Planted bugs: a server that is wrong about lists or parts must turn their tables red. A relay makes it wrong: it puts other bytes of
//! the same length into requests or answers.

use super::{Home, home, listing, ranges};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// What is found, and what is put in its place.
type Change = (&'static str, &'static str);
const NONE: Change = ("\0", "\0");

/// What the server does wrong, and by which change it seems to.
struct Bug {
    what: &'static str,
    request: Change,
    answer: Change,
    table: fn(&Home),
}

const BUGS: [Bug; 10] = [
    Bug {
        what: "nothing",
        request: NONE,
        answer: NONE,
        table: |home| {
            listing::empty_lists(home);
            ranges::parts(home)
        },
    },
    asked("it knows no version 2", ("rest.v2", "rest.v8"), listing::empty_lists),
    asked("it takes any Accept for version 2", ("rest.v1", "rest.v2"), listing::empty_lists),
    told("its lists have no type of restic's", ("vnd.x.restic.rest", "vnd.y.restic.rest"), listing::empty_lists),
    told("an empty list is an object", ("[]", "{}"), listing::empty_lists),
    told("a size is wrong", ("\"size\":100}", "\"size\":101}"), listing::exact_lists),
    asked("it ignores ranges", ("ange: bytes=", "onge: bytes="), ranges::parts),
    told("it does not say which part came", ("content-range", "content-orange"), ranges::parts),
    told("a part is answered as the whole", ("HTTP/1.1 206 ", "HTTP/1.1 200 "), ranges::parts),
    asked("it counts from one", ("bytes=1-5", "bytes=2-6"), ranges::parts),
];

const fn asked(what: &'static str, request: Change, table: fn(&Home)) -> Bug {
    Bug { what, request, answer: NONE, table }
}

const fn told(what: &'static str, answer: Change, table: fn(&Home)) -> Bug {
    Bug { what, request: NONE, answer, table }
}

#[test]
fn a_server_that_is_wrong_about_lists_or_parts_is_noticed() {
    for Bug { what, request, answer, table } in BUGS {
        let mut home = home();
        let url = relay(home.house.url(), request, answer);
        home.house.meet_at(url);
        let passed = catch_unwind(AssertUnwindSafe(|| table(&home))).is_ok();
        assert_eq!(passed, what == "nothing", "planted: {what}");
    }
}

/// A relay to `url` that makes these changes; ends with the test's process.
fn relay(url: &str, request: Change, answer: Change) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = format!("http://{}", listener.local_addr().expect("an address"));
    let server = url.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&server).expect("the server");
            let (to_server, to_client) = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
            thread::spawn(move || hand_on(client, to_server, request));
            thread::spawn(move || hand_on(server, to_client, answer));
        }
    });
    at
}

/// Heads are short and come in one piece, and so do the bodies that are changed.
fn hand_on(mut from: TcpStream, mut to: TcpStream, (found, put): Change) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let changed = replaced(&piece[..read], found.as_bytes(), put.as_bytes());
        if to.write_all(&changed).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn replaced(bytes: &[u8], found: &[u8], put: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hit = bytes[at..].starts_with(found);
        out.extend_from_slice(if hit { put } else { &bytes[at..=at] });
        at += if hit { found.len() } else { 1 };
    }
    out
}
