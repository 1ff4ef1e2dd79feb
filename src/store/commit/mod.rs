//! The storage thread: the one place where the log grows and the catalog changes.
//!
//! Promise: an answer is given only after the sync that covers it; ids given in a commit whose sync failed are given
//! again; after any error the open volume is closed at its acknowledged end and never written again, and whoever built
//! on what it lost is refused. It takes all that waits, syncs once, and never waits when nothing is queued.

mod again;
mod counting;
mod group;
mod job;
mod mend;
mod staged;
mod turnover;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use self::again::Waiting;
use self::group::{Appended, Group};
pub use self::job::Job;
use self::staged::Staged;
use crate::store::Options;
use crate::store::audit;
use crate::store::draft::NewFrame;
use crate::store::error::Error;
use crate::store::frame::FrameHeader;
use crate::store::header::{Counters, Ending};
use crate::store::mark::Mark;
use crate::store::newest::Newest;
use crate::store::operation::{Decided, Done, Operation, View, decide};
use crate::store::records::Record;
use crate::store::shared::Shared;
use crate::store::writer::{Tail, VolumeLimits, Writer};

/// A group ends when it has so many bytes …
const GROUP_BYTES_MAX: usize = 16 << 20;
/// … or took so long to gather, so that the first in it does not wait for a fast sender's last.
const GROUP_TIME_MAX: Duration = Duration::from_millis(100);
/// sled keeps what is not flushed in memory.
const UNFLUSHED_BYTES_MAX: u64 = 8 << 20;
/// After so much silence the open volume is looked after.
const IDLE: Duration = Duration::from_secs(2);

/// What an operation comes to, and its entry in the audit log.
struct Verdict {
    decided: Decided,
    counters: Counters,
    entry: Option<Staged>,
}

/// The storage thread's own state.
pub struct Keeper {
    shared: Arc<Shared>,
    store: [u8; 16],
    limits: VolumeLimits,
    /// The delta of the catalog is written to disk when it has grown so large.
    delta_bytes_max: usize,
    newest: Newest,
    writer: Tail,
    counters: Counters,
    group: Group,
    checkpoint: SyncSender<()>,
    /// When the catalog was last made anew, or tried to be, and how long that is not tried again.
    mended: Option<(Instant, Duration)>,
    /// What a full disk took together with others' data, and is done again.
    again: Vec<Waiting>,
}

impl Keeper {
    /// A keeper that goes on at `tail` and notes with `newest` what it begins; `checkpoint` wakes the thread that writes the
    /// catalog out.
    pub fn new(
        shared: Arc<Shared>,
        store: [u8; 16],
        options: &Options,
        newest: Newest,
        tail: Tail,
        counters: Counters,
        checkpoint: SyncSender<()>,
    ) -> Self {
        Self {
            shared,
            store,
            limits: options.volume,
            delta_bytes_max: options.delta_bytes,
            newest,
            writer: tail,
            counters,
            group: Group::default(),
            checkpoint,
            mended: None,
            again: Vec::new(),
        }
    }

    /// Begins the next volume if the last one has ended. On a full disk that is tried again when something is to be written.
    pub fn begin(&mut self) -> Result<(), Error> {
        match self.writer() {
            Err(Error::NoSpace) => {
                tracing::error!("the disk is full: what is stored can be read, nothing can be changed");
                Ok(())
            }
            begun => begun.map(drop),
        }
    }

