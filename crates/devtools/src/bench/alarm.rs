//! Waiting for an instant to a few microseconds.
//!
//! The runtime's own timers have a grain of a millisecond. Waiting for the rest of it by looking at the clock keeps a whole processor busy, of
//! which what is measured on the same machine has the more need the fewer there are.

use std::fs::File;
use std::time::Instant;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use crate::Failure;

/// A timer of the kernel, which is read like a pipe.
pub(super) struct Alarm(Receiver);

impl Alarm {
    pub(super) fn new() -> Result<Self, Failure> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(Receiver::from_file_unchecked(File::from(timer))?))
    }

    /// Returns at once when the instant is over.
    pub(super) async fn at(&mut self, instant: Instant) -> Result<(), Failure> {
        let left = instant.saturating_duration_since(Instant::now());
        // Zero would be no alarm at all.
        if left.is_zero() {
            return Ok(());
        }
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let alarm = Itimerspec { it_interval: once, it_value: Timespec::try_from(left)? };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &alarm)?;
        let _times_rung = self.0.read_u64().await?;
        Ok(())
    }
}
