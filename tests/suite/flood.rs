//! Crowds that want nothing but to be in the way: dripping heads and bodies, idle connections, requests taken back.
//!
//! Judged by order and counts: others are served meanwhile, the crowd is gone afterwards, and so is what it held. No time may fail a
//! test but the patience with a hang.

use crate::support::{House, Member, noise};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

const PATIENCE: Duration = Duration::from_secs(120);
/// What may stay of a crowd in the server's memory.
pub const MEMORY_BYTES_MAX: u64 = 16 << 20;
const SOON: &str = "headers_s = 2\nbody_idle_s = 2\nhandshake_s = 2";

fn house(limits: &str, words: &[&str]) -> House {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, format!("[limits]\n{limits}\n")).expect("write the config");
    house.open_with(&[&["--config", &file.to_string_lossy()], words].concat());
    house
}

/// Descriptors and resident bytes of the server.
pub fn held(house: &House) -> (usize, u64) {
    let process = format!("/proc/{}", house.pid());
    let descriptors = std::fs::read_dir(format!("{process}/fd")).expect("the server runs").count();
    let status = std::fs::read_to_string(format!("{process}/status")).expect("the server runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    (descriptors, resident.unwrap_or(0u64) * 1024)
}

/// A server that has done everything once, so that what it keeps anyway is there before.
pub fn warmed(house: &House) -> (Member, (usize, u64)) {
    let member = house.member("anna", "laptop");
    house.put(&member, "/warm", &noise(1, 3_000_000));
    serves(house, &member);
    std::thread::sleep(Duration::from_millis(300));
    (member, held(house))
}

/// Others, from another address, are served: lists, uploads, sign-ins.
pub fn serves(house: &House, member: &Member) {
    let other = ["--interface", "127.0.0.200"];
    house.curl("/list/files").args(other).session(&member.session).send().expect(200);
    house.curl("/upload?file_path=/a").args(other).session(&member.session).upload_file(b"served").send().expect(200);
}

/// Within a patience the server holds what it held before.
fn recovers(house: &House, before: (usize, u64)) {
    let begun = Instant::now();
    loop {
        let now = held(house);
        if now.0 <= before.0 && now.1 <= before.1 + MEMORY_BYTES_MAX {
            eprintln!("descriptors {} then {}, resident {} then {} KiB", before.0, now.0, before.1 >> 10, now.1 >> 10);
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{before:?} became {now:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn connect(house: &House) -> TcpStream {
    let stream = TcpStream::connect(house.address()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The same from an address of one's own.
pub fn connect_from(house: &House, from: [u8; 4]) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connected = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(house.address().parse().expect("an address")).await?.into_std()
    });
    connected.expect("the backlog takes it")
}

/// Whether the server has ended the connection; what it said before counts as well.
pub fn is_ended(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set up the socket");
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Drips `piece` into every connection until the server has ended all of them, while others are served.
fn drip(house: &House, member: &Member, crowd: &mut Vec<TcpStream>, piece: &[u8]) {
    let begun = Instant::now();
    while !crowd.is_empty() {
        crowd.retain_mut(|stream| !is_ended(stream));
        crowd.iter_mut().for_each(|stream| drop(stream.write_all(piece)));
        serves(house, member);
        assert!(begun.elapsed() < PATIENCE, "{} connections drip on", crowd.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_head_that_drips_in_is_not_waited_for() {
    let house = house(SOON, &[]);
    let (member, before) = warmed(&house);
    let mut crowd: Vec<TcpStream> = (0..300).map(|_| connect(&house)).collect();
    crowd.iter_mut().for_each(|stream| drop(stream.write_all(b"GET /status HTTP/1.1\r\nHost: rbackup\r\n")));
    drip(&house, &member, &mut crowd, b"X: y\r\n");
    let mut crowd: Vec<TcpStream> = (0..300).map(|_| connect(&house)).collect();
    crowd.iter_mut().for_each(|stream| drop(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")));
    drip(&house, &member, &mut crowd, b"\0\0\x08\x06\x01\0\0\0\0\0\0\0\0\0\0\0\0");
    recovers(&house, before);
}

#[test]
fn a_handshake_that_does_not_go_on_is_not_waited_for() {
    let house = house(SOON, &["--tls", "auto"]);
    house.curl("/status").args(["-k"]).send().expect(200);
    let before = held(&house);
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| connect(&house)).collect();
    crowd.iter_mut().for_each(|stream| drop(stream.write_all(b"\x16\x03\x01\x02\x00")));
    let begun = Instant::now();
    while !crowd.is_empty() {
        crowd.retain_mut(|stream| !is_ended(stream));
        house.curl("/status").args(["-k", "--interface", "127.0.0.200"]).send().expect(200);
        assert!(begun.elapsed() < PATIENCE, "{} handshakes are waited for", crowd.len());
    }
    recovers(&house, before);
}

#[test]
fn a_body_that_drips_in_or_stops_is_given_up_and_leaves_nothing() {
    let house = house(SOON, &[]);
    let (member, before) = warmed(&house);
    for piece in [&b"x"[..], b""] {
        let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect(&house)).collect();
        for (number, stream) in crowd.iter_mut().enumerate() {
            let head = format!(
                "PUT /upload?file_path=/slow-{number} HTTP/1.1\r\nHost: rbackup\r\nContent-Length: 9000000\r\n\
                 RBackup-Session-Pass: {}\r\n\r\nbegun",
                member.session
            );
            let _ = stream.write_all(head.as_bytes());
        }
        drip(&house, &member, &mut crowd, piece);
    }
    assert!(!house.list_files(&member.session, None).expect(200).text().contains("slow-"), "nothing of them is kept");
    assert!(house.log().contains("status=408"), "{}", house.log());
    recovers(&house, before);
}

#[test]
fn five_thousand_idle_connections_of_one_address_or_of_many_are_in_nobodys_way() {
    let house = house("headers_s = 10", &[]);
    let (member, before) = warmed(&house);
    raise_descriptors(6000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address: SocketAddr = house.address().parse().expect("an address");
    for addresses in [1, 50] {
        let mut crowd = Vec::with_capacity(5000);
        for number in 0..5000 {
            let from = SocketAddr::from(([127, 0, 1, 1 + (number % addresses) as u8], 0));
            let connected = runtime.block_on(async {
                let socket = TcpSocket::new_v4()?;
                socket.bind(from)?;
                socket.connect(address).await
            });
            crowd.push(connected.expect("the backlog takes it"));
            if number % 1000 == 999 {
                serves(&house, &member);
            }
        }
        serves(&house, &member);
        let most = if addresses == 1 { 512 } else { 4096 };
        assert!(held(&house).0 <= before.0 + most + 8, "{} descriptors", held(&house).0);
        // They stay connected: the server has to end them by itself.
        recovers(&house, before);
        serves(&house, &member);
    }
}

pub fn raise_descriptors(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised =
        setrlimit(Resource::Nofile, Rlimit { current: Some(maximum.map_or(wanted, |most| most.min(wanted))), maximum });
    assert!(
        raised.is_ok() && maximum.is_none_or(|most| most >= wanted),
        "this test needs {wanted} descriptors: ulimit -n"
    );
}

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET /list/files` of nobody, by indexed fields and a literal path that no table keeps.
pub fn ask(stream: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, 11];
    block.extend(b"/list/files");
    block.extend([0x01, 4]);
    block.extend(b"host");
    frame(1, 0x05, stream, &block)
}

#[test]
fn requests_that_are_taken_back_at_once_end_their_connection() {
    let house = house("refused_calls_per_address = 0", &[]);
    let (member, before) = warmed(&house);
    let mut asked = 0u64;
    for round in 0..20 {
        let mut socket = connect(&house);
        let _ = socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let _ = socket.write_all(&frame(4, 0, 0, &[]));
        let mut stream = 1;
        let begun = Instant::now();
        while !is_ended(&mut socket) {
            let mut bytes = Vec::new();
            for _ in 0..500 {
                bytes.extend(ask(stream));
                bytes.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
                stream += 2;
            }
            socket.set_nonblocking(false).expect("set up the socket");
            socket.set_write_timeout(Some(Duration::from_secs(5))).expect("set up the socket");
            let _ = socket.write_all(&bytes);
            assert!(stream < 1_000_000 && begun.elapsed() < PATIENCE, "{stream} streams in round {round}");
        }
        asked += u64::from(stream / 2);
        serves(&house, &member);
    }
    eprintln!("{asked} requests were taken back");
    recovers(&house, before);
}

#[test]
fn many_requests_that_are_answered_are_no_reason_to_end_a_connection() {
    // Over TLS: curl 7.88 cannot use an HTTP/2 connection twice that it began by prior knowledge.
    let house = house("refused_calls_per_address = 0", &["--tls", "auto"]);
    let urls = format!("{}/list/files?[1-2000]", house.url());
    let many = std::process::Command::new("curl")
        .args(["-q", "-sS", "-k", "-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", "--http2"])
        .args(["--parallel", "--parallel-max", "50", &urls])
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&many.stdout).into_owned();
    assert_eq!(said.lines().filter(|line| *line == "2 401").count(), 2000, "{said}");
}
