//! Names are bytes. They come back as they were sent, and never become a path on the server.

use crate::support::api::{file_id, newest};
use crate::support::noise::percent_encoded;
use crate::support::{House, Member};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::path::Path;

fn hard_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "/etc/hosts",
        r"C:\Users\anna\Desktop\a file.txt",
        r"\\server\share\x",
        "two\nlines\r\n",
        "tab\tand bell\u{7}",
        "a+b",
        "100%",
        "%41%00",
        "a&b=c;d#e?f",
        "\"quoted\" 'and' `this` $HOME $(id)",
        "🦀/ünïcödé/名前",
        "e\u{301} is not \u{e9}",
        "../../etc/passwd",
        "/../../../../etc/passwd",
        "..",
        ".",
        "/",
        "//",
        "-rf",
        "--help",
        " ",
        " leading and trailing ",
        "~",
        "a//b/./c/",
        "<script>alert(1)</script>",
    ]
    .into_iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push([b"/".as_slice(), &[b'x'; 4095]].concat());
    names.push("ü".repeat(2048).into_bytes());
    names.push(b"latin-\xfcml\xe4ut".to_vec());
    names.push((1..=255).collect());
    names.push(vec![0xff; 4096]);
    names
}

#[test]
fn every_name_comes_back_byte_for_byte_by_every_way() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let outside = listing(house.data().parent().expect("a parent"));
    let names = hard_names();
    for (number, name) in names.iter().enumerate() {
        let body = format!("content {number}");
        let file = house.upload(&member.session, name, body.as_bytes()).expect(200).json();
        assert_eq!(&name_of(&file), name, "in the upload's answer");
        assert_eq!(house.get(&member, newest(&file)), body.as_bytes());
        let again = house.curl(&format!("/upload?file_name={}", percent_encoded(name))).session(&member.session);
        let again = again.upload_file(b"again").args(["--http2-prior-knowledge"]).send().expect(200).json();
        assert_eq!(file_id(&again), file_id(&file), "the same name is the same file: {name:?}");
    }
    let listed: BTreeSet<Vec<u8>> = house.files(&member).iter().map(name_of).collect();
    assert_eq!(listed, names.into_iter().collect());
    assert_eq!(listing(house.data().parent().expect("a parent")), outside, "no name became a path");
}

#[test]
fn base64_is_there_exactly_when_a_name_is_not_utf_8() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    assert!(house.put(&member, "/ü", b"x").get("original_name_b64").is_none());
    let file = house.upload(&member.session, b"/\xfc", b"x").expect(200).json();
    assert_eq!(file["original_name"], "/\u{fffd}");
    assert_eq!(file["original_name_b64"], "L/w=");
}

#[test]
fn names_that_look_alike_are_different_files() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let alike: [&[u8]; 8] = [b"/a", b"/a/", b"//a", b"/A", b"/./a", b"/\xfc", b"/\xfd", "/\u{fffd}".as_bytes()];
    let ids: BTreeSet<u64> =
        alike.iter().map(|name| file_id(&house.upload(&member.session, name, b"x").expect(200).json())).collect();
    assert_eq!(ids.len(), alike.len());
}

#[test]
fn in_a_query_a_plus_is_a_space() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    assert_eq!(raw(&house, &member, "a+b"), b"a b");
    assert_eq!(raw(&house, &member, "a%2Bb"), b"a+b");
    assert_eq!(raw(&house, &member, "a%2bb"), b"a+b");
    assert_eq!(raw(&house, &member, "a%2520b"), b"a%20b");
}

#[test]
fn a_file_name_in_the_form_is_not_the_path() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let hash = crate::support::sha256_hex(b"x");
    let sent = house.beside("x");
    std::fs::write(&sent, b"x").expect("write what is sent");
    let part = format!("file=@{};filename=../../../evil", sent.display());
    let form =
        house.curl("/upload?file_path=%2Fgood").method("PUT").session(&member.session).args(["-F".to_owned(), part]);
    let file = form.form_text("file-hash", &hash).send().expect(200).json();
    assert_eq!(file["original_name"], "/good");
}

fn raw(house: &House, member: &Member, encoded: &str) -> Vec<u8> {
    let curl = house.curl(&format!("/upload?file_path={encoded}")).session(&member.session);
    name_of(&curl.upload_file(b"x").send().expect(200).json())
}

/// The exact bytes of a listed name.
fn name_of(file: &serde_json::Value) -> Vec<u8> {
    let text = file["original_name"].as_str().expect("a file has a name");
    let exact = file["original_name_b64"].as_str().map(|exact| STANDARD.decode(exact).expect("base64"));
    exact.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// What lies beside the data directory, without curl's own files.
fn listing(place: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(place).expect("read the place").flatten().map(|entry| entry.file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.starts_with("curl-")).collect()
}
