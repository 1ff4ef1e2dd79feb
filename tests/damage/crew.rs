//! Runs trials in child processes: an abort, a hang or a bottomless hunger for memory ends the child and not the harness,
//! and is laid at the door of the trial that was on.
//!
//! The child is this same test binary, asked for the test `worker`. It reads a trial a line from its standard input and
//! answers each with a line.

use super::layout::Layout;
use super::panics;
use super::plan::Trial;
use super::shape::Shape;
use super::trial::{self, Verdict};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Names the directory of the shapes to a child; without it the test `worker` is a test.
pub const SHAPES: &str = "RBACKUP_DAMAGE_WORKER";
const SCRATCH: &str = "RBACKUP_DAMAGE_SCRATCH";
/// Marks a line of the child's as an answer; the test harness prints lines of its own.
const ANSWER: &str = "@answer ";
/// Memory a child may use; a healthy trial takes a tenth.
const MEMORY_BYTES: u64 = 2 << 30;
/// No file in a trial comes near this.
const FILE_BYTES: u64 = 1 << 30;
/// Two at a time.
const CHILDREN: usize = 2;

/// What a child is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// A trial.
    Try(Trial),
    /// Planted: it aborts.
    Abort,
    /// Planted: it never answers.
    Hang,
    /// Planted: it takes memory without end.
    Devour,
    /// Planted: a panic that nobody catches.
    Panic,
}

/// Children at work on trials.
pub struct Crew<'a> {
    /// Where the shapes are.
    pub shapes: &'a Path,
    /// Where the trials run.
    pub scratch: &'a Path,
    /// A trial that takes longer hangs.
    pub deadline: Duration,
}

impl Crew<'_> {
    /// A verdict for each order, in the same order.
    pub fn carry_out(&self, orders: &[Order]) -> Vec<Verdict> {
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(Vec::new());
        let work = |number: usize| {
            let mut worker = None;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(order) = orders.get(at) else { return };
                let verdict = self.ask(&mut worker, number, order);
                verdicts.lock().expect("no thread panicked").push((at, verdict));
            }
        };
        std::thread::scope(|scope| {
            for number in 0..CHILDREN {
                let work = &work;
                scope.spawn(move || work(number));
            }
        });
        let mut verdicts = verdicts.into_inner().expect("no thread panicked");
        verdicts.sort_by_key(|(at, _)| *at);
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    fn ask(&self, worker: &mut Option<Worker>, number: usize, order: &Order) -> Verdict {
        let begun = Instant::now();
        let asked = worker.get_or_insert_with(|| Worker::start(self, number));
        match asked.ask(order, self.deadline) {
            Ok(verdict) => verdict,
            Err(how) => {
                *worker = None;
                Verdict::died(how, begun.elapsed().as_millis() as u64)
            }
        }
    }
}

/// A child process.
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    log: PathBuf,
}

impl Worker {
    fn start(crew: &Crew, number: usize) -> Worker {
        let scratch = crew.scratch.join(format!("worker-{number}"));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).expect("a directory for the worker");
        let log = scratch.with_extension("log");
        let stderr = fs::File::create(&log).expect("a log for the worker");
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", "worker", "--nocapture", "--test-threads=1"]);
        command.env(SHAPES, crew.shapes).env(SCRATCH, &scratch).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the worker starts");
        let (orders, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (say, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some((_, answer)) = line.split_once(ANSWER) {
                    let _ = say.send(answer.to_owned());
                }
            }
        });
        Worker { child, orders, answers, log }
    }

    fn ask(&mut self, order: &Order, deadline: Duration) -> Result<Verdict, String> {
        let line = serde_json::to_string(order).expect("an order is plain") + "\n";
        // A child that has died is found out by the missing answer.
        let _ = self.orders.write_all(line.as_bytes()).and_then(|()| self.orders.flush());
        match self.answers.recv_timeout(deadline) {
            Ok(answer) => serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}")),
            Err(RecvTimeoutError::Timeout) => Err(format!("HANG: no verdict within {deadline:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(format!(
                    "DIED: {status}; it last said: {}",
                    crate::kit::server::tail(&self.log).replace('\n', " / ")
                ))
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child's life: orders in, verdicts out, until nobody asks any more.
pub fn serve(shapes: &Path) {
    let bounded = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Data, bounded(MEMORY_BYTES)).expect("a bound on memory");
    setrlimit(Resource::Fsize, bounded(FILE_BYTES)).expect("a bound on files");
    panics::remember();
    let scratch = PathBuf::from(std::env::var_os(SCRATCH).expect("a directory to work in"));
    let mut known: HashMap<String, (Shape, Layout)> = HashMap::new();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let order: Order = serde_json::from_str(&line).expect("an order");
        let heard = catch_unwind(AssertUnwindSafe(|| hear(&order, shapes, &scratch, &mut known)));
        let verdict = heard.unwrap_or_else(|_| {
            let _ = fs::remove_dir_all(scratch.join("trial"));
            Verdict::died(format!("PANIC: {}", panics::all().join("; ")), 0)
        });
        let answer = serde_json::to_string(&verdict).expect("a verdict is plain");
        let mut out = std::io::stdout().lock();
        let said = writeln!(out, "\n{ANSWER}{answer}").and_then(|()| out.flush());
        said.expect("somebody listens");
    }
}

fn hear(order: &Order, shapes: &Path, scratch: &Path, known: &mut HashMap<String, (Shape, Layout)>) -> Verdict {
    match order {
        Order::Try(trial) => {
            let (shape, layout) = known.entry(trial.shape.clone()).or_insert_with(|| {
                let shape = Shape::load(shapes, &trial.shape);
                let layout = Layout::of(&shape, &scratch.join("layout"));
                (shape, layout)
            });
            trial::run(shape, layout, trial, &scratch.join("trial"))
        }
        Order::Abort => std::process::abort(),
        Order::Hang => loop {
            std::thread::park();
        },
        Order::Devour => {
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            loop {
                eaten.push(vec![1; 64 << 20]);
            }
        }
        Order::Panic => panic!("planted"),
    }
}