    /// Works until it is told to close or nobody is left to ask.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(Job::Close(reply)) => {
                    let _ = reply.send(self.close());
                    return;
                }
                Ok(job) => {
                    let shared = Arc::clone(&self.shared);
                    match shared.watch.during(|| self.gather(job, jobs)) {
                        Some(Job::Close(reply)) => {
                            let _ = reply.send(self.close());
                            return;
                        }
                        Some(_) => return,
                        None => {}
                    }
                    self.mend_catalog();
                }
                Err(RecvTimeoutError::Timeout) => {
                    let shared = Arc::clone(&self.shared);
                    shared.watch.during(|| self.idle());
                    self.mend_catalog();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes `job` and all that waits behind it, then syncs if anybody waits for it. What ends it is handed back.
    fn gather(&mut self, job: Job, jobs: &Receiver<Job>) -> Option<Job> {
        let began = Instant::now();
        let mut next = Some(job);
        let home = self.require_home();
        if home.is_ok() {
            self.shared.space.make_room(self.writer.is_ok());
        }
        while let Some(job) = next {
            match job {
                Job::Append(frame, _) if home.is_err() => {
                    self.drop_frame(&frame);
                    self.shared.lose(&Error::Gone);
                }
                Job::Commit { reply, .. } if home.is_err() => drop(reply.send(Err(Error::Gone))),
                Job::Append(frame, permit) => {
                    let appended = self.append(&frame);
                    drop(permit);
                    if let Err(error) = appended {
                        self.drop_frame(&frame);
                        self.fail(error);
                    }
                }
                Job::Commit { operation, losses_seen, reply } => self.commit(operation, losses_seen, reply),
                Job::CountLogical { reply, .. } if home.is_err() => drop(reply.send(Err(Error::Gone))),
                Job::CountLogical { account, reply } => drop(reply.send(self.count(account))),
                Job::StoredCounted { reply, .. } if home.is_err() => drop(reply.send(Err(Error::Gone))),
                Job::StoredCounted { missing, reply } => drop(reply.send(self.stored_counted(&missing))),
                Job::End(reply) if home.is_err() => drop(reply.send(Err(Error::Gone))),
                Job::End(reply) => {
                    if !self.group.is_empty() {
                        self.finish();
                    }
                    let _ = reply.send(Ok(self.now().ending));
                }
                Job::Recycle => self.recycle(),
                // Done after every job, when nobody waits for a sync any more.
                Job::Mend => {}
                Job::Abandon => return Some(job),
                Job::Close(_) => {
                    self.finish();
                    self.do_again();
                    return Some(job);
                }
            }
            if self.group.bytes >= GROUP_BYTES_MAX || began.elapsed() >= GROUP_TIME_MAX {
                break;
            }
            next = jobs.try_recv().ok();
        }
        if home.is_ok() && (!self.group.answers.is_empty() || self.unflushed_bytes() >= UNFLUSHED_BYTES_MAX) {
            self.finish();
        }
        self.do_again();
        None
    }

    /// Nothing is written to a data directory that is gone: what is open there would be written into nowhere.
    fn require_home(&self) -> Result<(), Error> {
        self.shared.home.require()?;
        if self.writer.as_ref().map_or(true, Writer::is_there) { Ok(()) } else { Err(Error::Gone) }
    }

    fn append(&mut self, frame: &NewFrame) -> Result<(), Error> {
        self.make_room()?;
        let seq = self.group.counters.unwrap_or(self.counters).seq;
        let place = self.writer()?.append(&FrameHeader { seq, ..frame.header }, &frame.stored)?;
        self.group.take_frame(&frame.header, frame.stored.len(), seq, place);
        Ok(())
    }

    fn commit(&mut self, operation: Operation, losses_seen: u64, reply: Sender<Result<Done, Error>>) {
        let waiting = Waiting::of(&operation, reply);
        if let Err(error) = self.make_room() {
            self.refuse(waiting, &error);
            self.fail(error);
            return;
        }
        if losses_seen != self.shared.losses() && !operation.is_record_only() {
            tracing::warn!("a commit was refused because chunks it names were lost with a failed volume");
            return waiting.answer(Err(self.shared.last_loss()));
        }
        self.decide_and_stage(operation, waiting);
    }

    fn decide_and_stage(&mut self, operation: Operation, waiting: Waiting) {
        let staged = match self.decide(operation) {
            // Answered with the group: what made it so may not be synced yet.
            Ok(Verdict { decided: Decided::Already(done), .. }) => return self.group.answers.push((waiting, done)),
            Ok(Verdict { decided: Decided::Record(record, done), counters, entry }) => {
                self.measure(&record).and_then(|logical| {
                    let staged = Staged::of(&record, done, counters)?;
                    Ok((entry, Staged { logical, ..staged }))
                })
            }
            Err(refused) => Err(refused),
        };
        match staged.map(|(entry, staged)| self.stage_with(entry, staged)) {
            Ok(Ok(done)) => self.group.answers.push((waiting, done)),
            Ok(Err(error)) => {
                self.refuse(waiting, &error);
                self.fail(error);
            }
            Err(refused) => waiting.answer(Err(refused)),
        }
    }

    fn decide(&mut self, operation: Operation) -> Result<Verdict, Error> {
        let mut counters = self.group.counters.unwrap_or(self.counters);
        let view = View::new(&self.shared.rows, self.shared.catalog(), &self.group.overlay);
        let (is_audited, before) = (operation.may_be_audited(), counters.seq);
        counters.seq += u64::from(is_audited);
        let (operation, origin) = operation.with_origin();
        let decided = decide(operation, &view, &mut counters, &self.store)?;
        let entry = match &decided {
            Decided::Record(record, _) if is_audited => audit::of_record(record, origin, &view)?,
            _ => None,
        };
        let entry = entry.map(|entry| audit::next(entry, &view, &self.store)).transpose()?;
        let entry = entry.map(|entry| {
            // Before what it tells of, also in the order of the log.
            Staged::of(&Record::Audited(entry), Done::Noted, Counters { seq: before, ..counters })
        });
        Ok(Verdict { decided, counters, entry: entry.transpose()? })
    }

    fn stage_with(&mut self, entry: Option<Staged>, staged: Staged) -> Result<Done, Error> {
        if let Some(entry) = entry {
            self.stage(entry)?;
        }
        self.stage(staged)
    }

    fn stage(&mut self, staged: Staged) -> Result<Done, Error> {
        self.writer()?.append(&staged.header, &staged.stored)?;
        Ok(self.group.take_record(staged))
    }

    /// Ends a group: one sync, then the catalog, then the answers.
    fn finish(&mut self) {
        let counters = self.group.counters.unwrap_or(self.counters);
        let flushed = match &mut self.writer {
            Ok(writer) => writer.flush(counters.seq),
            Err(_) => Err(Error::Refused("the log cannot be written")),
        };
        if let Err(error) = flushed {
            self.fail(error);
            return;
        }
        self.counters = counters;
        let group = std::mem::take(&mut self.group);
        let places = group.frames.iter().map(Appended::change);
        self.shared.rows.apply(places.chain(group.changes).collect());
        self.shared.settle(group.frames.iter().map(|frame| frame.id));
        self.metered(&group.frames, &group.logical);
        self.shared.arrived(group.frame_bytes);
        for (waiting, done) in group.answers {
            waiting.answer(Ok(done));
        }
        if self.shared.rows.delta_bytes() > self.delta_bytes_max {
            self.checkpoint();
        }
    }

    /// Gives the open volume up and tells everybody who built on it.
    fn fail(&mut self, error: Error) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "writing the log failed; what was not acknowledged is dropped"
        );
        let group = std::mem::take(&mut self.group);
        self.shared.arrived(group.frame_bytes);
        group.frames.iter().for_each(|frame| self.shared.meter.lost(frame.account, frame.bytes));
        for (waiting, _) in group.answers {
            self.refuse(waiting, &error);
        }
        self.shared.lose(&error);
        let nothing = (Ending::NOTHING, None);
        self.writer = match std::mem::replace(&mut self.writer, Err(nothing)) {
            Ok(writer) => Err(writer.abandon(&self.shared.log)),
            Err(before) => Err(before),
        };
    }

    fn unflushed_bytes(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::unflushed_bytes)
    }

    fn recycle(&mut self) {
        if self.unflushed_bytes() > 0 && self.require_home().is_ok() {
            self.finish();
        }
        if let Ok(writer) = &self.writer {
            writer.recycle();
        }
        self.shared.recycling.store(false, Ordering::Release);
    }

    fn idle(&mut self) {
        if self.require_home().is_err() {
            return;
        }
        if !self.group.is_empty() {
            self.finish();
        }
        if let Ok(writer) = &self.writer {
            writer.recycle();
        }
    }

    /// Sets the delta aside and wakes the thread that writes it.
    fn checkpoint(&mut self) {
        if let Some(mark) = self.mark() {
            self.shared.rows.freeze(mark);
        }
        // Also when the last delta is still frozen: writing it may have failed, and is tried again.
        let _ = self.checkpoint.try_send(());
    }

    fn mark(&self) -> Option<Vec<u8>> {
        self.now().encode().ok()
    }

    /// Where the acknowledged log ends.
    fn now(&self) -> Mark {
        let ending = match &self.writer {
            Ok(writer) => writer.ending(),
            Err((before, _)) => *before,
        };
        Mark { store: self.store, ending, counters: self.counters }
    }

    /// Syncs what is left and leaves the volume in good order for the next start.
    fn close(mut self) -> Result<Mark, Error> {
        self.require_home()?;
        self.shared.space.make_room(self.writer.is_ok());
        if !self.group.is_empty() {
            self.finish();
        }
        let ending = match self.writer {
            Ok(writer) => writer.suspend()?,
            Err((ending, _)) => ending,
        };
        Ok(Mark { store: self.store, ending, counters: self.counters })
    }
}
