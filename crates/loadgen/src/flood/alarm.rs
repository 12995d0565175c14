//! Waking at an instant, to some ten microseconds. The runtime's own timers wait for whole milliseconds.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

/// A timer that is a file. The runtime takes it as it takes a pipe: readiness and `read` are all that it needs.
#[cfg(target_os = "linux")]
pub(super) struct Alarm(tokio::net::unix::pipe::Receiver);

#[cfg(target_os = "linux")]
impl Alarm {
    /// Must be called on the runtime that it wakes.
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(timer).map(Self)
    }

    /// Returns at `at` or a little later, at once if that has passed.
    pub(super) async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let left = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        // A read gives the number of expirations, eight bytes. That it could give more tells the runtime to wait before the next one.
        let mut expirations = [0_u8; 16];
        self.0.read(&mut expirations).await.map(drop)
    }
}

/// To the millisecond.
#[cfg(not(target_os = "linux"))]
pub(super) struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
        tokio::time::sleep_until(at.into()).await;
        Ok(())
    }
}
