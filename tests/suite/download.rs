//! Any version, whole or in part, bit for bit, and only when it is ours.

use crate::support::api::newest;
use crate::support::curl::Curl;
use crate::support::{House, Member, noise, sha256_hex};

struct Stored {
    house: House,
    member: Member,
    version: u64,
    body: Vec<u8>,
}

fn stored(bytes: usize) -> Stored {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(7, bytes);
    let version = newest(&house.put(&member, "/a", &body));
    Stored { house, member, version, body }
}

impl Stored {
    fn ask(&self) -> Curl {
        self.house.curl(&format!("/download?file_version_id={}", self.version)).session(&self.member.session)
    }
}

#[test]
fn a_download_has_its_length_its_hash_and_an_etag() {
    let it = stored(3 << 20);
    let answer = it.ask().send().expect(200);
    assert!(answer.body == it.body);
    assert_eq!(answer.header("Content-Length"), Some((3 << 20).to_string().as_str()));
    assert_eq!(answer.header("RBackup-File-Hash"), Some(sha256_hex(&it.body).as_str()));
    assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
    let etag = answer.header("ETag").unwrap_or_default();
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "a strong ETag: {etag}");
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/octet-stream"),
        "never a type that a browser would run"
    );
}

#[test]
fn an_empty_version_downloads_as_nothing() {
    let it = stored(0);
    let answer = it.ask().send().expect(200);
    assert_eq!((answer.header("Content-Length"), answer.body.len()), (Some("0"), 0));
    assert_eq!(it.ask().header("Range", "bytes=0-0").send().status, 200);
}

#[test]
fn ranges_are_answered_as_rfc_9110_says() {
    let it = stored(2_500_000);
    let size = it.body.len();
    let parts = [
        ("bytes=0-0", 0..1),
        ("bytes=0-499", 0..500),
        ("bytes=500-", 500..size),
        ("bytes=-1", size - 1..size),
        ("bytes=-500", size - 500..size),
        ("bytes=-99999999", 0..size),
        ("bytes=1000000-1999999", 1_000_000..2_000_000),
        ("bytes=2499999-2500000", 2_499_999..size),
        ("bytes=2499999-99999999999999999999", 2_499_999..size),
        ("BYTES=0-9", 0..10),
    ];
    for (range, wanted) in parts {
        let answer = it.ask().header("Range", range).send().expect(206);
        assert!(answer.body == it.body[wanted.clone()], "{range}");
        let stated = format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1);
        assert_eq!(answer.header("Content-Range"), Some(stated.as_str()), "{range}");
        assert_eq!(answer.header("Content-Length"), Some(wanted.len().to_string().as_str()), "{range}");
    }
    for range in ["bytes=2500000-", "bytes=2500000-2500001", "bytes=99999999999-", "bytes=-0"] {
        let answer = it.ask().header("Range", range).send().refused(416, "range_not_satisfiable");
        assert_eq!(answer.header("Content-Range"), Some(format!("bytes */{size}").as_str()), "{range}");
    }
    for range in ["bytes=5-4", "bytes=a-b", "bytes=", "bytes", "lines=0-5", "bytes=1-2-3", "bytes=0x1-2", ""] {
        let answer = it.ask().args(["-H".to_owned(), format!("Range: {range}")]).send().expect(200);
        assert!(answer.body == it.body, "what is no range is ignored: {range}");
    }
}

#[test]
fn several_ranges_are_one_whole_answer_or_one_part() {
    let it = stored(1000);
    let answer = it.ask().header("Range", "bytes=0-9,20-29").send();
    assert!(answer.status == 200 && answer.body == it.body, "{}", answer.status);
}

#[test]
fn if_range_and_if_none_match_look_at_the_etag() {
    let it = stored(1000);
    let etag = it.ask().send().header("ETag").unwrap_or_default().to_owned();
    let part = it.ask().header("Range", "bytes=0-9").header("If-Range", &etag).send().expect(206);
    assert_eq!(part.body, it.body[..10]);
    for other in ["\"other\"", &format!("W/{etag}"), "Wed, 21 Oct 2015 07:28:00 GMT"] {
        it.ask().header("Range", "bytes=0-9").header("If-Range", other).send().expect(200);
    }
    for same in [etag.as_str(), "*", &format!("\"x\", {etag}"), &format!("W/{etag}")] {
        let answer = it.ask().header("If-None-Match", same).send().expect(304);
        assert!(answer.body.is_empty(), "{same}");
        assert_eq!(answer.header("ETag"), Some(etag.as_str()));
    }
    it.ask().header("If-None-Match", "\"other\"").send().expect(200);
}

#[test]
fn curl_continues_a_download_that_was_cut() {
    let it = stored(5 << 20);
    let held = it.house.beside("held");
    std::fs::write(&held, &it.body[..1_234_567]).expect("write what came before the cut");
    let url = format!("{}/download?file_version_id={}", it.house.url(), it.version);
    let pass = format!("RBackup-Session-Pass: {}", it.member.session);
    let ran =
        std::process::Command::new("curl").args(["-fsS", "-C", "-", "-H", &pass, "-o"]).arg(&held).arg(url).status();
    assert!(ran.expect("curl runs").success());
    assert!(std::fs::read(&held).expect("read it back") == it.body);
}

#[test]
fn an_old_version_stays_what_it_was_after_changes() {
    let it = stored(2 << 20);
    let mut changed = it.body.clone();
    changed.splice(1000..1000, *b"an insertion near the start");
    let second = newest(&it.house.put(&it.member, "/a", &changed));
    let third = newest(&it.house.put(&it.member, "/a", b""));
    assert!(it.house.get(&it.member, it.version) == it.body);
    assert!(it.house.get(&it.member, second) == changed);
    assert!(it.house.get(&it.member, third).is_empty());
    let etags: std::collections::BTreeSet<Option<String>> = [it.version, second, third]
        .map(|version| it.house.download(&it.member.session, version).header("ETag").map(str::to_owned))
        .into();
    assert_eq!(etags.len(), 3);
}

#[test]
fn any_device_of_the_account_downloads_over_any_protocol() {
    let it = stored(9 << 20);
    let phone = it.house.device(&it.member, "phone");
    for words in [&["--http1.1"][..], &["--http1.0"], &["--http2-prior-knowledge"]] {
        let ask = it.house.curl(&format!("/download?file_version_id={}", it.version)).session(&phone.session);
        let answer = ask.args(words.iter().copied()).send().expect(200);
        assert!(answer.body == it.body, "{words:?}");
    }
}

#[test]
fn a_slow_reader_gets_everything_and_stops_nobody() {
    let it = stored(3 << 20);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| it.ask().args(["--limit-rate", "1500k"]).send().expect(200));
        assert!(it.house.get(&it.member, it.version) == it.body);
        assert!(slow.join().is_ok_and(|answer| answer.body == it.body));
    });
}

#[test]
fn a_version_that_is_not_there_is_404() {
    let it = stored(10);
    for version in [0, 2, 999, u64::MAX] {
        it.house.download(&it.member.session, version).refused(404, "not_found");
    }
}
