//! Every way in which curl sends a file, every size at which something is cut, and the counter of versions.

use crate::support::api::{file_id, newest, versions};
use crate::support::{House, Member, noise, sha256_hex};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

#[test]
fn sizes_around_every_border_come_back_bit_for_bit() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let borders = [255 * KIB, 256 * KIB, MIB, 4 * MIB];
    let around = borders.into_iter().flat_map(|border| [border - 1, border, border + 1]);
    for (number, size) in [0, 1].into_iter().chain(around).chain([20 * MIB]).enumerate() {
        let body = noise(number as u64 + 1, size);
        let file = house.put(&member, &format!("/sizes/{size}"), &body);
        let version = &file["versions"][0];
        assert_eq!(version["size"], size);
        assert_eq!(version["hash"], sha256_hex(&body));
        assert!(house.get(&member, newest(&file)) == body, "{size} bytes come back as they were");
    }
}

#[test]
fn the_answer_is_the_file_as_the_contract_shows_it() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let sent = house
        .curl("/upload?file_path=%2Fetc%2Fhosts&size=5&mtime=1532459740123")
        .method("PUT")
        .session(&member.session);
    let file = sent.form_file("file", b"hosts").form_text("file-hash", &sha256_hex(b"hosts")).send().expect(200).json();
    assert!(file["id"].is_u64(), "{file}");
    assert_eq!(file["device_id"], "laptop");
    assert_eq!(file["original_name"], "/etc/hosts");
    let version = &file["versions"][0];
    assert_eq!(version["version"], 1);
    assert_eq!(version["size"], 5);
    assert_eq!(version["mtime"], "2018-07-24T19:15:40");
    assert!(is_moment(version["created"].as_str().unwrap_or_default()), "{file}");
    let name = version["storage_name"].as_str().unwrap_or_default();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file}");
    assert_eq!(house.files(&member), [file]);
}

#[test]
fn a_missing_mtime_is_the_arrival_and_an_early_one_is_kept() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let version = house.put(&member, "/now", b"abc")["versions"][0].clone();
    assert_eq!(version["mtime"], version["created"]);
    let raw = |query: &str| house.curl(&format!("/upload?{query}")).session(&member.session).upload_file(b"abc").send();
    assert_eq!(raw("file_path=a&mtime=0").expect(200).json()["versions"][0]["mtime"], "1970-01-01T00:00:00");
    assert_eq!(raw("file_path=b&mtime=-1").expect(200).json()["versions"][0]["mtime"], "1969-12-31T23:59:59");
}

#[test]
fn put_and_post_and_both_names_of_the_path_are_the_same() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let hash = sha256_hex(b"abc");
    for method in ["PUT", "POST"] {
        for name in ["file_path", "file_name"] {
            let form = house.curl(&format!("/upload?{name}=x")).method(method).session(&member.session);
            form.form_file("file", b"abc").form_text("file-hash", &hash).send().expect(200);
            let raw = house.curl(&format!("/upload?{name}=x")).session(&member.session).upload_file(b"abc");
            raw.method(method).send().expect(200);
        }
    }
    let files = house.files(&member);
    assert_eq!((files.len(), versions(&files[0])), (1, (1..=8).collect()));
}

#[test]
fn parts_come_in_either_order_and_the_hash_in_either_case() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(1, 3 * MIB);
    for hash in [sha256_hex(&body), sha256_hex(&body).to_uppercase()] {
        let ask = || house.curl("/upload?file_path=x").method("PUT").session(&member.session);
        ask().form_file("file", &body).form_text("file-hash", &hash).send().expect(200);
        ask().form_text("file-hash", &hash).form_file("file", &body).send().expect(200);
    }
    assert_eq!(versions(&house.files(&member)[0]), [1, 2, 3, 4]);
}

#[test]
fn an_explicit_multipart_header_without_a_boundary_is_understood() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(2, 300 * KIB);
    let boundary = "------------------------d74496d66958873e";
    let mut sent =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n").into_bytes();
    sent.extend(&body);
    let hash = sha256_hex(&body);
    sent.extend(
        format!(
            "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file-hash\"\r\n\r\n{hash}\r\n--{boundary}--\r\n"
        )
        .bytes(),
    );
    let ask = || house.curl("/upload?file_path=x").method("PUT").session(&member.session);
    let bare = ask().header("Content-Type", "multipart/form-data").data(&sent).send().expect(200).json();
    assert_eq!(house.get(&member, newest(&bare)), body);
    let given = ask().header("Content-Type", "multipart/form-data");
    let file = given.form_file("file", &body).form_text("file-hash", &hash).send().expect(200).json();
    assert_eq!(house.get(&member, newest(&file)), body);
}

#[test]
fn a_raw_body_needs_no_hash_and_is_held_to_one_that_is_there() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(3, 2 * MIB);
    let ask = || house.curl("/upload?file_path=x").session(&member.session).upload_file(&body);
    let file = ask().send().expect(200).json();
    assert_eq!(house.get(&member, newest(&file)), body);
    ask().header("RBackup-File-Hash", &sha256_hex(&body)).send().expect(200);
    ask().header("RBackup-File-Hash", &sha256_hex(b"other")).send().refused(412, "hash_mismatch");
    assert_eq!(versions(&house.files(&member)[0]), [1, 2]);
}

