//! Bodies as clients write them, and bodies nobody should write.

#[path = "../fuzz/reference.rs"]
pub mod reference;

use rbackup::model::limits::{MULTIPART_PADDING_BYTES_MAX, PART_HEADERS_BYTES_MAX};
use rbackup::server::multipart::{MultipartError, Splitter, boundary_of};
use reference::{Outcome, deliver};

/// The outcome of a whole delivery; every cut in two, all single bytes, and every cut in three around CRs must agree.
fn split(boundary: &str, body: &[u8]) -> Outcome {
    let deliver = |cuts: &[usize]| deliver(Splitter::new(boundary).unwrap(), body, cuts);
    let whole = deliver(&[]);
    for cut in 0..body.len().min(2000) {
        assert_eq!(deliver(&[cut]), whole, "cut at {cut}");
        assert_eq!(deliver(&[cut, cut + 1]), whole, "cut around byte {cut}");
    }
    let all: Vec<usize> = (0..body.len()).collect();
    assert_eq!(deliver(&all), whole, "byte by byte");
    whole
}

fn contents(boundary: &str, body: &str) -> Vec<String> {
    let outcome = split(boundary, body.as_bytes());
    assert_eq!(outcome.end, Ok(()), "{body:?}");
    outcome.parts.into_iter().map(|part| String::from_utf8(part.content).unwrap()).collect()
}

fn error(boundary: &str, body: &str) -> MultipartError {
    split(boundary, body.as_bytes()).end.unwrap_err()
}

fn part(head: &str) -> String {
    format!("--b\r\n{head}\r\n\r\nx\r\n--b--\r\n")
}

fn names(disposition: &str) -> (Option<String>, Option<String>) {
    let body = part(&format!("Content-Disposition: {disposition}"));
    let outcome = split("b", body.as_bytes());
    assert_eq!(outcome.end, Ok(()), "{disposition}");
    let part = outcome.parts[0].clone();
    (part.name, part.filename.map(|name| String::from_utf8_lossy(&name).into_owned()))
}

#[test]
fn curl_and_browsers() {
    let curl = "--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"file\"; filename=\"hosts\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n127.0.0.1 localhost\n\r\n--------------------------d74496d66958873e\r\n\
        Content-Disposition: form-data; name=\"file-hash\"\r\n\r\nabc\r\n--------------------------d74496d66958873e--\r\n";
    assert_eq!(contents("------------------------d74496d66958873e", curl), ["127.0.0.1 localhost\n", "abc"]);
    let chrome = "------WebKitFormBoundaryX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n------WebKitFormBoundaryX--\r\n";
    assert_eq!(contents("----WebKitFormBoundaryX", chrome), [""]);
    assert_eq!(contents("b", "--b--\r\n"), [""; 0], "an empty form");
}

#[test]
fn delimiter_lines() {
    for (body, want) in [
        ("--b\r\n\r\nx\r\n--b--", "x"),
        ("pre\r\namble\r\n--b\r\n\r\nx\r\n--b--\r\nepi\r\n--b\r\nlogue", "x"),
        ("\r\n--b\r\n\r\nx\r\n--b--", "x"),
        ("--b \t\r\n\r\nx\r\n--b--  ", "x"),
        ("--b\r\n\r\n--b\r\n--b--", "--b"),
        ("--b\r\n\r\nx\r\n--bb\r\n--b-\r\n-b\r\n--b \r \r\n\r\n--b--\n", "x\r\n--bb\r\n--b-\r\n-b\r\n--b \r \r\n"),
        ("--b\r\n\r\n\r\r\n\r\n-\r\n--\r\n--\r\n--b--", "\r\r\n\r\n-\r\n--\r\n--"),
        ("--b\r\n\r\nx\n--b--\r--b--\r\n--b--", "x\n--b--\r--b--"),
        ("x--b\r\n\r\n--b\r\n\r\nx\r\n--b--", "x"),
    ] {
        assert_eq!(contents("b", body), [want], "{body:?}");
    }
    let blanks = " ".repeat(129);
    assert_eq!(contents("b", &format!("--b\r\n\r\nx\r\n--b{blanks}\r\n--b--")), [format!("x\r\n--b{blanks}")]);
}

