//! What goes over stdin and stdout: frames and nothing else, whatever restic or a client made by hand does. Cases 94 to 101.

use super::frames;
use super::restic::Running;
use super::site::Site;
use crate::kit::random::Random;
use bytes::Bytes;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

use super::listening::name_of;

/// HTTP/2's first words, with empty SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// restic's own answer limit is a minute.
const ANSWER: Duration = Duration::from_secs(20);

#[test]
fn stdout_carries_frames_and_nothing_else_through_all_of_restics_commands() {
    let site = Site::new("stdout");
    let tree = site.tree("tree", 20);
    let record = site.path("record");
    site.program();
    // Every byte of stdout, run after run.
    let script = site.path("recorded");
    let program = site.path("rbackup");
    let text = format!("#!/bin/sh\nexec {} \"$@\" | tee -a {}.$$\n", program.display(), record.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = format!("rclone.program={}", script.display());
    let restic = super::restic::Restic::new(&site, "rclone:photos", &["-o", &program]);
    let tree_text = tree.to_string_lossy().into_owned();
    for words in [&["init"][..], &["backup", &tree_text], &["backup", &tree_text], &["check", "--read-data"]] {
        restic.must(words);
    }
    restic.restores(&tree);
    let snapshot = restic.snapshots().remove(0);
    for words in [&["ls", "latest"][..], &["find", "0.bin"], &["stats"], &["forget", "--prune", &snapshot], &["unlock"]]
    {
        restic.must(words);
    }
    let (mut recorded, mut widest) = (0, 0);
    for entry in std::fs::read_dir(site.path("")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("record.") {
            recorded += 1;
            let stream = std::fs::read(entry.path()).unwrap();
            let offered = frames::read(&stream).unwrap_or_else(|why| panic!("{:?}: {why}", entry.path()));
            assert!(offered.stream_window >= 8 << 20, "four streams of 16 MiB packs at once: {offered:?}");
            // One that has not quite gone yet has its share.
            assert!(offered.connection_window >= 16 << 20, "{offered:?}");
            widest = widest.max(offered.connection_window);
            assert!(offered.frame_bytes >= 256 << 10 && offered.streams >= 100, "{offered:?}");
        }
    }
    assert!(recorded >= 10, "{recorded} runs were recorded");
    assert!(widest >= 32 << 20, "100 MB/s at a round trip of 90 ms need more than {widest} bytes on their way");
}

/// A pump that is spoken to by hand.
struct Pump {
    child: Child,
}

impl Pump {
    fn start(site: &Site, words: &[&str]) -> Self {
        let mut command = site.program();
        command.args(["serve", "restic", "--stdio"]).args(words);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        Self { child: spawned.expect("the pump starts") }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).expect("the pump reads");
    }

    /// Ends stdin: the exit code, and how long it took.
    fn end(mut self) -> (Option<i32>, Duration) {
        drop(self.child.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < ANSWER {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        panic!("the pump does not end with its stdin");
    }
}

#[test]
fn a_pump_ends_with_0_when_its_stdin_ends() {
    let site = Site::new("stdin-ends");
    for words in
        [&["photos"][..], &["--b2-hard-delete", "photos"], &["--drive-use-trash=false", "--b2-hard-delete", ""]]
    {
        let mut pump = Pump::start(&site, words);
        pump.say(PREFACE);
        let mut first = [0; 9];
        pump.child.stdout.as_mut().unwrap().read_exact(&mut first).expect("SETTINGS come");
        assert_eq!(first[3], 4, "cases 95 and 100");
        let (code, took) = pump.end();
        assert_eq!(code, Some(0), "case 96: {words:?}");
        assert!(took < Duration::from_secs(1), "case 96: it took {took:?}");
    }
    // Also before it said a word.
    assert_eq!(Pump::start(&site, &["photos"]).end().0, Some(0));
}

#[test]
fn a_pump_whose_stdout_is_gone_ends_and_does_not_panic() {
    let site = Site::new("stdout-gone");
    let mut pump = Pump::start(&site, &["photos"]);
    drop(pump.child.stdout.take());
    pump.say(PREFACE);
    let (code, _) = pump.end();
    assert_eq!(code, Some(0), "case 97");
}

#[test]
fn a_terminal_is_refused() {
    let site = Site::new("terminal");
    let program = site.program().get_program().to_string_lossy().into_owned();
    let line = format!("{program} serve restic --stdio photos </dev/null");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).envs(site.environment());
    let ended = Running::of(&mut command).end();
    assert_eq!(ended.code, Some(2), "case 99: {}", ended.stdout);
    assert!(ended.stdout.contains("terminal"), "{}", ended.stdout);
    assert!(!site.data().exists(), "nothing was made");
}

/// HTTP/2 by hand over a pump: requests, and how they are answered.
struct Client {
    send: h2::client::SendRequest<Bytes>,
    pinger: h2::PingPong,
    pump: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn over(pump: Pump) -> Self {
        Self::with_window(pump, 4 << 20).await
    }

    /// One who lets so much of an answer come before it is read.
    async fn with_window(mut pump: Pump, bytes: u32) -> Self {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (mut from_us, mut to_us) = tokio::io::split(far);
        let to_pump = std::os::fd::OwnedFd::from(pump.child.stdin.take().unwrap());
        let from_pump = std::os::fd::OwnedFd::from(pump.child.stdout.take().unwrap());
        let mut to_pump = tokio::net::unix::pipe::Sender::from_owned_fd(to_pump).unwrap();
        let mut from_pump = tokio::net::unix::pipe::Receiver::from_owned_fd(from_pump).unwrap();
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_us, &mut to_pump).await;
            let _ = to_pump.shutdown().await;
        });
        let pump = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_pump, &mut to_us).await;
            let _ = pump.child.wait();
        });
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(bytes).initial_connection_window_size(1 << 30);
        let (send, mut connection) = builder.handshake(near).await.expect("a handshake");
        let pinger = connection.ping_pong().unwrap();
        tokio::spawn(connection);
        Self { send, pinger, pump }
    }

    /// A request with a body, or a part of one whose length it says.
    async fn begin(
        &self,
        method: &str,
        path: &str,
        length: Option<usize>,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = warp::http::Request::builder().method(method).uri(format!("http://localhost{path}"));
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let mut ready = self.send.clone().ready().await.expect("a stream");
        ready.send_request(request.body(()).unwrap(), length.is_none()).expect("sent")
    }

    async fn get(&self, path: &str) -> (u16, Option<usize>, Vec<u8>) {
        let (answer, _) = self.begin("GET", path, None).await;
        finish(answer).await
    }

    async fn put(&self, body: Bytes) -> String {
        let path = format!("/data/{}", name_of(&body));
        let (answer, mut stream) = self.begin("POST", &path, Some(body.len())).await;
        give(&mut stream, body).await;
        assert_eq!(finish(answer).await.0, 200, "{path}");
        path
    }
}

