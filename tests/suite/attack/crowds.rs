//! Every crowd of `flood.rs` at once and under the limits of the product, not of the test: others are served all the while, and thirty
//! seconds after the crowds have gone the server holds no descriptor more than before and no 16 MiB more of memory.
//!
//! Lasts five seconds, or as many as `RBACKUP_FLOOD_S` says (`tests/run --long`: 120). Planted: a descriptor and memory that stay are seen.

use crate::flood::{
    MEMORY_BYTES_MAX, ask, connect, connect_from, frame, held, is_ended, raise_descriptors, serves, warmed,
};
use crate::support::{House, Member};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long after the crowds everything is as before.
const LATER: Duration = Duration::from_secs(30);
const DRIPPING: usize = 400;
const IDLE: usize = 3000;
/// One answer that takes longer is a server that serves nobody.
const PATIENCE: Duration = Duration::from_secs(20);

struct Counts {
    dripped: AtomicU64,
    idle: AtomicU64,
    taken_back: AtomicU64,
    served: AtomicU64,
    slowest_ms: AtomicU64,
}

/// Heads, bodies and nothing, a byte now and then; who is ended comes again.
fn drip(house: &House, member: &Member, stop: &AtomicBool, counts: &Counts) {
    let body = format!(
        "PUT /upload?file_path=/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\nRBackup-Session-Pass: {}\r\n\r\nx",
        member.session
    );
    let heads: [&[u8]; 3] =
        [b"GET /status HTTP/1.1\r\nHost: localhost\r\n", body.as_bytes(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let begin = |number: usize| {
        let mut stream = connect_from(house, [127, 0, 3, 1 + (number % 40) as u8]);
        let _ = stream.write_all(heads[number % heads.len()]);
        counts.dripped.fetch_add(1, Ordering::Relaxed);
        stream
    };
    let mut crowd: Vec<TcpStream> = (0..DRIPPING).map(begin).collect();
    while !stop.load(Ordering::Relaxed) {
        for (number, stream) in crowd.iter_mut().enumerate() {
            if is_ended(stream) || stream.write_all(b"x").is_err() {
                *stream = begin(number);
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn idle(house: &House, stop: &AtomicBool, counts: &Counts) {
    let mut crowd = Vec::with_capacity(IDLE);
    while !stop.load(Ordering::Relaxed) {
        if crowd.len() < IDLE {
            crowd.push(connect_from(house, [127, 0, 4, 1 + (crowd.len() % 200) as u8]));
            counts.idle.fetch_add(1, Ordering::Relaxed);
        } else {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn take_back(house: &House, stop: &AtomicBool, counts: &Counts) {
    while !stop.load(Ordering::Relaxed) {
        let mut socket = connect(house);
        let _ =
            socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").and_then(|()| socket.write_all(&frame(4, 0, 0, &[])));
        let mut stream = 1;
        while !stop.load(Ordering::Relaxed) && !is_ended(&mut socket) {
            let mut bytes = Vec::new();
            for _ in 0..200 {
                bytes.extend(ask(stream));
                bytes.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
                stream += 2;
            }
            let set =
                socket.set_nonblocking(false).and_then(|()| socket.set_write_timeout(Some(Duration::from_secs(2))));
            if set.and_then(|()| socket.write_all(&bytes)).is_err() {
                break;
            }
            counts.taken_back.fetch_add(200, Ordering::Relaxed);
        }
    }
}

/// Whether this is as before, but for what may stay.
fn is_as_before(before: (usize, u64), now: (usize, u64)) -> bool {
    now.0 <= before.0 && now.1 <= before.1 + MEMORY_BYTES_MAX
}

#[test]
fn all_crowds_at_once_keep_nobody_else_waiting_and_leave_nothing_behind() {
    let seconds = std::env::var("RBACKUP_FLOOD_S").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    raise_descriptors(8000);
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, "[limits]\nrefused_calls_per_address = 0\n").expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    let (member, before) = warmed(&house);
    assert!(is_as_before(before, before), "nothing has happened yet");
    assert!(!is_as_before(before, (before.0 + 1, before.1)), "planted: a descriptor that stays");
    assert!(!is_as_before(before, (before.0, before.1 + MEMORY_BYTES_MAX + 1)), "planted: memory that stays");
    let stop = AtomicBool::new(false);
    let zero = || AtomicU64::new(0);
    let counts = Counts { dripped: zero(), idle: zero(), taken_back: zero(), served: zero(), slowest_ms: zero() };
    let mut most = before;
    std::thread::scope(|scope| {
        scope.spawn(|| drip(&house, &member, &stop, &counts));
        scope.spawn(|| idle(&house, &stop, &counts));
        scope.spawn(|| take_back(&house, &stop, &counts));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            let asked = Instant::now();
            serves(&house, &member);
            let ms = asked.elapsed().as_millis() as u64;
            counts.served.fetch_add(1, Ordering::Relaxed);
            counts.slowest_ms.fetch_max(ms, Ordering::Relaxed);
            assert!(asked.elapsed() < PATIENCE, "others wait for {ms} ms");
            let now = held(&house);
            most = (most.0.max(now.0), most.1.max(now.1));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let gone = Instant::now();
    // An ordinary day goes on meanwhile.
    while !is_as_before(before, held(&house)) && gone.elapsed() < LATER {
        serves(&house, &member);
        std::thread::sleep(Duration::from_millis(200));
    }
    let after = held(&house);
    eprintln!(
        "{seconds} s: {:?} dripped, {:?} idle, {:?} taken back, {:?} served, the slowest in {:?} ms; \
         descriptors {} at most {} then {}, resident {} at most {} then {} KiB, after {:?}",
        counts.dripped,
        counts.idle,
        counts.taken_back,
        counts.served,
        counts.slowest_ms,
        before.0,
        most.0,
        after.0,
        before.1 >> 10,
        most.1 >> 10,
        after.1 >> 10,
        gone.elapsed()
    );
    assert!(is_as_before(before, after), "{before:?} became {after:?} and stays so");
    assert!(!house.list_files(&member.session, None).expect(200).text().contains("/slow"), "nothing of them is kept");
    serves(&house, &member);
}
