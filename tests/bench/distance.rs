//! Four uploads of 64 MiB over one HTTP/2 connection, to a pump whose bytes are held for 45 ms each way: what restic has
//! through ssh to a house that is far away. A server that lets too little be on its way is slow here and nowhere else.

use crate::Options;
use crate::kit::place::{self, Place};
use crate::kit::random::{Random, hex, run_seed};
use crate::measure::rate;
use crate::peer::{Peer, in_turns};
use crate::report::Report;
use bytes::Bytes;
use h2::client::SendRequest;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;

const UPLOADS: usize = 4;
const UPLOAD_BYTES: usize = 64 << 20;
/// How long every byte is on its way, in each direction.
const HELD: Duration = Duration::from_millis(45);
/// Larger than any window a server could offer, so that the relay has a delay and no width.
const PIECE_BYTES: usize = 256 << 10;
/// Go's client, which restic is, has this window for what comes to it; uploads need little of it.
const ANSWER_WINDOW: u32 = 4 << 20;

/// MB/s over distance.
pub fn compare(options: &Options, ours: &Peer, theirs: &Peer, report: &mut Report) {
    let place = Place::on_disk("bench-distance");
    place::require_free(place.path(), 4 * (UPLOADS * UPLOAD_BYTES) as u64 + (1 << 30));
    let mut random = Random::new(run_seed("bench, distance"));
    let bodies: Vec<Bytes> = (0..UPLOADS)
        .map(|_| {
            let mut body = vec![0; UPLOAD_BYTES];
            random.fill(&mut body);
            Bytes::from(body)
        })
        .collect();
    let run = |peer: &Peer, number| uploads(peer, &peer.store(place.path(), &format!("distance-{number}")), &bodies);
    let pairs = in_turns(options.pairs, |number| run(ours, number), |number| run(theirs, number));
    report.add_pairs("4 uploads of 64 MiB over 90 ms, HTTP/2", "MB/s", "rclone, not synced", &pairs);
}

fn uploads(peer: &Peer, store: &Path, bodies: &[Bytes]) -> f64 {
    let mut command = peer.command(&[], &["--stdio"], store);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut pump = command.spawn().unwrap_or_else(|error| unreachable!("{command:?}: {error}"));
    let near = held(&mut pump);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let seconds = runtime.block_on(async {
        near.set_nonblocking(true).expect("a socket takes it");
        let near = UnixStream::from_std(near).expect("a socket");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(ANSWER_WINDOW).initial_connection_window_size(ANSWER_WINDOW);
        // What may wait in this client is more than what the server takes at a time.
        builder.max_send_buffer_size(4 << 20);
        let (client, connection) = builder.handshake(near).await.expect("HTTP/2 begins");
        let speaking = tokio::spawn(connection);
        let made = post(client.clone(), "/?create=true".into(), Bytes::new()).await;
        assert_eq!(made, 200, "{} makes a repository", peer.name);
        let begun = Instant::now();
        let sent: Vec<_> = bodies
            .iter()
            .map(|body| {
                let name = hex(&Sha256::digest(body));
                tokio::spawn(post(client.clone(), format!("/data/{name}"), body.clone()))
            })
            .collect();
        for answer in sent {
            assert_eq!(answer.await.expect("it is sent"), 200, "{} takes an upload", peer.name);
        }
        let seconds = begun.elapsed().as_secs_f64();
        speaking.abort();
        seconds
    });
    drop(runtime);
    let ended = pump.wait().expect("the pump ends");
    assert!(ended.success(), "{}: the pump ended with {ended}", peer.name);
    gone(store);
    rate((bodies.len() * UPLOAD_BYTES) as u64, seconds)
}

async fn post(client: SendRequest<Bytes>, target: String, mut body: Bytes) -> u16 {
    let mut client = client.ready().await.expect("the connection is there");
    let request = http_request(&target, body.len());
    let (answer, mut stream) = client.send_request(request, body.is_empty()).expect("a request");
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let granted = std::future::poll_fn(|task| stream.poll_capacity(task)).await.expect("the stream is open");
        let granted = granted.expect("the connection is open").min(body.len());
        let piece = body.split_to(granted);
        stream.send_data(piece, body.is_empty()).expect("data");
    }
    answer.await.expect("an answer").status().as_u16()
}

fn http_request(target: &str, length: usize) -> warp::http::Request<()> {
    let request = warp::http::Request::post(format!("http://localhost{target}")).header("content-length", length);
    request.body(()).expect("a request")
}

/// Our end of a line to a pump on which every byte stays for a while.
fn held(pump: &mut Child) -> std::os::unix::net::UnixStream {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    let (to_pump, from_pump) = (pump.stdin.take().expect("stdin"), pump.stdout.take().expect("stdout"));
    hold(far.try_clone().expect("a second handle"), to_pump);
    let end = far.try_clone().expect("a third handle");
    hold(from_pump, end);
    near
}

/// Hands on what comes, each piece so much later, until it ends.
fn hold(mut from: impl Read + Send + 'static, mut to: impl Write + Send + 'static) {
    let (on_its_way, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            if on_its_way.send((Instant::now() + HELD, piece[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, piece)) = arriving.recv() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
    });
}

/// Removes a store when whoever holds it for its pumps has gone.
fn gone(store: &Path) {
    let begun = Instant::now();
    while store.join("rbackup.sock").exists() && begun.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
    }
    let _ = fs::remove_dir_all(store);
}