/// Sends a body as the server's window allows.
async fn give(stream: &mut h2::SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await.expect("open").expect("room");
        let part = body.split_to(room.min(body.len()));
        stream.send_data(part, body.is_empty()).expect("sent");
    }
}

async fn finish(answer: h2::client::ResponseFuture) -> (u16, Option<usize>, Vec<u8>) {
    let answer = tokio::time::timeout(ANSWER * 3, answer).await.expect("an answer in time").expect("an answer");
    let length = answer.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let (status, mut body) = (answer.status().as_u16(), answer.into_body());
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a whole body");
        let _ = body.flow_control().release_capacity(piece.len());
        all.extend_from_slice(&piece);
    }
    (status, length, all)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

#[test]
fn many_streams_at_once_over_one_pump() {
    let site = Site::new("streams");
    block_on(async {
        let mut client = Client::over(Pump::start(&site, &["photos"])).await;
        let (status, ..) = client.get("/file-5577006791947779410").await;
        assert_eq!(status, 404, "case 94");
        let bodies: Vec<Bytes> = (0..8u8).map(|n| Bytes::from(vec![n; 5 << 20])).collect();
        let mut paths = Vec::new();
        for body in &bodies {
            paths.push(client.put(body.clone()).await);
        }
        let gets: Vec<_> = (0..40).map(|n| client.begin("GET", &paths[n % 8], None)).collect();
        let mut answers = Vec::new();
        for get in gets {
            answers.push(tokio::spawn(finish(get.await.0)));
        }
        client.pinger.ping(h2::Ping::opaque()).await.expect("case 101: a PING is answered under load");
        for (n, answer) in answers.into_iter().enumerate() {
            let (status, length, body) = answer.await.unwrap();
            assert_eq!((status, length), (200, Some(5 << 20)), "case 101");
            assert!(body == bodies[n % 8], "case 101: body {n}");
        }
        let mut answers = Vec::new();
        for _ in 0..100 {
            answers.push(tokio::spawn(finish(client.begin("GET", "/index/", None).await.0)));
        }
        for answer in answers {
            assert_eq!(answer.await.unwrap().0, 200, "case 101: 100 streams");
        }
        drop(client.send);
        tokio::time::timeout(ANSWER, client.pump).await.expect("the pump ends").unwrap();
    });
}

#[test]
fn an_upload_that_is_cut_with_its_pump_leaves_nothing() {
    let site = Site::new("cut");
    let body = Bytes::from(vec![7; 3 << 20]);
    let path = format!("/data/{}", name_of(&body));
    block_on(async {
        let client = Client::over(Pump::start(&site, &["photos"])).await;
        let (_answer, mut stream) = client.begin("POST", &path, Some(body.len())).await;
        give(&mut stream, body.slice(..2 << 20)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.pump.abort();
    });
    block_on(async {
        let client = Client::over(Pump::start(&site, &["photos"])).await;
        assert_eq!(client.get(&path).await.0, 404, "case 96");
        assert_eq!(client.get("/data/").await.2, b"[]", "case 96");
        assert_eq!(client.put(body).await, path);
        assert_eq!(client.get(&path).await.0, 200);
    });
}

/// Twenty that take nothing hold more than downloads may: some of them are reset, the others stay, and so does their connection.
#[test]
fn a_stalled_download_is_reset_alone() {
    let site = Site::new("stalled");
    block_on(async {
        let client = Client::with_window(Pump::start(&site, &["photos"]), 64 << 10).await;
        let mut body = vec![0; 8 << 20];
        Random::new(5).fill(&mut body);
        let body = Bytes::from(body);
        let path = client.put(body.clone()).await;
        let mut stalled = Vec::new();
        for _ in 0..20 {
            stalled.push(tokio::spawn(client.begin("GET", &path, None).await.0));
        }
        let (status, length, read) = client.get(&path).await;
        assert_eq!((status, length), (200, Some(body.len())), "one that reads comes through");
        assert!(read == body);
        let (mut reset, mut whole) = (0, 0);
        for answer in stalled {
            let answer = tokio::time::timeout(ANSWER * 4, answer).await.expect("in time").unwrap().expect("an answer");
            match read_on(answer.into_body()).await {
                Ok(read) => whole += usize::from(read == body),
                Err(error) => {
                    assert!(error.is_reset(), "not the stream alone: {error}");
                    reset += 1;
                }
            }
        }
        assert!(reset > 0 && whole > 0 && reset + whole == 20, "{reset} were reset, {whole} came whole");
        assert!(client.get(&path).await.2 == body, "the connection goes on");
    });
}

async fn read_on(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}
