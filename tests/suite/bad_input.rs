//! "Bad input" of the issue as one table: method, path, headers, body, then status and code. None of it changes anything.

use crate::support::{House, Member, sha256_hex};

/// A request's body.
enum Body {
    None,
    Text(&'static str),
    Long(&'static str, usize),
}
use Body::{Long, None as Empty, Text};

struct Row {
    what: &'static str,
    method: &'static str,
    path: String,
    header: &'static str,
    body: Body,
    status: u16,
    code: &'static str,
}

fn row(
    what: &'static str,
    method: &'static str,
    path: &str,
    header: &'static str,
    body: Body,
    status: u16,
    code: &'static str,
) -> Row {
    Row { what, method, path: path.to_owned(), header, body, status, code }
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=b";
const JSON: &str = "Content-Type: application/json";
const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nabc\r\n";
const OTHER: &str = "--b\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\nx\r\n--b--\r\n";

// A table is read line by line, however long it is.
#[allow(clippy::too_many_lines)]
fn accounts() -> Vec<Row> {
    let (register, login) = ("/account/register", "/account/login");
    let long = format!("{register}?password=correct%20horse&username={}", "a".repeat(255));
    vec![
        row("nothing to register", "GET", register, "", Empty, 400, "missing_parameter"),
        row("no body to register", "POST", register, "", Empty, 400, "missing_parameter"),
        row("no password", "POST", register, "", Text("username=eve"), 400, "missing_parameter"),
        row("no name", "POST", register, "", Text("password=correct+horse"), 400, "missing_parameter"),
        row(
            "no name in JSON",
            "POST",
            register,
            JSON,
            Text(r#"{"password":"correct horse"}"#),
            400,
            "missing_parameter",
        ),
        row("an empty name", "POST", register, "", Text("username=&password=correct+horse"), 400, "invalid"),
        row("an empty password", "POST", register, "", Text("username=eve&password="), 400, "invalid"),
        row("a short password", "POST", register, "", Text("username=eve&password=1234567"), 400, "invalid"),
        row("a long name", "GET", &long, "", Empty, 400, "invalid"),
        row(
            "a name with a line in it",
            "POST",
            register,
            "",
            Text("username=a%0Ab&password=correct+horse"),
            400,
            "invalid",
        ),
        row("a name with a NUL", "POST", register, "", Text("username=a%00b&password=correct+horse"), 400, "invalid"),
        row("the realm's name", "POST", register, "", Text("username=Local&password=correct+horse"), 400, "invalid"),
        row("a name with a colon", "POST", register, "", Text("username=a%3Ab&password=correct+horse"), 400, "invalid"),
        row("a name with a slash", "POST", register, "", Text("username=a/b&password=correct+horse"), 400, "invalid"),
        row("a name of white space", "POST", register, "", Text("username=+&password=correct+horse"), 400, "invalid"),
        row(
            "a name that is no text",
            "POST",
            register,
            "",
            Text("username=%FF&password=correct+horse"),
            400,
            "invalid",
        ),
        row(
            "a name given twice",
            "POST",
            register,
            "",
            Text("username=a&username=b&password=correct+horse"),
            400,
            "invalid",
        ),
        row("a broken escape", "POST", register, "", Text("username=%4&password=correct+horse"), 400, "invalid"),
        row("JSON that is none", "POST", register, JSON, Text("{"), 400, "invalid_json"),
        row("JSON that is an array", "POST", register, JSON, Text("[\"eve\"]"), 400, "invalid_json"),
        row("JSON with numbers", "POST", register, JSON, Text(r#"{"username":1,"password":2}"#), 400, "invalid_json"),
        row("JSON bombs", "POST", register, JSON, Long("[", 10_000), 400, "invalid_json"),
        row("a name of 10 MB in a form", "POST", register, "", Long("username=", 10 << 20), 413, "too_large"),
        row("a name of 10 MB in JSON", "POST", register, JSON, Long("{\"username\":\"", 10 << 20), 413, "too_large"),
        row("a login with 10 MB", "POST", login, "", Long("password=", 10 << 20), 413, "too_large"),
        row("nothing to log in", "GET", login, "", Empty, 400, "missing_parameter"),
        row(
            "no device",
            "POST",
            login,
            "",
            Text("username=anna&password=the+password+of+anna"),
            400,
            "missing_parameter",
        ),
        row(
            "an empty device",
            "POST",
            login,
            "",
            Text("device_id=&username=anna&password=the+password+of+anna"),
            400,
            "invalid",
        ),
        row(
            "a device with a NUL",
            "POST",
            login,
            "",
            Text("device_id=%00&username=anna&password=the+password+of+anna"),
            400,
            "invalid",
        ),
        row(
            "a wrong password",
            "POST",
            login,
            "",
            Text("device_id=x&username=anna&password=wrong+horse"),
            401,
            "bad_credentials",
        ),
        row(
            "an empty password to log in",
            "POST",
            login,
            "",
            Text("device_id=x&username=anna&password="),
            401,
            "bad_credentials",
        ),
        row("a method that is none", "DELETE", login, "", Empty, 405, "method_not_allowed"),
    ]
}

fn uploads() -> Vec<Row> {
    let path = "/upload?file_path=%2Fnew";
    let long = format!("/upload?file_path={}", "a".repeat(4097));
    let many = format!("{path}&{}", "x=1&".repeat(200));
    vec![
        row("no path", "PUT", "/upload", "", Text("abc"), 400, "missing_parameter"),
        row("an empty path", "PUT", "/upload?file_path=", "", Text("abc"), 400, "invalid"),
        row("an empty name", "PUT", "/upload?file_name=", "", Text("abc"), 400, "invalid"),
        row("a path of 4097 bytes", "PUT", &long, "", Text("abc"), 400, "invalid"),
        row("a path with a NUL", "PUT", "/upload?file_path=a%00b", "", Text("abc"), 400, "invalid"),
        row("a broken escape", "PUT", "/upload?file_path=%zz", "", Text("abc"), 400, "invalid"),
        row("a path given twice", "PUT", "/upload?file_path=a&file_path=b", "", Text("abc"), 400, "invalid"),
        row("200 parameters", "PUT", &many, "", Text("abc"), 400, "invalid"),
        row("a part of a file", "PUT", path, "Content-Range: bytes 5-10/11", Text("abc"), 400, "partial_upload"),
        row("a compressed body", "PUT", path, "Content-Encoding: gzip", Text("abc"), 415, "unsupported_body"),
        row(
            "another multipart",
            "PUT",
            path,
            "Content-Type: multipart/mixed; boundary=b",
            Text("abc"),
            415,
            "unsupported_body",
        ),
        row("a size that is no number", "PUT", &format!("{path}&size=three"), "", Text("abc"), 400, "invalid"),
        row("a negative size", "PUT", &format!("{path}&size=-3"), "", Text("abc"), 400, "invalid"),
        row("a size of 30 digits", "PUT", &format!("{path}&size={}", "9".repeat(30)), "", Text("abc"), 400, "invalid"),
        row("an empty size", "PUT", &format!("{path}&size="), "", Text("abc"), 400, "invalid"),
        row("a size that is too small", "PUT", &format!("{path}&size=2"), "", Text("abc"), 400, "size_mismatch"),
        row("a size that is too large", "PUT", &format!("{path}&size=4"), "", Text("abc"), 400, "size_mismatch"),
        row("an mtime that is no number", "PUT", &format!("{path}&mtime=now"), "", Text("abc"), 400, "invalid"),
        row(
            "an mtime in the year 300000",
            "PUT",
            &format!("{path}&mtime=9999999999999999"),
            "",
            Text("abc"),
            400,
            "invalid",
        ),
        row(
            "an mtime of 30 digits",
            "PUT",
            &format!("{path}&mtime={}", "9".repeat(30)),
            "",
            Text("abc"),
            400,
            "invalid",
        ),
        row("a hash that is none", "PUT", path, "RBackup-File-Hash: abc", Text("abc"), 400, "invalid_hash"),
        row("a hash of other digits", "PUT", path, "RBackup-File-Hash: zz", Text("abc"), 400, "invalid_hash"),
        row("an unknown part", "PUT", path, FORM, Text(OTHER), 400, "unknown_part"),
        row("no parts at all", "PUT", path, FORM, Text("--b--\r\n"), 400, "missing_file"),
        row("no boundary in the body", "PUT", path, FORM, Text("just text"), 400, "multipart_truncated"),
        row("an empty form", "PUT", path, FORM, Text(""), 400, "multipart_truncated"),
        row("a boundary that is too long", "PUT", path, LONG_BOUNDARY, Text("x"), 400, "bad_boundary"),
    ]
}

const LONG_BOUNDARY: &str = "Content-Type: multipart/form-data; boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn ids() -> Vec<Row> {
    let mut rows = vec![
        row("an unknown device", "GET", "/list/files?device_id=nowhere", "", Empty, 404, "not_found"),
        row("an empty device", "GET", "/list/files?device_id=", "", Empty, 400, "invalid"),
        row("a device that is no text", "GET", "/list/files?device_id=%FF", "", Empty, 400, "invalid"),
        row(
            "a range behind the end",
            "GET",
            "/download?file_version_id=1",
            "Range: bytes=3-",
            Empty,
            416,
            "range_not_satisfiable",
        ),
        row("another device's header", "GET", "/list/files", "RBackup-Device: phone", Empty, 401, "wrong_device"),
        row("a foreign page", "GET", "/list/files", "Origin: http://evil.example", Empty, 403, "foreign_origin"),
        row("a path that is none", "GET", "/list", "", Empty, 404, "no_route"),
        row("a path in other case", "GET", "/LIST/FILES", "", Empty, 404, "no_route"),
        row("a path that climbs", "GET", "/list/../../etc/passwd", "", Empty, 404, "no_route"),
        row("a method that is none", "PATCH", "/list/files", "", Empty, 405, "method_not_allowed"),
    ];
    let asked = [
        ("GET", "/download", "file_version_id"),
        ("DELETE", "/remove/fileVersion", "file_version_id"),
        ("DELETE", "/remove/file", "file_id"),
    ];
    for (method, path, name) in asked {
        rows.push(row("no id", method, path, "", Empty, 400, "missing_parameter"));
        for bad in ["", "x", "-1", "1.5", "0x1", "%31%00", "99999999999999999999999", "1&ID=1"] {
            let answer = if bad == "1&ID=1" { continue } else { (400, "invalid") };
            rows.push(row(
                "an id that is no number",
                method,
                &format!("{path}?{name}={bad}"),
                "",
                Empty,
                answer.0,
                answer.1,
            ));
        }
        rows.push(row("an id given twice", method, &format!("{path}?{name}=1&{name}=2"), "", Empty, 400, "invalid"));
        for missing in ["0", "2", "18446744073709551615"] {
            rows.push(row("an id of nobody", method, &format!("{path}?{name}={missing}"), "", Empty, 404, "not_found"));
        }
    }
    rows
}

fn ask(house: &House, member: &Member, row: &Row) -> crate::support::Answer {
    let mut curl = house.curl(&row.path).method(row.method).session(&member.session).args(["--path-as-is"]);
    if !row.header.is_empty() {
        curl = curl.args(["-H", row.header]);
    }
    let curl = match &row.body {
        Empty => curl,
        Text(text) if row.path.starts_with("/upload") && row.header != FORM => {
            curl.upload_file(text.as_bytes()).method(row.method)
        }
        Text(text) => curl.data(text.as_bytes()),
        Long(start, bytes) => curl.data(&[start.as_bytes(), &vec![b'['; *bytes]].concat()),
    };
    // A refused body may be cut by the server while curl still sends: the answer counts, not curl's opinion of it.
    curl.try_send()
}

#[test]
fn every_row_gets_its_status_and_code_and_changes_nothing() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    house.put(&member, "/kept", b"abc");
    let held = || (house.files(&member), house.list_devices(&member.session).json());
    let before = held();
    let mut wrong = Vec::new();
    for row in accounts().iter().chain(&uploads()).chain(&ids()) {
        let answer = ask(&house, &member, row);
        if (answer.status, answer.code().as_str()) != (row.status, row.code) {
            let said = format!(
                "{} {} ({}): {} {}",
                row.method,
                &row.path[..row.path.len().min(60)],
                row.what,
                answer.status,
                answer.text()
            );
            wrong.push(format!("{said}\n    and not {} {}", row.status, row.code));
        } else if !answer.json()["error"].as_str().is_some_and(is_a_sentence) {
            wrong.push(format!("{}: no sentence for people: {}", row.what, answer.text()));
        }
        if held() != before {
            wrong.push(format!("{} {}: it changed something", row.method, row.what));
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let file = house.put(&member, "/next", b"x");
    assert_eq!(crate::support::api::newest(&file), 2, "no row used a version id");
    house.register(crate::support::api::Way::Form, "eve", "correct horse").expect(201);
}

#[test]
fn parts_that_are_missing_doubled_or_wrong_change_nothing() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let hash = |text: &str| format!("--b\r\nContent-Disposition: form-data; name=\"file-hash\"\r\n\r\n{text}\r\n");
    let good = hash(&sha256_hex(b"abc"));
    let nameless = "--b\r\nContent-Disposition: form-data\r\n\r\nabc\r\n";
    let bare = "--b\r\n\r\nabc\r\n";
    let rows = [
        ("no hash", FILE.to_owned(), 400, "missing_hash"),
        ("no file", good.clone(), 400, "missing_file"),
        ("an empty hash", format!("{FILE}{}", hash("")), 400, "invalid_hash"),
        ("a short hash", format!("{FILE}{}", hash(&"a".repeat(63))), 400, "invalid_hash"),
        ("a long hash", format!("{FILE}{}", hash(&"a".repeat(65))), 400, "invalid_hash"),
        ("a hash that is none", format!("{FILE}{}", hash(&"g".repeat(64))), 400, "invalid_hash"),
        ("a hash of 1 MB", format!("{FILE}{}", hash(&"a".repeat(1 << 20))), 400, "invalid_hash"),
        ("a wrong hash behind", format!("{FILE}{}", hash(&sha256_hex(b"other"))), 412, "hash_mismatch"),
        ("a wrong hash before", format!("{}{FILE}", hash(&sha256_hex(b"other"))), 412, "hash_mismatch"),
        ("two files", format!("{FILE}{good}{FILE}"), 400, "repeated_part"),
        ("two hashes", format!("{good}{FILE}{good}"), 400, "repeated_part"),
        ("a part without a name", format!("{nameless}{FILE}{good}"), 400, "unknown_part"),
        ("a part without headers", format!("{bare}{FILE}{good}"), 400, "unknown_part"),
        (
            "another part beside good ones",
            format!("{FILE}{good}--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n"),
            400,
            "unknown_part",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, parts, status, code) in rows {
        let sent = format!("{parts}--b--\r\n");
        let curl = house.curl("/upload?file_path=%2Fnew").method("PUT").session(&member.session);
        let answer = curl.args(["-H", FORM]).data(sent.as_bytes()).try_send();
        if (answer.status, answer.code().as_str()) != (status, code) {
            wrong.push(format!("{what}: {} {}, and not {status} {code}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(house.files(&member).is_empty());
    assert_eq!(crate::support::api::newest(&house.put(&member, "/a", b"1")), 1);
}

#[test]
fn a_name_of_ten_megabytes_in_a_url_is_a_bare_4xx() {
    let house = House::start();
    let mut raw = crate::support::raw::Raw::to(&house);
    raw.head(&format!("GET /account/register?password=correct%20horse&username={}", "a".repeat(10 << 20)), &[]);
    let status = raw.answer().status;
    assert!((400..500).contains(&status) || status == 0, "{status}");
    house.status().expect(200);
}

fn is_a_sentence(text: &str) -> bool {
    text.ends_with('.') && text.contains(' ') && !text.contains('/') && !text.contains("::")
}
