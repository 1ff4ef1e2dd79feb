//! What other processes cost, read from /proc while they run: processor seconds and peak memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A process that ends between two looks is seen as it was at the first.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Clock ticks a second in /proc/PID/stat, the same on every Linux.
const TICKS: f64 = 100.0;

/// What they cost together.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cost {
    /// User and system time of all.
    pub cpu_s: f64,
    /// The sum of the highest resident sets of those that ran at one time or another.
    pub peak_mib: f64,
}

/// Watches every process that runs one program for one directory, until it is asked.
pub struct Watched {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<u32, Cost>>,
    /// Processor seconds of those that ran already.
    before: BTreeMap<u32, f64>,
}

impl Watched {
    /// Watches processes of `program` whose command line names `place`.
    pub fn begin(program: &Path, place: &Path) -> Watched {
        let ended = Arc::new(AtomicBool::new(false));
        let (stop, program) = (Arc::clone(&ended), fs::canonicalize(program).expect("the program is there"));
        let place = place.display().to_string();
        let mut running = BTreeMap::new();
        look(&program, &place, &mut running);
        // Their peaks begin anew too: proc(5), clear_refs.
        running.keys().for_each(|pid| drop(fs::write(format!("/proc/{pid}/clear_refs"), "5")));
        let before = running.into_iter().map(|(pid, cost)| (pid, cost.cpu_s)).collect();
        let thread = thread::spawn(move || {
            let mut costs = BTreeMap::new();
            loop {
                // Once more after the end: what has not ended yet has done its work by now.
                let last = stop.load(Ordering::Acquire);
                look(&program, &place, &mut costs);
                if last {
                    return costs;
                }
                thread::sleep(LOOK_EVERY);
            }
        });
        Watched { ended, thread, before }
    }

    /// What they cost since.
    pub fn end(self) -> Cost {
        self.ended.store(true, Ordering::Release);
        let costs = self.thread.join().expect("the watch ends");
        assert!(!costs.is_empty(), "no process was seen: the watch looks for the wrong one");
        let spent = |(pid, cost): (&u32, &Cost)| cost.cpu_s - self.before.get(pid).copied().unwrap_or(0.0);
        Cost { cpu_s: costs.iter().map(spent).sum(), peak_mib: costs.values().map(|cost| cost.peak_mib).sum() }
    }
}

fn look(program: &Path, place: &str, costs: &mut BTreeMap<u32, Cost>) {
    for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(cost) = cost_of(&entry.path(), program, place) {
            costs.insert(pid, cost);
        }
    }
}

fn cost_of(process: &Path, program: &Path, place: &str) -> Option<Cost> {
    if fs::read_link(process.join("exe")).ok()? != program {
        return None;
    }
    let words = fs::read(process.join("cmdline")).ok()?;
    if !String::from_utf8_lossy(&words).contains(place) {
        return None;
    }
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in brackets may hold anything; the times are the 12th and 13th field behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let status = fs::read_to_string(process.join("status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: f64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Cost { cpu_s: (ticks(11)? + ticks(12)?) / TICKS, peak_mib: peak_kib / 1024.0 })
}
