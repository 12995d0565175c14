//! One thread of a flood, and the work of its connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::lane::{Lane, Turns};
use super::requests::Requests;
use super::tally::{Live, Tally};
use super::turns::{Closed, Open, Share, Ticket};
use super::wire::Wire;
use super::{Load, Target};
use crate::generator::{Watch, thread_cpu_time};
use crate::http::{Client, ClientSettings, ErrorClass, Failure, Protocol, Request, Transport};

/// Connections that one thread opens at a time, so that the server's queue of new ones does not run over.
const OPENING: usize = 64;

/// Pauses before a connection is opened again after the second, the third … failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long an interrupted flood waits for answers that are under way.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Shortest pause between two looks at the schedule: what falls due within it is sent together.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);

/// Longest time that is spent looking at the clock before a request is due.
const SPIN_AHEAD: Duration = Duration::from_millis(2);

/// What a thread is to do.
pub(super) struct Work {
    pub(super) share: Share,
    pub(super) connections: usize,
    pub(super) how: How,
    pub(super) requests: Requests,
    pub(super) load: Load,
    /// Look at the clock all the time while requests follow one another closely.
    pub(super) spins: bool,
    pub(super) duration: Duration,
    pub(super) timeout: Duration,
    pub(super) live: Arc<Live>,
    pub(super) stop: CancellationToken,
    /// Told when every connection was opened or could not be; the first thread watches the generator.
    pub(super) ready: oneshot::Sender<Option<Watch>>,
    /// Becomes the common start.
    pub(super) start: watch::Receiver<Option<Instant>>,
}

/// How requests are sent.
#[derive(Clone)]
pub(super) enum How {
    /// HTTP/1.1 without TLS, by this engine.
    Raw(Arc<[SocketAddr]>),
    /// Anything else, by hyper.
    Hyper { target: Target, transport: Arc<Transport>, protocol: Protocol },
}

/// Does the work and returns what was counted.
pub(super) fn run(work: Work) -> io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, flood(work))
}

async fn flood(work: Work) -> io::Result<Tally> {
    let Work { share, connections, how, requests, load, spins, duration, timeout, live, stop, ready, mut start } = work;
    let alarm = Alarm::new()?;
    let lane = Rc::new(Lane::new(requests.source(), connections, timeout, live));
    let connecting = Rc::new(Semaphore::new(OPENING));
    let begun = CancellationToken::new();
    let opened = Rc::new(Semaphore::new(0));
    let mut tasks = JoinSet::new();
    for id in 0..connections {
        let connection = Connection {
            id,
            lane: lane.clone(),
            connecting: connecting.clone(),
            opened: opened.clone(),
            begun: begun.clone(),
            failures: 0,
        };
        match &how {
            How::Raw(addresses) => {
                tasks.spawn_local(connection.raw(addresses.clone(), requests.is_head(), requests.closes()));
            }
            How::Hyper { target, transport, protocol } => {
                let settings = ClientSettings {
                    protocol: *protocol,
                    no_connection_reuse: requests.closes() && *protocol == Protocol::Http1,
                    network: None,
                };
                tasks.spawn_local(connection.hyper(target.clone(), Client::new(transport.clone(), settings)));
            }
        }
    }
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    tokio::select! {
        _ = opened.acquire_many(all) => {}
        () = stop.cancelled() => {}
    }
    let _ = ready.send((share.part == 0).then(Watch::begin));
    // Without a start the flood was given up.
    let Ok(Some(start)) = start.wait_for(Option::is_some).await.map(|start| *start) else { return Ok(lane.result()) };
    let cpu = thread_cpu_time();
    let (turns, clockwork) = match load {
        Load::Closed => {
            let end = finish_at(lane.clone(), start + duration);
            (Turns::Closed(Closed::new(share, start, duration)), tokio::task::spawn_local(end))
        }
        Load::Open { rate, most_wait } => {
            let open = Open::new(share, start, duration, rate, most_wait);
            (Turns::Open(open), tokio::task::spawn_local(dispatch(lane.clone(), alarm, spins)))
        }
    };
    lane.begin(turns);
    begun.cancel();
    {
        let mut all = pin!(async { while tasks.join_next().await.is_some() {} });
        tokio::select! {
            () = &mut all => {}
            () = stop.cancelled() => {
                lane.stop(Instant::now());
                let _ = tokio::time::timeout(STOP_GRACE.min(timeout), all).await;
            }
        }
    }
    if clockwork.is_finished() {
        clockwork.await.map_err(io::Error::other)??;
    } else {
        clockwork.abort();
    }
    let mut tally = lane.result();
    tally.busy = thread_cpu_time().saturating_sub(cpu).saturating_sub(tally.spun);
    Ok(tally)
}

/// Ends the load even if no connection is there to ask for its next request.
async fn finish_at(lane: Rc<Lane>, end: Instant) -> io::Result<()> {
    tokio::time::sleep_until(end.into()).await;
    lane.stop(Instant::now());
    Ok(())
}

