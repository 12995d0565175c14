//! The programs of connections: filter, order key and transform, evaluated while a request is prepared.
//!
//! Intake evaluates filters and order keys as well. Here they are evaluated again, because a connection may have been changed since, and
//! because what failed there has to be seen: it ends the delivery with an attempt that says what failed.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spillway_model::{Configuration, Connection, ConnectionId, Event, UnixMillis};
use spillway_transform::{Input, Program, ProgramError};

/// Programs that were quicker than this are evaluated where the request is prepared; others beside the runtime's own threads.
const QUICK: Duration = Duration::from_millis(1);
/// Bodies larger than this are always worked on beside the runtime's own threads.
const SMALL_BODY_BYTES: usize = 64 << 10;
/// Deleted connections whose programs are remembered for the deliveries that they left.
const MAX_DELETED: usize = 1_000;
/// A connection is not known here for so long after an event came at most, unless it was deleted.
const NEWS_TAKE_MS: i64 = 10_000;

/// The programs of all connections of one version of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// Every connection, those without programs as `None`.
    known: HashMap<ConnectionId, Option<Arc<ConnectionPrograms>>>,
    /// Of connections that were deleted. Their deliveries stay, and go out as they would have.
    deleted: HashMap<ConnectionId, Arc<ConnectionPrograms>>,
}

/// What is known about a delivery's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'p> {
    /// Its events go out as they came.
    Plain,
    /// It has programs.
    Programs(&'p Arc<ConnectionPrograms>),
    /// It is so new that the configuration has yet to come.
    NotYet,
}

impl Programs {
    /// The programs of this configuration. What did not change is taken from `before`, with everything that is compiled.
    pub(crate) fn build(configuration: &Configuration, before: Self) -> Self {
        let Self { known: mut before, mut deleted } = before;
        let sources: HashMap<_, _> = configuration.sources.iter().map(|source| (source.id, &source.name)).collect();
        let mut entry = |connection: &Connection| {
            let kept = before.remove(&connection.id).flatten();
            let source_name = sources.get(&connection.source).map_or("", |name| name.as_str());
            let texts = Texts::of(connection, source_name)?;
            Some(kept.filter(|kept| kept.texts == texts).unwrap_or_else(|| Arc::new(ConnectionPrograms::new(texts))))
        };
        let known: HashMap<_, _> =
            configuration.connections.iter().map(|connection| (connection.id, entry(connection))).collect();
        deleted.retain(|id, _| !known.contains_key(id));
        for (id, programs) in before {
            if let Some(programs) = programs
                && deleted.len() < MAX_DELETED
            {
                deleted.insert(id, programs);
            }
        }
        Self { known, deleted }
    }

    pub(crate) fn find(&self, connection: ConnectionId, event: &Event, now: UnixMillis) -> Found<'_> {
        match self.known.get(&connection) {
            Some(None) => Found::Plain,
            Some(Some(programs)) => Found::Programs(programs),
            None => match self.deleted.get(&connection) {
                Some(programs) => Found::Programs(programs),
                None if event.received_at() > now - NEWS_TAKE_MS => Found::NotYet,
                None => Found::Plain,
            },
        }
    }
}

/// The texts of a connection's programs, and what else they depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts {
    filter: Option<String>,
    order_by: Option<String>,
    transform: Option<String>,
    source_name: String,
}

impl Texts {
    /// `None` when the connection has no program.
    fn of(connection: &Connection, source_name: &str) -> Option<Self> {
        let Connection { filter, order_by, transform, .. } = connection;
        let has_any = filter.is_some() || order_by.is_some() || transform.is_some();
        has_any.then(|| Self {
            filter: filter.clone(),
            order_by: order_by.clone(),
            transform: transform.clone(),
            source_name: source_name.to_owned(),
        })
    }
}

/// The programs of one connection. They are compiled when the first event needs them, so that a configuration with thousands of
/// connections does not hold up the dispatcher.
#[derive(Debug)]
pub(crate) struct ConnectionPrograms {
    texts: Texts,
    compiled: OnceLock<Result<Compiled, String>>,
    /// The last evaluation was quick, so that the next one likely is.
    quick: AtomicBool,
}

#[derive(Debug, Default)]
struct Compiled {
    filter: Option<Program>,
    order_by: Option<Program>,
    transform: Option<Program>,
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The filter says no.
    Filtered,
    /// A program cannot be compiled, or fails for this event.
    Failed(String),
}

impl ConnectionPrograms {
    fn new(texts: Texts) -> Self {
        Self { texts, compiled: OnceLock::new(), quick: AtomicBool::new(false) }
    }

    /// What to send in place of the event's body; `None` is the body itself. `is_ordered` says that the order key was found at intake.
    pub(crate) async fn apply(
        self: &Arc<Self>,
        event: &Arc<Event>,
        is_ordered: bool,
    ) -> Result<Option<Bytes>, Withheld> {
        if self.quick.load(Ordering::Relaxed) && event.body.len() <= SMALL_BODY_BYTES {
            return self.timed(event, is_ordered);
        }
        let (programs, event) = (self.clone(), event.clone());
        let evaluated = tokio::task::spawn_blocking(move || programs.timed(&event, is_ordered)).await;
        evaluated.unwrap_or_else(|_| Err(crashed()))
    }

    fn timed(&self, event: &Event, is_ordered: bool) -> Result<Option<Bytes>, Withheld> {
        let compiled = match self.compiled.get_or_init(|| Compiled::of(&self.texts)) {
            Ok(compiled) => compiled,
            Err(reason) => return Err(Withheld::Failed(reason.clone())),
        };
        let begun = Instant::now();
        let evaluate = || compiled.evaluate(event, &self.texts.source_name, is_ordered);
        let result = catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|_| Err(crashed()));
        if event.body.len() <= SMALL_BODY_BYTES {
            self.quick.store(begun.elapsed() < QUICK, Ordering::Relaxed);
        }
        result
    }
}

impl Compiled {
    fn of(texts: &Texts) -> Result<Self, String> {
        let compile = |what: &str, text: &Option<String>| {
            let compiled = text.as_deref().map(Program::compile).transpose();
            compiled.map_err(|error| format!("the connection's {what} cannot be compiled: {error}"))
        };
        Ok(Self {
            filter: compile("filter", &texts.filter)?,
            order_by: compile("order_by", &texts.order_by)?,
            transform: compile("transform", &texts.transform)?,
        })
    }

    fn evaluate(&self, event: &Event, source_name: &str, is_ordered: bool) -> Result<Option<Bytes>, Withheld> {
        let failed = |what: &'static str| {
            move |error: ProgramError| Withheld::Failed(format!("the connection's {what} failed: {error}"))
        };
        let input = Input::new(event, source_name);
        if let Some(filter) = &self.filter
            && !filter.matches(&input).map_err(failed("filter"))?
        {
            return Err(Withheld::Filtered);
        }
        if let Some(order_by) = self.order_by.as_ref().filter(|_| !is_ordered) {
            order_by.key(&input).map_err(failed("order_by"))?;
        }
        self.transform.as_ref().map(|transform| transform.transform(&input).map_err(failed("transform"))).transpose()
    }
}

impl Withheld {
    /// What the attempt says.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Filtered => "the connection's filter does not let this event through".to_owned(),
            Self::Failed(reason) => reason,
        }
    }
}

fn crashed() -> Withheld {
    Withheld::Failed("the connection's program crashed; please report this with the program and the event".to_owned())
}
