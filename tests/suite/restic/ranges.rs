//! Cases 64 to 75: parts of objects, of every size at which something is cut.

use super::{Home, home};
use crate::support::{Answer, noise};

struct Case {
    number: u32,
    range: String,
    /// From and until; none for 416.
    part: Option<(usize, usize)>,
    status: u16,
}

fn cases(size: usize) -> Vec<Case> {
    let last = size - 1;
    let part = |number, range: &str, from: usize, until: usize| Case {
        number,
        range: range.to_owned(),
        part: Some((from, until)),
        status: 206,
    };
    let beyond = |number, range: String| Case { number, range, part: None, status: 416 };
    let whole = |number, range: &str| Case { number, range: range.to_owned(), part: Some((0, size)), status: 200 };
    vec![
        part(64, "bytes=0-", 0, size),
        part(65, "bytes=1-5", 1, 6),
        part(66, &format!("bytes={last}-"), last, size),
        part(67, "bytes=-5", size - 5, size),
        part(67, &format!("bytes=-{}", size + 9999), 0, size),
        part(68, &format!("bytes=0-{}", size + 99_999), 0, size),
        part(68, &format!("bytes=0-{last}"), 0, size),
        part(68, "bytes=0-0", 0, 1),
        beyond(69, format!("bytes={size}-")),
        beyond(69, format!("bytes={size}-{}", size + 99)),
        beyond(69, format!("bytes={}-", size + 100)),
        beyond(69, "bytes=-0".to_owned()),
        whole(71, "items=0-1"),
        whole(71, "bytes=abc"),
        whole(71, "bytes=5-1"),
        whole(71, "bytes="),
        whole(72, "bytes=0-1,3-4"),
    ]
}

fn get(home: &Home, path: &str, range: &str) -> Answer {
    home.ask("GET", path).header("Range", range).send()
}

#[test]
fn cases_64_to_72_and_75_ranges_of_objects_of_one_part_and_of_several() {
    parts(&home());
}

pub fn parts(home: &Home) {
    for size in [100, 1 << 20, (1 << 20) + 1, 3_333_333] {
        let body = noise(size as u64, size);
        let path = home.put("/restic/a/", "data", &body);
        for Case { number, range, part, status } in cases(size) {
            let answer = get(home, &path, &range);
            assert_eq!(answer.status, status, "case {number}: {range} of {size}");
            let Some((from, until)) = part else {
                assert_eq!(answer.header("Content-Range"), Some(format!("bytes */{size}").as_str()), "case {number}");
                continue;
            };
            assert!(answer.body == body[from..until], "case {number}: {range} of {size}");
            assert_eq!(answer.header("Content-Length"), Some((until - from).to_string().as_str()), "case {number}");
            let place = (status == 206).then(|| format!("bytes {from}-{}/{size}", until - 1));
            assert_eq!(answer.header("Content-Range"), place.as_deref(), "case {number}: {range}");
        }
    }
    let key = home.put("/restic/a/", "keys", &noise(75, 400));
    assert_eq!(get(home, &key, "bytes=0-230").expect(206).header("Content-Length"), Some("231"), "case 75");
}

#[test]
fn case_70_random_parts_are_slices() {
    let home = home();
    let size = 2_500_000usize;
    let body = noise(70, size);
    let path = home.put("/restic/", "data", &body);
    for pair in noise(71, 50 * 8).chunks(8) {
        let word = |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]) as usize;
        let from = word(0) % size;
        let until = from + 1 + word(4) % (size - from);
        let answer = get(&home, &path, &format!("bytes={from}-{}", until - 1)).expect(206);
        assert!(answer.body == body[from..until], "case 70: {from} to {until}");
    }
}

#[test]
fn case_73_a_part_of_nothing_is_nothing() {
    let home = home();
    let path = home.put("/restic/", "data", b"");
    for range in ["bytes=0-", "bytes=0-5", "bytes=-5", "bytes=7-"] {
        let answer = get(&home, &path, range).expect(200);
        assert_eq!((answer.body.len(), answer.header("Content-Length")), (0, Some("0")), "case 73: {range}");
    }
}

#[test]
fn case_74_over_http_2_every_part_and_every_head_has_its_length() {
    let home = home();
    let path = home.put("/restic/", "data", &noise(74, 1_500_000));
    let h2 = |method: &str| home.ask(method, &path).args(["--http2-prior-knowledge"]);
    for (range, length) in [("bytes=0-", "1500000"), ("bytes=5-9", "5"), ("bytes=1000000-1400000", "400001")] {
        let answer = h2("GET").header("Range", range).send().expect(206);
        assert_eq!(answer.header("Content-Length"), Some(length), "case 74");
    }
    assert_eq!(h2("HEAD").send().expect(200).header("Content-Length"), Some("1500000"));
    assert_eq!(h2("GET").send().expect(200).body.len(), 1_500_000);
}