/// Hands out what falls due. With `spins` it never sleeps shortly before a request is due: a processor that fell asleep may need
/// milliseconds to wake, above all a virtual one.
async fn dispatch(lane: Rc<Lane>, mut alarm: Alarm, spins: bool) -> io::Result<()> {
    let mut last = Instant::now();
    loop {
        let now = Instant::now();
        lane.looked(now.saturating_duration_since(last));
        last = now;
        let Some(wake) = lane.hand_out(now) else { return Ok(()) };
        if spins && wake < now + SPIN_AHEAD {
            tokio::task::yield_now().await;
            continue;
        }
        if let Err(error) = alarm.sleep_until(wake.max(now + SHORTEST_SLEEP)).await {
            lane.stop(Instant::now());
            return Err(error);
        }
        last = Instant::now();
    }
}

struct Connection {
    id: usize,
    lane: Rc<Lane>,
    connecting: Rc<Semaphore>,
    opened: Rc<Semaphore>,
    begun: CancellationToken,
    /// In a row.
    failures: u32,
}

impl Connection {
    async fn raw(mut self, addresses: Arc<[SocketAddr]>, to_head: bool, closes: bool) {
        let mut wire = self.connect(&addresses, to_head).await;
        self.begin().await;
        // What was handed to a connection that the server had closed goes out on the next one.
        let mut carried = None;
        loop {
            let open = match &mut wire {
                Ok(open) => open,
                Err(class) => {
                    match (*class, carried.take()) {
                        (Some(class), Some(ticket)) => self.unsent(&ticket, class),
                        (Some(class), None) => self.lane.tally.borrow_mut().error(class),
                        (None, ticket) => carried = ticket,
                    }
                    let needed = carried.is_some() || !self.lane.over.is_cancelled();
                    if !needed || !self.pause().await {
                        return;
                    }
                    wire = self.connect(&addresses, to_head).await;
                    continue;
                }
            };
            let ticket = match carried.take().or_else(|| self.lane.take(Instant::now())) {
                Some(ticket) => ticket,
                None => match open.wait(self.id, &self.lane).await {
                    Ok(Some(ticket)) => ticket,
                    Ok(None) => return,
                    Err(_closed) => {
                        carried = self.lane.leave(self.id);
                        wire = Err(None);
                        continue;
                    }
                },
            };
            match open.exchange(&ticket, &self.lane).await {
                Ok(answered) => {
                    self.failures = 0;
                    if closes || !answered.reusable {
                        wire = Err(None);
                    }
                }
                Err(_) => {
                    self.failures += 1;
                    wire = Err(None);
                }
            }
        }
    }

    async fn hyper(mut self, target: Target, mut client: Client) {
        self.begin().await;
        loop {
            let ticket = match self.lane.take(Instant::now()) {
                Some(ticket) => ticket,
                None => match poll_fn(|cx| self.lane.poll_take(self.id, cx)).await {
                    Some(ticket) => ticket,
                    None => return,
                },
            };
            let request = self.lane.source.borrow_mut().parts(ticket.index);
            let Ok((method, headers, body)) = request else {
                self.unsent(&ticket, ErrorClass::Other);
                continue;
            };
            let (origin, path) = (target.origin.clone(), target.path.clone());
            let timeout = self.lane.timeout;
            self.lane.sent(&ticket, Instant::now());
            let exchange =
                client.send(Request { origin, method, path, headers, body, timeout, keep_body: false }).await;
            {
                let mut tally = self.lane.tally.borrow_mut();
                tally.bytes_sent += exchange.sent;
                tally.bytes_received += exchange.received;
            }
            let outcome = exchange.outcome.map(|answer| answer.status.as_u16()).map_err(|failure| failure.class);
            let latency = if outcome == Err(ErrorClass::Timeout) { timeout } else { exchange.timings.duration() };
            self.lane.ended(&ticket, latency, Instant::now(), outcome);
            self.failures = if outcome.is_ok() { 0 } else { self.failures + 1 };
            if !self.pause().await {
                return;
            }
        }
    }

    /// Waits for the start.
    async fn begin(&self) {
        self.opened.add_permits(1);
        self.begun.cancelled().await;
    }

    /// Opens the connection, or says why it cannot.
    async fn connect(&mut self, addresses: &[SocketAddr], to_head: bool) -> Result<Wire, Option<ErrorClass>> {
        let timeout = self.lane.timeout;
        let _permit = self.connecting.acquire().await;
        let connect = async {
            let tcp = TcpStream::connect(addresses).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, io::Error>(Wire::new(tcp, to_head, timeout))
        };
        let outcome = tokio::time::timeout(timeout, connect).await;
        let outcome = outcome.map_err(|_| ErrorClass::Timeout);
        let outcome = outcome.and_then(|wire| wire.map_err(|error| Failure::from(error).class));
        self.failures += u32::from(outcome.is_err());
        outcome.map_err(Some)
    }

    /// Counts a request that could not be sent.
    fn unsent(&self, ticket: &Ticket, class: ErrorClass) {
        let now = Instant::now();
        self.lane.sent(ticket, now);
        self.lane.ended(ticket, Duration::ZERO, now, Err(class));
    }

    /// Waits after failures in a row; false when there is nothing left to do.
    async fn pause(&self) -> bool {
        let Some(doublings) = self.failures.checked_sub(2) else { return true };
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.lane.over.cancelled() => false,
        }
    }
}