#[test]
fn refused_bodies() {
    use MultipartError::*;
    for (body, want) in [
        ("", Truncated),
        ("--b", Truncated),
        ("--b\r\n\r\nx", Truncated),
        ("--b\r\n\r\nx\r\n--b\r\n", Truncated),
        ("--b\r\n\r\nx\r\n--b-", Truncated),
        ("--b\n\nx\n--b--\n", Truncated),
        ("--b\r\nA: b\n\nx\r\n--b--", BadHeader),
        ("--b\r\nno colon\r\n\r\nx\r\n--b--", BadHeader),
        ("--b\r\n: no name\r\n\r\nx\r\n--b--", BadHeader),
        ("--b\r\nA : b\r\n\r\nx\r\n--b--", BadHeader),
        ("--b\r\n A: b\r\n\r\nx\r\n--b--", BadHeader),
        ("--b\r\nA: b\0c\r\n\r\nx\r\n--b--", BadHeader),
        ("--b\r\n--b--\r\n\r\n", BadHeader),
        ("--b\r\n\r\nx\r\n--b--x", BadClose),
        ("--b\r\n\r\nx\r\n--b---", BadClose),
    ] {
        assert_eq!(error("b", body), want, "{body:?}");
    }
    for disposition in [
        "form-data; name=\"a",
        "form-data; name=\"a\"b",
        "form-data; name=\"a\"filename=b",
        "form-data; name=\"a\"; name=\"b\"",
        "form-data; filename=a; FileName=b",
        "form-data; name",
        "form-data; =a",
        "form-data; na me=a",
    ] {
        assert_eq!(error("b", &part(&format!("Content-Disposition: {disposition}"))), BadDisposition, "{disposition}");
    }
    let bytes = b"--b\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\nx\r\n--b--";
    assert_eq!(split("b", bytes).end, Err(BadDisposition), "a name must be text");
    let twice = "Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b";
    assert_eq!(error("b", &part(twice)), BadHeader);
    assert_eq!(error("b", &part("content-transfer-encoding: BASE64")), EncodedPart);
    assert_eq!(contents("b", &part("Content-Transfer-Encoding: Binary")), ["x"]);
}

#[test]
fn part_names() {
    let some = |name: &str, filename: &str| (Some(name.to_owned()), Some(filename.to_owned()));
    for (disposition, want) in [
        ("form-data; name=\"file\"; filename=\"a b\"", some("file", "a b")),
        ("FORM-DATA;filename=a ;NAME = file ;", some("file", "a")),
        ("form-data; name=file; filename=\"a\\\"b\\\\c\\d\"", some("file", "a\"b\\c\\d")),
        ("form-data; name=file; filename=\"a%22b%0D%0a%25%2\"", some("file", "a\"b\r\n%25%2")),
        ("form-data; name=file; filename=\"C:\\\"", some("file", "C:\\")),
        ("form-data; name=file; filename=\"x; name=y\"", some("file", "x; name=y")),
        ("form-data; name=file; filename*=UTF-8''x; filename=żółw", some("file", "żółw")),
        ("form-data;\r\n name=file;\r\n\tfilename=folded", some("file", "folded")),
        ("form-data; name=\"\"", (Some(String::new()), None)),
        ("form-data", (None, None)),
        ("attachment; name=file", (None, None)),
    ] {
        assert_eq!(names(disposition), want, "{disposition}");
    }
    let raw = b"--b\r\nCONTENT-DISPOSITION:form-data;name=file;filename=\"\xff\xfe\"\r\n\r\n\r\n--b--";
    assert_eq!(split("b", raw).parts[0].filename.as_deref(), Some(&b"\xff\xfe"[..]), "file names are bytes");
}

