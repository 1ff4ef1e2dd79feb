//! What ends sessions, and that nothing outlives it: no request that begins after the answer, no change and no answer under way.
//!
//! `no_request_is_accepted_after_the_answer_…` count what four busy clients are answered; planted: the same count when nothing ends.

use crate::support::api::Way::Form;
use crate::support::raw::Raw;
use crate::support::{House, Member, noise};
use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Long enough for some requests before and after.
const A_WHILE: Duration = Duration::from_millis(300);
const LARGE_BYTES: usize = 48 << 20;

fn end(house: &House, session: &str, which: &str) -> crate::support::Answer {
    house.curl(&format!("/api/v1/sessions?id={which}")).method("DELETE").session(session).send()
}

#[test]
fn signing_out_ends_this_device_and_no_other() {
    let mut house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    assert_eq!(end(&house, &laptop.session, "current").expect(200).json()["sessions_ended"], 1);
    house.restart();
    house.list_files(&laptop.session, None).refused(401, "no_session");
    house.list_files(&phone.session, None).expect(200);
    house.login(Form, "laptop", "anna", &laptop.password).expect(201);
    assert_eq!(house.list_devices(&phone.session).json(), serde_json::json!(["laptop", "phone"]));
}

#[test]
fn signing_out_everywhere_ends_all_of_the_account_and_nothing_of_another() {
    let house = House::start();
    let (laptop, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let phone = house.device(&laptop, "phone");
    assert_eq!(end(&house, &phone.session, "all").expect(200).json()["sessions_ended"], 2);
    for session in [&laptop.session, &phone.session] {
        house.list_files(session, None).refused(401, "no_session");
    }
    house.list_files(&bert.session, None).expect(200);
}

#[test]
fn one_session_is_ended_by_its_id_and_another_accounts_is_404() {
    let house = House::start();
    let (laptop, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let phone = house.device(&laptop, "phone");
    let listed = house.curl("/api/v1/sessions").session(&phone.session).send().expect(200).json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 2);
    let id =
        listed.iter().find(|one| one["device_id"] == "laptop").expect("the laptop's")["id"].as_str().expect("an id");
    end(&house, &bert.session, id).refused(404, "not_found");
    end(&house, &phone.session, "0000000000000000").refused(404, "not_found");
    end(&house, &phone.session, "").refused(404, "not_found");
    house.list_files(&laptop.session, None).expect(200);
    end(&house, &phone.session, id).expect(200);
    house.list_files(&laptop.session, None).refused(401, "no_session");
    house.list_files(&phone.session, None).expect(200);
    let by_password =
        house.curl("/api/v1/sessions?id=all").method("DELETE").args(["-u", &format!("anna:{}", phone.password)]);
    assert_eq!(by_password.send().expect(200).json()["sessions_ended"], 1);
}

#[test]
fn an_upload_under_way_commits_nothing_when_its_session_has_ended() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let mut wire = Raw::to(&house);
    let fields = [("RBackup-Session-Pass", laptop.session.as_str()), ("Content-Length", "10")];
    wire.head("PUT /upload?file_path=/late", &fields).say(b"01234");
    std::thread::sleep(A_WHILE);
    end(&house, &laptop.session, "current").expect(200);
    wire.say(b"56789");
    assert_eq!(wire.answer().status, 401);
    assert!(house.files(&phone).is_empty());
}

/// What clients were answered that asked again and again: how many requests that began after `ended` were accepted, and how many
/// there were before and after.
struct Count {
    accepted_after: usize,
    before: usize,
    after: usize,
}

/// Four clients that list, upload and use restic without a pause, while `ending` ends what they work with.
fn under_load(house: &House, member: &Member, ending: impl FnOnce()) -> Count {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", member.name, member.password));
    let basic = format!("Basic {basic}");
    let over = AtomicBool::new(false);
    let asks = |number: usize| {
        let session = ("RBackup-Session-Pass", member.session.as_str());
        let (line, fields) = match number {
            0 | 1 => ("GET /list/files", vec![session]),
            2 => ("PUT /upload?file_path=/busy", vec![session, ("Content-Length", "0")]),
            _ => ("GET /restic/busy/config", vec![("Authorization", basic.as_str())]),
        };
        let mut seen = Vec::new();
        let mut wire = Raw::to(house);
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            wire.head(line, &fields);
            let status = wire.answer_with_any_body().status;
            seen.push((begun, status));
            if status == 0 || status >= 400 {
                wire = Raw::to(house);
            }
        }
        seen
    };
    let asks = &asks;
    let (seen, ended) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|number| scope.spawn(move || asks(number))).collect();
        std::thread::sleep(A_WHILE);
        ending();
        let ended = Instant::now();
        std::thread::sleep(A_WHILE);
        over.store(true, Ordering::Relaxed);
        let seen: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        (seen, ended)
    });
    let accepted = |(_, status): &&(Instant, u16)| (200..300).contains(status);
    let (before, after): (Vec<_>, Vec<_>) = seen.iter().partition(|(begun, _)| *begun < ended);
    Count {
        accepted_after: after.iter().copied().filter(|one| accepted(one)).count(),
        before: before.len(),
        after: after.len(),
    }
}

fn busy_house() -> (House, Member) {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let restic = house.curl("/restic/busy/config").args(["-u", &format!("anna:{}", member.password)]);
    restic.data(b"a configuration").send().expect(200);
    (house, member)
}

#[track_caller]
fn nothing_after(count: &Count) {
    assert!(count.before > 20 && count.after > 20, "too few to say anything: {} and {}", count.before, count.after);
    assert_eq!(count.accepted_after, 0, "of {} requests that began after the answer", count.after);
}

