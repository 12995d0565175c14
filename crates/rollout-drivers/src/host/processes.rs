//! The processes in the slots: started, kept running, adopted by the next controller, stopped.

mod launch;
mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use spillway_model::{Clock, UnixMillis};
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slot;
use spillway_rollout::spec::{Candidate, CommandLine, HostSlot};
use tokio::process::Child;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::proc;
use super::records::{ProcessRecord, Records, SlotRecord, log_of};
use watch::Watch;

/// A process that ran for longer failed for a new reason.
const STEADY_MS: i64 = 60_000;
/// Pause before a process that ended early is started again, when the one before did too; it doubles with each further one. After a
/// single end there is none.
const FIRST_PAUSE_MS: i64 = 500;
const LONGEST_PAUSE_MS: i64 = 60_000;

/// How far a slot is emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// Nothing of the controller's is in it.
    Yes,
    /// Processes still stop; ask again.
    NotYet,
}

/// The processes of both slots, remembered in `slots.json` of the state directory. They outlive the controller.
pub(crate) struct SlotProcesses {
    directory: PathBuf,
    records: Records,
    /// Those that this controller started, for their exit status.
    children: HashMap<u32, Child>,
    clock: Arc<dyn Clock>,
    n_started: u64,
    watch: Watch,
}

impl SlotProcesses {
    /// Reads what is remembered, and finds processes that were started right before the last controller died.
    ///
    /// # Errors
    /// When `slots.json` cannot be read.
    pub(crate) fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let mut records = Records::read(&directory.join("slots.json"))?;
        for slot in Slot::BOTH {
            let processes = records.slots.get_mut(slot).processes.iter_mut();
            for process in processes.filter(|process| process.identity.is_none() && !process.id.is_empty()) {
                process.identity = proc::with_environment(&launch::mark(&process.id));
            }
        }
        let directory = directory.to_owned();
        Ok(Self { directory, records, children: HashMap::new(), clock, n_started: 0, watch: Watch::default() })
    }

    /// Notifies `wake` when a process ends and when one is due to be started again.
    pub(crate) fn wake_on_ends(&mut self, wake: Arc<Notify>) {
        self.watch = Watch::new(wake);
        for slot in Slot::BOTH {
            for identity in self.records.slots.get(slot).processes.iter().filter_map(|each| each.identity.as_ref()) {
                self.watch.for_end_of(identity);
            }
        }
    }

    /// Notices processes that ended. Each end that nobody asked for counts as a restart.
    ///
    /// # Errors
    /// When it cannot be remembered.
    pub(crate) fn look(&mut self) -> Result<(), PortError> {
        let now = self.clock.now();
        let before = self.records.clone();
        for slot in Slot::BOTH {
            let record = self.records.slots.get_mut(slot);
            for process in record.processes.iter_mut().filter(|process| !process.is_alive()) {
                let Some(identity) = process.identity.take() else { continue };
                let child = self.children.remove(&identity.pid);
                let status = child.and_then(|mut child| child.try_wait().ok().flatten());
                if record.stopping_since.is_some() {
                    info!(%slot, pid = identity.pid, "a process stopped");
                    continue;
                }
                record.restarts = record.restarts.saturating_add(1);
                let pause_ms = rest(process, now);
                self.watch.for_time(Duration::from_millis(pause_ms.unsigned_abs()));
                warn!(
                    %slot,
                    pid = identity.pid,
                    ended = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
                    output = %log_of(&self.directory, slot.name(), process.position).display(),
                    pause_ms,
                    "a process ended by itself and is started again"
                );
            }
        }
        if self.records == before { Ok(()) } else { self.save() }
    }

    /// The revision in a slot, if it was put there; and how often its processes ended by themselves.
    #[must_use]
    pub(crate) fn revision(&self, slot: Slot) -> (Option<&str>, u32) {
        let record = self.records.slots.get(slot);
        (record.revision.as_deref(), record.restarts)
    }

    /// Whether what listens at an address of the slot can be its own: processes that the controller started have to be alive.
    #[must_use]
    pub(crate) fn may_listen(&self, slot: Slot, position: usize) -> bool {
        let record = self.records.slots.get(slot);
        match record.processes.as_slice() {
            [] => true,
            [all] => all.is_alive(),
            several => several.get(position).is_some_and(ProcessRecord::is_alive),
        }
    }

    /// Lets a slot run a revision: starts it, starts again what ended, replaces another one. Without a command for it, it is expected
    /// to run already. `takes_traffic` says that the slot serves now: what serves and is not known is taken for the revision. While
    /// another revision still stops, nothing is started: ask again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn run(
        &mut self,
        slot: Slot,
        place: &HostSlot,
        candidate: &Candidate,
        revision: &str,
        takes_traffic: bool,
    ) -> Result<(), PortError> {
        let record = self.records.slots.get(slot);
        if record.revision.as_deref() == Some(revision) && record.stopping_since.is_none() {
            return self.start_again(slot);
        }
        if record.is_any_alive() {
            if takes_traffic {
                return Err(PortError::Permanent(format!(
                    "slot {slot} serves {}: its traffic has to leave before {revision} can run there",
                    record.revision.as_deref().unwrap_or("another revision")
                )));
            }
            if self.stop(slot, candidate)? == Emptied::NotYet {
                return Ok(());
            }
        }
        let own = candidate.start.as_ref().filter(|_| candidate.revision == revision);
        let mut start = own.or_else(|| self.records.known(revision)).cloned();
        if start.is_some()
            && let Some(address) = launch::taken(&place.addresses).await
        {
            if !takes_traffic || self.records.slots.get(slot).revision.is_some() {
                return Err(PortError::Permanent(format!(
                    "{address} of slot {slot} is taken by a process that the controller did not start: stop it, or remove \
                     target.host.candidate.start if it is the candidate"
                )));
            }
            start = None;
        }
        let mut record = SlotRecord { revision: Some(revision.to_owned()), ..SlotRecord::default() };
        let Some(start) = start else {
            info!(%slot, revision, "the slot is taken to hold this revision, which the controller does not start or stop");
            *self.records.slots.get_mut(slot) = record;
            return self.save();
        };
        self.records.learn(revision, &start);
        record.processes = self.new_processes(slot, place, &start, revision);
        *self.records.slots.get_mut(slot) = record;
        self.start_again(slot)
    }

    /// Empties a slot: SIGTERM, and SIGKILL when the candidate's stop timeout has passed. What the controller did not start is left alone.
    ///
    /// # Errors
    /// When a process cannot be signalled.
    pub(crate) fn stop(&mut self, slot: Slot, candidate: &Candidate) -> Result<Emptied, PortError> {
        let timeout = candidate.stop_timeout.map_or(Duration::from_secs(30), |timeout| timeout.0);
        let now = self.clock.now();
        let record = self.records.slots.get_mut(slot);
        if *record == SlotRecord::default() {
            return Ok(Emptied::Yes);
        }
        if !record.is_any_alive() {
            if record.processes.is_empty() {
                let revision = record.revision.as_deref().unwrap_or_default();
                info!(%slot, revision, "the slot is out of use; the controller did not start what runs there, and leaves it");
            }
            *record = SlotRecord::default();
            return self.save().map(|()| Emptied::Yes);
        }
        let is_asked = record.stopping_since.is_some();
        // A clock that was set back does not make the wait longer.
        let since = record.stopping_since.unwrap_or(now).min(now);
        record.stopping_since = Some(since);
        let limit = since.saturating_add(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        // Remembered first: a process that ends now was stopped, and is not started again.
        self.save()?;
        for process in &self.records.slots.get(slot).processes {
            let Some(identity) = process.identity.as_ref().filter(|identity| identity.is_alive()) else { continue };
            let signalled = if now >= limit {
                warn!(%slot, pid = identity.pid, "a process did not stop within {} ms and is killed", timeout.as_millis());
                identity.kill_group()
            } else if is_asked {
                Ok(())
            } else {
                info!(%slot, pid = identity.pid, "a process is asked to stop");
                identity.signal(Signal::TERM)
            };
            signalled.map_err(|error| {
                PortError::Temporary(format!("process {} of slot {slot} cannot be stopped: {error}", identity.pid))
            })?;
        }
        Ok(Emptied::NotYet)
    }

    /// Starts what does not run and has had its pause.
    fn start_again(&mut self, slot: Slot) -> Result<(), PortError> {
        let now = self.clock.now();
        // A clock that was set back does not make the pause longer.
        let has_rested = |after: UnixMillis| after <= now || after.saturating_sub(now) > LONGEST_PAUSE_MS;
        let is_due = |process: &ProcessRecord| process.identity.is_none() && has_rested(process.start_after);
        for position in 0..self.records.slots.get(slot).processes.len() {
            if !is_due(&self.records.slots.get(slot).processes[position]) {
                continue;
            }
            let id = self.next_id(slot, position, now);
            let process = &mut self.records.slots.get_mut(slot).processes[position];
            process.id = id;
            process.started_at = now;
            self.save()?;
            let process = &mut self.records.slots.get_mut(slot).processes[position];
            let log = log_of(&self.directory, slot.name(), position);
            match launch::spawn(process, &log) {
                Ok((child, identity)) => {
                    info!(%slot, pid = identity.pid, program = process.start.command[0], "a process was started");
                    self.watch.for_end_of(&identity);
                    self.children.insert(identity.pid, child);
                    process.identity = Some(identity);
                }
                Err(error) => {
                    rest(process, now);
                    self.save()?;
                    return Err(PortError::Permanent(error));
                }
            }
            self.save()?;
        }
        Ok(())
    }

    /// A process for each address, or one for all when the command names no address.
    fn new_processes(&self, slot: Slot, place: &HostSlot, start: &CommandLine, revision: &str) -> Vec<ProcessRecord> {
        let n_processes = if launch::names_address(start) { place.addresses.len() } else { 1 };
        let process = |(position, address): (usize, &String)| ProcessRecord {
            id: String::new(),
            identity: None,
            start: launch::fill_in(start, slot, address, revision),
            position,
            started_at: 0,
            early_ends: 0,
            start_after: UnixMillis::MIN,
        };
        place.addresses.iter().take(n_processes).enumerate().map(process).collect()
    }

    fn next_id(&mut self, slot: Slot, position: usize, now: UnixMillis) -> String {
        self.n_started += 1;
        format!("{slot}-{position}-{now}-{}-{}", std::process::id(), self.n_started)
    }

    fn save(&self) -> Result<(), PortError> {
        self.records.write(&self.directory.join("slots.json"))
    }
}

/// Lets a process that ended wait before it is started again, longer each time. Returns the pause.
fn rest(process: &mut ProcessRecord, now: UnixMillis) -> i64 {
    if now.saturating_sub(process.started_at) >= STEADY_MS {
        process.early_ends = 0;
    }
    let doubled = process.early_ends.checked_sub(1).map_or(0, |n| FIRST_PAUSE_MS << n.min(16));
    let pause_ms = doubled.min(LONGEST_PAUSE_MS);
    process.early_ends = process.early_ends.saturating_add(1);
    process.start_after = now.saturating_add(pause_ms);
    pause_ms
}