#[test]
fn bounds() {
    use MultipartError::*;
    let whole = |body: &[u8], cuts: &[usize]| deliver(Splitter::new("b").unwrap(), body, cuts).end;
    let padding = |bytes: usize| [&vec![b'x'; bytes][..], b"\r\n--b\r\n\r\n\r\n--b--"].concat();
    let epilogue = |bytes: usize| [b"--b--\r\n".to_vec(), vec![b'x'; bytes - 2]].concat();
    let head = |bytes: usize| [&b"--b\r\nA:"[..], &vec![b'x'; bytes - 6], b"\r\n\r\n\r\n--b--"].concat();
    for (max, body, want) in [
        (MULTIPART_PADDING_BYTES_MAX - 2, &padding as &dyn Fn(usize) -> Vec<u8>, PaddingTooLong),
        (MULTIPART_PADDING_BYTES_MAX, &epilogue, PaddingTooLong),
        (PART_HEADERS_BYTES_MAX, &head, HeadersTooLong),
    ] {
        for cuts in [vec![], vec![10], vec![max - 3], vec![max], (0..max).collect()] {
            assert_eq!(whole(&body(max), &cuts), Ok(()), "{want:?}");
            assert_eq!(whole(&body(max + 1), &cuts), Err(want));
        }
    }
}

#[test]
fn boundaries_in_headers() {
    use MultipartError::*;
    let seventy = "x".repeat(70);
    for (header, want) in [
        ("multipart/form-data; boundary=abc", Ok(Some("abc"))),
        ("Multipart/Form-Data ;charset=utf-8; BOUNDARY=\"a b;c\" ; x=y", Ok(Some("a b;c"))),
        ("multipart/form-data; boundary=a'()+_,-./:=?b", Ok(Some("a'()+_,-./:=?b"))),
        (&format!("multipart/form-data; boundary={seventy}"), Ok(Some(&seventy))),
        ("multipart/form-data", Ok(None)),
        ("multipart/form-data; charset=utf-8;", Ok(None)),
        (&format!("multipart/form-data; boundary={seventy}x"), Err(BadBoundary)),
        ("multipart/form-data; boundary=", Err(BadBoundary)),
        ("multipart/form-data; boundary=\"\"", Err(BadBoundary)),
        ("multipart/form-data; boundary=\"a ", Err(BadBoundary)),
        ("multipart/form-data; boundary=\"a \"", Err(BadBoundary)),
        ("multipart/form-data; boundary=ą", Err(BadBoundary)),
        ("multipart/form-data; boundary=a; boundary=a", Err(BadBoundary)),
        ("multipart/form-data; boundary=\"a\"b", Err(BadBoundary)),
        ("multipart/mixed; boundary=a", Err(NotMultipart)),
        ("application/json", Err(NotMultipart)),
        ("", Err(NotMultipart)),
    ] {
        assert_eq!(boundary_of(header), want.map(|b| b.map(str::to_owned)), "{header}");
    }
    assert_eq!(Splitter::new("").err(), Some(BadBoundary));
    assert_eq!(Splitter::new("a\rb").err(), Some(BadBoundary));
}

#[test]
fn sniffed_boundary() {
    let sniff = |body: &[u8]| {
        let whole = deliver(Splitter::sniffing(), body, &[]);
        for cut in 0..body.len() {
            assert_eq!(deliver(Splitter::sniffing(), body, &[cut, cut + 1]), whole);
        }
        whole
    };
    let body = b"--a b \r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--a\r\n--a b--";
    let got = sniff(body);
    assert_eq!((got.end, &got.parts[0].content[..]), (Ok(()), &b"x\r\n--a"[..]));
    for body in [&b"--\r\n"[..], b"x\r\n", b"\r\n--b\r\n", b"--b\n", &[b'-'; 300]] {
        assert_eq!(sniff(body).end, Err(MultipartError::NoBoundary), "{body:?}");
    }
    assert_eq!(sniff(b"--b").end, Err(MultipartError::Truncated));
}