#[test]
fn bodies_come_chunked_with_expect_and_over_http_2() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let body = noise(4, 5 * MIB);
    let hash = sha256_hex(&body);
    let ways: [(&str, &[&str]); 5] = [
        ("chunked", &["-H", "Transfer-Encoding: chunked"]),
        ("expect", &["-H", "Expect: 100-continue"]),
        ("no-expect", &["-H", "Expect:"]),
        ("h2", &["--http2-prior-knowledge"]),
        ("upgrade", &["--http2"]),
    ];
    for (name, words) in ways {
        let ask =
            || house.curl(&format!("/upload?file_path={name}")).session(&member.session).args(words.iter().copied());
        let raw = ask().upload_file(&body).header("RBackup-File-Hash", &hash).send().expect(200).json();
        assert_eq!(raw["versions"][0]["hash"], hash, "{name}, raw");
        let form = ask().method("PUT").form_file("file", &body).form_text("file-hash", &hash).send().expect(200).json();
        assert_eq!(versions(&form).len(), 2, "{name}, multipart");
        assert!(house.get(&member, newest(&form)) == body, "{name}");
    }
    let piped = house.curl("/upload?file_path=stdin").session(&member.session).args(["-T", "-"]).stdin(&body).send();
    assert_eq!(piped.expect(200).json()["versions"][0]["hash"], hash);
}

#[test]
fn a_kept_connection_carries_many_uploads() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let (one, two) = (house.beside("one"), house.beside("two"));
    std::fs::write(&one, noise(5, 700 * KIB)).and_then(|()| std::fs::write(&two, b"")).expect("write what is sent");
    let url = |name: &str| format!("{}/upload?file_path={name}", house.url());
    let pass = format!("RBackup-Session-Pass: {}", member.session);
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "-H", &pass, "-w", "%{http_code} %{num_connects}\\n", "-o", "/dev/null"]);
    curl.arg("-T").arg(&one).arg(url("1")).arg("-o").arg("/dev/null").arg("-T").arg(&two).arg(url("2"));
    let said = String::from_utf8(curl.output().expect("curl runs").stdout).unwrap_or_default();
    assert_eq!(said, "200 1\n200 0\n");
    assert_eq!(house.files(&member).len(), 2);
}

#[test]
fn versions_count_from_one_without_gaps_whoever_uploads() {
    let house = House::start();
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    assert_eq!(newest(&house.put(&anna, "/a", b"1")), 1);
    assert_eq!(newest(&house.put(&bert, "/a", b"2")), 2);
    fail_in_every_way(&house, &anna);
    let file = house.put(&anna, "/a", b"3");
    assert_eq!(versions(&file), [1, 3], "failed uploads use no id");
    house.remove_version(&anna.session, 3).expect(200);
    assert_eq!(newest(&house.put(&anna, "/a", b"4")), 4, "an id is never given twice");
    assert_eq!(house.files(&anna).len(), 1, "failed uploads leave no file");
}

fn fail_in_every_way(house: &House, member: &Member) {
    let other = sha256_hex(b"other");
    let ask = |query: &str| house.curl(&format!("/upload?{query}")).session(&member.session);
    let form = ask("file_path=/new").method("PUT").form_file("file", b"abc");
    form.form_text("file-hash", &other).send().refused(412, "hash_mismatch");
    ask("file_path=/a&size=4").upload_file(b"abc").send().refused(400, "size_mismatch");
    ask("file_path=/a&size=0").upload_file(b"abc").send().refused(400, "size_mismatch");
    ask("file_path=/new").method("PUT").form_file("file", b"abc").send().refused(400, "missing_hash");
    let large = noise(6, 6 * MIB);
    ask("file_path=/new").upload_file(&large).header("RBackup-File-Hash", &other).send().refused(412, "hash_mismatch");
}

#[test]
fn the_same_path_is_one_file_on_a_device_and_another_on_the_next() {
    let house = House::start();
    let laptop = house.member("anna", "laptop");
    let phone = house.device(&laptop, "phone");
    let (one, two) = (house.put(&laptop, "/a", b"1"), house.put(&laptop, "/a", b"1"));
    assert_eq!(file_id(&one), file_id(&two), "the same content twice is two versions of one file");
    assert_eq!(versions(&two), [1, 2]);
    assert_ne!(two["versions"][0]["storage_name"], two["versions"][1]["storage_name"]);
    assert_ne!(file_id(&house.put(&phone, "/a", b"1")), file_id(&one));
}

#[test]
fn uploads_at_once_all_arrive() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let files: Vec<(String, Vec<u8>)> =
        (0..60).map(|n| (format!("/{}", n % 20), noise(n, 1 + 40_000 * (n as usize % 7)))).collect();
    house.put_many(&member, &files);
    let listed = house.files(&member);
    let mut ids: Vec<u64> = listed.iter().flat_map(versions).collect();
    ids.sort_unstable();
    assert_eq!((listed.len(), ids), (20, (1..=60).collect()));
}

fn is_moment(text: &str) -> bool {
    text.len() == 19
        && text
            .bytes()
            .zip("dddd-dd-ddTdd:dd:dd".bytes())
            .all(|(byte, form)| byte == form || form == b'd' && byte.is_ascii_digit())
}