#[test]
fn no_request_is_accepted_after_the_answer_to_a_changed_password() {
    let (house, member) = busy_house();
    let count = under_load(&house, &member, || {
        let wish =
            serde_json::json!({"username": "anna", "password": member.password, "new_password": "another horse"});
        house.secret("another horse");
        house.json("POST", "/api/v1/account/password", &wish).send().expect(200);
    });
    nothing_after(&count);
}

#[test]
fn no_request_is_accepted_after_the_answer_to_signing_out_everywhere() {
    let (house, member) = busy_house();
    let phone = house.device(&member, "phone");
    // restic's credentials are the password, which goes on.
    let member = Member { password: "not the password".to_owned(), ..member };
    nothing_after(&under_load(&house, &member, || drop(end(&house, &phone.session, "all").expect(200))));
}

#[test]
fn no_request_is_accepted_after_the_answer_to_a_login_of_the_same_device() {
    let (house, member) = busy_house();
    let password = member.password.clone();
    let member = Member { password: "not the password".to_owned(), ..member };
    nothing_after(&under_load(&house, &member, || drop(house.login(Form, "laptop", "anna", &password).expect(200))));
}

#[test]
fn no_request_is_accepted_after_an_account_was_disabled_or_removed_from_the_shell() {
    for words in [&["account", "disable", "bert"][..], &["account", "remove", "bert", "--yes"]] {
        let (house, _) = busy_house();
        let bert = house.member("bert", "laptop");
        let restic = house.curl("/restic/busy/config").args(["-u", &format!("bert:{}", bert.password)]);
        restic.data(b"a configuration").send().expect(200);
        let count = under_load(&house, &bert, || {
            let ran = house.run(words);
            assert!(ran.status.success(), "{words:?}: {ran:?}");
        });
        nothing_after(&count);
    }
}

#[test]
fn the_count_sees_requests_that_are_accepted() {
    let (house, member) = busy_house();
    let count = under_load(&house, &member, || ());
    assert!(count.accepted_after > 20, "planted: nothing ended, and {} were accepted", count.accepted_after);
}

/// Reads a little of an answer, then nothing for five seconds, then all that still comes: how many bytes that was.
fn read_slowly(house: &House, head: &str, meanwhile: impl FnOnce()) -> usize {
    let mut wire = TcpStream::connect(house.address()).expect("connect");
    std::io::Write::write_all(&mut wire, head.as_bytes()).expect("ask");
    let mut first = vec![0; 100_000];
    wire.read_exact(&mut first).expect("it begins");
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first[..100]));
    meanwhile();
    std::thread::sleep(Duration::from_secs(5));
    let (mut total, mut buffer) = (first.len(), vec![0; 1 << 16]);
    while let Ok(read @ 1..) = wire.read(&mut buffer) {
        total += read;
    }
    total
}

#[test]
fn downloads_under_way_end_within_five_seconds_also_when_they_are_read_slowly() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let body = noise(5, LARGE_BYTES);
    let version = crate::support::api::newest(&house.put(&laptop, "/large", &body));
    let (_, token) = house.token(&laptop.session, &serde_json::json!({"name": "t", "scopes": ["restore"]}));
    let object = crate::support::sha256_hex(&body);
    let basic = format!("anna:{}", laptop.password);
    let put = house.curl(&format!("/restic/r/data/{object}")).args(["-u", &basic]).upload_file(&body).method("POST");
    put.send().expect(200);
    let head = |path: &str, secret: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nRBackup-Session-Pass: {secret}\r\nConnection: close\r\n\r\n")
    };
    let download = format!("/download?file_version_id={version}");
    let object = format!("/restic/r/data/{object}");
    let read = |path: &str, secret: &str, meanwhile: &dyn Fn()| read_slowly(&house, &head(path, secret), meanwhile);
    let whole = read(&download, &laptop.session, &|| ());
    assert!(whole > LARGE_BYTES, "planted: when nothing ends all of it comes, {whole} bytes");
    let revoke =
        || drop(house.curl("/api/v1/tokens?id=all").method("DELETE").session(&laptop.session).send().expect(200));
    let cut = read(&download, &token, &revoke);
    assert!(cut < LARGE_BYTES, "a revoked token's answer went on: {cut} bytes");
    let (_, token) = house.token(&laptop.session, &serde_json::json!({"name": "t", "scopes": ["restore"]}));
    let cut = read(&object, &token, &revoke);
    assert!(cut < LARGE_BYTES, "a revoked token's restic went on: {cut} bytes");
    let cut = read(&download, &phone.session, &|| drop(end(&house, &phone.session, "current").expect(200)));
    assert!(cut < LARGE_BYTES, "an ended session's answer went on: {cut} bytes");
}

#[test]
fn a_download_over_http2_ends_too() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let version = crate::support::api::newest(&house.put(&laptop, "/large", &noise(6, LARGE_BYTES)));
    let run = || {
        let mut curl = Command::new("curl");
        curl.args(["-q", "-sS", "--http2-prior-knowledge", "--limit-rate", "2M", "-o", "/dev/null", "-H"]);
        curl.arg(format!("RBackup-Session-Pass: {}", laptop.session));
        curl.arg(format!("{}/download?file_version_id={version}", house.url()));
        curl.stderr(Stdio::null()).spawn().expect("curl starts")
    };
    let mut child = run();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().expect("asked").is_none(), "it is under way");
    end(&house, &phone.session, "all").expect(200);
    let begun = Instant::now();
    let log = || house.log();
    while !log().contains("an answer under way is cut") && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(log().contains("an answer under way is cut"), "within five seconds");
    let status = child.wait().expect("curl ends");
    assert!(!status.success(), "its stream was reset");
}
