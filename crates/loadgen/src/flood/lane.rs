//! One thread's part of a flood: what its connections share. Nothing in it is touched by another thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::requests::Source;
use super::tally::{Live, Tally};
use super::turns::{Closed, Open, Ticket};
use crate::http::ErrorClass;

/// Bytes read at once.
const READ_BUFFER: usize = 64 * 1024;

/// Who may send next.
pub(super) enum Turns {
    /// Before the start.
    Waiting,
    Closed(Closed),
    Open(Open),
}

pub(super) struct Lane {
    pub(super) timeout: Duration,
    pub(super) source: RefCell<Source>,
    pub(super) tally: RefCell<Tally>,
    pub(super) buffer: RefCell<Vec<u8>>,
    /// No further request will be handed out.
    pub(super) over: CancellationToken,
    turns: RefCell<Turns>,
    idle: RefCell<VecDeque<usize>>,
    places: RefCell<Vec<Place>>,
    stopped: Cell<bool>,
    /// Something was done since the last look at the schedule.
    worked: Cell<bool>,
    spun: Cell<Duration>,
    live: Arc<Live>,
}

/// Where a connection waits for its next request.
#[derive(Default)]
struct Place {
    ticket: Option<Ticket>,
    waker: Option<Waker>,
}

impl Lane {
    pub(super) fn new(source: Source, connections: usize, timeout: Duration, live: Arc<Live>) -> Self {
        Self {
            timeout,
            source: RefCell::new(source),
            tally: RefCell::new(Tally::new()),
            buffer: RefCell::new(vec![0; READ_BUFFER]),
            over: CancellationToken::new(),
            turns: RefCell::new(Turns::Waiting),
            idle: RefCell::new(VecDeque::with_capacity(connections)),
            places: RefCell::new((0..connections).map(|_| Place::default()).collect()),
            stopped: Cell::new(false),
            worked: Cell::new(true),
            spun: Cell::new(Duration::ZERO),
            live,
        }
    }

    /// From now on requests are handed out.
    pub(super) fn begin(&self, turns: Turns) {
        *self.turns.borrow_mut() = turns;
    }

    /// The next request, if one may be sent at `now`.
    pub(super) fn take(&self, now: Instant) -> Option<Ticket> {
        if self.stopped.get() {
            return None;
        }
        let mut turns = self.turns.borrow_mut();
        let ticket = match &mut *turns {
            Turns::Waiting => None,
            Turns::Closed(closed) => closed.take(now),
            Turns::Open(open) => {
                let ticket = open.take(now);
                self.live.dropped.store(open.dropped(), Ordering::Relaxed);
                ticket
            }
        };
        let over = match &*turns {
            Turns::Waiting => false,
            Turns::Closed(_) => ticket.is_none(),
            Turns::Open(open) => open.is_over(),
        };
        drop(turns);
        if over {
            self.finish();
        }
        ticket
    }

    /// The next request for connection `id`; `None` when there will be no more. While it waits, the context's task is woken for one.
    pub(super) fn poll_take(&self, id: usize, cx: &mut Context<'_>) -> Poll<Option<Ticket>> {
        if let Some(ticket) = self.places.borrow_mut()[id].ticket.take() {
            return Poll::Ready(Some(ticket));
        }
        if self.stopped.get() {
            return Poll::Ready(None);
        }
        let mut places = self.places.borrow_mut();
        let place = &mut places[id];
        match &mut place.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                place.waker = Some(cx.waker().clone());
                self.idle.borrow_mut().push_back(id);
            }
        }
        Poll::Pending
    }

    /// Connection `id` waits no longer, for a reason of its own. A request that was handed to it already is returned.
    pub(super) fn leave(&self, id: usize) -> Option<Ticket> {
        self.idle.borrow_mut().retain(|idle| *idle != id);
        let place = &mut self.places.borrow_mut()[id];
        place.waker = None;
        place.ticket.take()
    }

    /// Hands what is due to connections that wait, longest first. When to do so again; `None` when there is no more.
    pub(super) fn hand_out(&self, now: Instant) -> Option<Instant> {
        while !self.idle.borrow().is_empty() {
            let Some(ticket) = self.take(now) else { break };
            let Some(id) = self.idle.borrow_mut().pop_front() else { break };
            let place = &mut self.places.borrow_mut()[id];
            place.ticket = Some(ticket);
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
        if self.stopped.get() {
            return None;
        }
        let wake = match &mut *self.turns.borrow_mut() {
            Turns::Open(open) => {
                open.expire(now);
                self.live.dropped.store(open.dropped(), Ordering::Relaxed);
                (!open.is_over()).then(|| open.wake(now))
            }
            _ => None,
        };
        if wake.is_none() {
            self.finish();
        }
        wake
    }

    /// Hands out nothing more; what is due and was not sent is dropped.
    pub(super) fn stop(&self, now: Instant) {
        if let Turns::Open(open) = &mut *self.turns.borrow_mut()
            && !self.stopped.get()
        {
            open.stop(now);
        }
        self.finish();
    }

    fn finish(&self) {
        if self.stopped.replace(true) {
            return;
        }
        self.over.cancel();
        for place in &mut *self.places.borrow_mut() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    /// Connections have something to do: the time is not idle.
    pub(super) fn works(&self) {
        self.worked.set(true);
    }

    /// The schedule is looked at again after `pause`, which counts as idle unless something was done in it.
    pub(super) fn looked(&self, pause: Duration) {
        if !self.worked.replace(false) {
            self.spun.set(self.spun.get() + pause);
        }
    }

    /// Counts a request that goes out.
    pub(super) fn sent(&self, ticket: &Ticket, at: Instant) {
        self.works();
        self.tally.borrow_mut().sent(ticket, at);
    }

    /// Counts the end of a request.
    pub(super) fn ended(&self, ticket: &Ticket, latency: Duration, at: Instant, outcome: Result<u16, ErrorClass>) {
        let mut tally = self.tally.borrow_mut();
        match outcome {
            Ok(status) => tally.answered(ticket, latency, at, status),
            Err(class) => tally.failed(ticket, latency, at, class),
        }
        self.live.show(&tally);
    }

    /// What was counted.
    pub(super) fn result(&self) -> Tally {
        let mut tally = std::mem::replace(&mut *self.tally.borrow_mut(), Tally::new());
        tally.spun = self.spun.get();
        if let Turns::Open(open) = &*self.turns.borrow() {
            tally.dropped = open.dropped();
        }
        tally
    }
}
