//! A fault as a value, and the file through which a running server is given one.
//!
//! Promise: nothing fails before [`Control::arm`] and nothing after [`Control::disarm`]; what was counted in between can
//! be read while the server runs and after it has ended. `fault.c` is the other end.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Everything that changes something below the data directory.
    Changes,
    /// fsync and fdatasync, and so sled's sync_file_range, which the program makes an fdatasync.
    Syncs,
    /// write, pwrite and their kin.
    Writes,
    /// Opening and reading files.
    Reads,
}

/// What a failing call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errno {
    /// The disk could not.
    Eio = 5,
    /// The disk is full. Calls that need no room do not fail with it.
    Enospc = 28,
}

impl Errno {
    /// As everybody writes it.
    pub fn name(self) -> &'static str {
        match self {
            Errno::Eio => "EIO",
            Errno::Enospc => "ENOSPC",
        }
    }
}

/// What a failing sync does to what was written to the file since its last good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It stays in the page cache.
    Nothing = 0,
    /// It is gone.
    All = 1,
    /// Every other page of it is gone.
    EveryOtherPage = 2,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The calls that are counted.
    pub class: Class,
    /// The number of the one that fails, from 1; 0 for none.
    pub nth: u64,
    /// Its answer.
    pub errno: Errno,
    /// Whether all that come after it fail too.
    pub sticky: bool,
    /// What a failing sync loses.
    pub loss: Loss,
    /// Whether a failing write is made for its first half.
    pub torn: bool,
    /// Whether what is written to a file after a failed sync of it comes to nothing.
    pub vanish: bool,
    /// Planted: the call is not made and says that it was.
    pub lie: bool,
}

impl Fault {
    /// Counts and never fails.
    pub const NONE: Fault = Fault {
        class: Class::Changes,
        nth: 0,
        errno: Errno::Eio,
        sticky: false,
        loss: Loss::Nothing,
        torn: false,
        vanish: false,
        lie: false,
    };

    fn mask(self) -> u64 {
        const WRITE: u64 = 1;
        const SYNC: u64 = 4;
        const REMOVE: u64 = 32;
        const READ: u64 = 64;
        match self.class {
            Class::Changes if self.errno == Errno::Enospc => READ - 1 - REMOVE,
            Class::Changes => READ - 1,
            Class::Syncs => SYNC,
            Class::Writes => WRITE,
            Class::Reads => READ,
        }
    }
}

/// What the library has seen since it was armed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Calls of the fault's class.
    pub counted: u64,
    /// How many of them failed.
    pub injected: u64,
    /// Calls of each class, by its bit.
    by_class: [u64; 7],
}

impl Seen {
    /// Calls of a class, whichever class was armed.
    pub fn of(&self, class: Class) -> u64 {
        let mask = Fault { class, ..Fault::NONE }.mask();
        self.by_class.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, count)| count).sum()
    }
}

/// Builds the library; it needs a C compiler.
pub fn build_library(place: &Path) -> PathBuf {
    let library = place.join("fault.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/fault.c");
    let words = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", source, "-lpthread", "-o"];
    let built = Command::new("gcc").args(words).arg(&library).status();
    assert!(built.is_ok_and(|status| status.success()), "gcc builds tests/faults/fault.c (apt-get install gcc)");
    library
}

/// One data directory's fault.
pub struct Control {
    file: File,
    data: PathBuf,
    library: PathBuf,
}

/// Words of `struct control` before and after its counters.
const ORDERS: usize = 9;
const COUNTERS: usize = 2 + 7;

impl Control {
    /// For servers on `data`; its files lie beside it.
    pub fn new(data: &Path, library: &Path) -> Control {
        let open =
            File::options().read(true).write(true).create(true).truncate(true).open(data.with_extension("control"));
        let file = open.expect("a control file");
        let control = Control { file, data: data.to_owned(), library: library.to_owned() };
        control.write(0, &[0; ORDERS + COUNTERS]);
        control
    }

    /// What a server's environment needs.
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("RBACKUP_FAULT_DIR", self.data.clone().into()),
            ("RBACKUP_FAULT_CONTROL", self.data.with_extension("control").into()),
            ("RBACKUP_FAULT_LOG", self.data.with_extension("faults").into()),
        ]
    }

    /// From now on the calls are counted, from 1.
    pub fn arm(&self, fault: Fault) {
        self.disarm();
        let Fault { nth, errno, sticky, loss, torn, vanish, lie, .. } = fault;
        let how = [sticky.into(), loss as u64, torn.into(), vanish.into(), lie.into()];
        self.write(1, &[fault.mask(), nth, errno as u64]);
        self.write(4, &how);
        self.write(ORDERS, &[0; COUNTERS]);
        self.write(0, &[1]);
    }

    /// Waits until what a start left to do in the background is done: no call for a while.
    pub fn wait_for_quiet(&self) {
        self.arm(Fault::NONE);
        let (mut last, mut still) = (self.seen().counted, 0);
        while still < 4 {
            std::thread::sleep(Duration::from_millis(5));
            let now = self.seen().counted;
            still = if now == last { still + 1 } else { 0 };
            last = now;
        }
    }

    /// The disk is well again.
    pub fn disarm(&self) {
        self.write(0, &[0]);
    }

    /// What was counted.
    pub fn seen(&self) -> Seen {
        let mut bytes = [0; 8 * COUNTERS];
        self.file.read_exact_at(&mut bytes, 8 * ORDERS as u64).expect("read the control file");
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * at + byte]));
        Seen { counted: word(0), injected: word(1), by_class: std::array::from_fn(|bit| word(2 + bit)) }
    }

    /// The lines of the library's log that begin with `kind`: "fault" or "late".
    pub fn said(&self, kind: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.data.with_extension("faults")).unwrap_or_default();
        text.lines().filter(|line| line.starts_with(kind)).map(str::to_owned).collect()
    }

    fn write(&self, at: usize, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, 8 * at as u64).expect("write the control file");
    }
}
