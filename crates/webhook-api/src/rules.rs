//! What operators say about the events of a source: which of them go where, in which order, and what they must look like.

mod compiled;
mod event_types;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use spillway_model::{Connection, Event, NewDelivery};
use spillway_transform::{Input, Program, ProgramError, order_key};

use crate::routing::RoutedSource;
pub(crate) use compiled::CompiledRules;
pub(crate) use event_types::EventTypes;
pub use event_types::check_event_types;

/// Bodies up to this size are looked at where the request is served, larger ones on a thread that may be blocked.
const INLINE_BYTES: usize = 32 * 1_024;
/// Programs that are run for one event where the request is served.
const INLINE_PROGRAMS: usize = 16;
/// Longest time that programs of a source may keep a thread that serves requests. When they took longer for one event, they are run for the
/// next one on a thread that may be blocked, which finds out whether that was a rule or an exception.
const INLINE_TIME: Duration = Duration::from_millis(5);

/// A program as it was compiled. One that does not compile any more fails for every event.
type Compiled = Result<Program, ProgramError>;

/// Filters and order of a source's connections, one place for each connection.
#[derive(Debug)]
pub(crate) struct Rules {
    connections: Vec<ConnectionRules>,
    /// Whether they took too long, the last time, for a thread that serves requests.
    is_slow: AtomicBool,
    n_programs: usize,
}

/// What one connection says about its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionRules {
    filter: Option<Compiled>,
    order_by: Option<Compiled>,
}

impl ConnectionRules {
    pub(crate) fn new(connection: &Connection, compiled: &mut CompiledRules) -> Self {
        let mut compile = |text: &Option<String>| text.as_deref().map(|text| compiled.program(text));
        Self { filter: compile(&connection.filter), order_by: compile(&connection.order_by) }
    }

    fn n_programs(&self) -> usize {
        usize::from(self.filter.is_some()) + usize::from(self.order_by.is_some())
    }

    /// The delivery as this connection wants it; `None` when it does not want the event. When a program fails the delivery is made as it
    /// is: the worker, which runs the program again, ends it with an attempt that says why.
    fn apply(&self, delivery: NewDelivery, input: &Input) -> Option<NewDelivery> {
        let is_wanted = match &self.filter {
            None => true,
            Some(Ok(filter)) => match filter.matches(input) {
                Ok(is_wanted) => is_wanted,
                Err(_) => return Some(delivery),
            },
            Some(Err(_)) => return Some(delivery),
        };
        if !is_wanted {
            return None;
        }
        let key = match &self.order_by {
            Some(Ok(order_by)) => order_by.key(input).ok().flatten(),
            _ => None,
        };
        let order = key.map(|key| order_key(delivery.connection, &key));
        Some(NewDelivery { order, ..delivery })
    }
}

impl Rules {
    /// The rules of these connections; `None` when none has any.
    pub(crate) fn new(connections: Vec<ConnectionRules>) -> Option<Self> {
        let n_programs = connections.iter().map(ConnectionRules::n_programs).sum();
        (n_programs > 0).then(|| Self { connections, is_slow: AtomicBool::new(false), n_programs })
    }

    fn apply(&self, source: &RoutedSource, event: &Event) -> Vec<NewDelivery> {
        let input = Input::new(event, source.source.name.as_str());
        let deliveries = source.deliveries(event.id, event.received_at()).into_iter().zip(&self.connections);
        let begun = Instant::now();
        let wanted = deliveries.filter_map(|(delivery, rules)| rules.apply(delivery, &input)).collect();
        self.have_run(event, begun.elapsed());
        wanted
    }

    fn have_run(&self, event: &Event, took: Duration) {
        let is_slow = took > INLINE_TIME;
        if event.body.len() <= INLINE_BYTES && is_slow != self.is_slow.load(Ordering::Relaxed) {
            self.is_slow.store(is_slow, Ordering::Relaxed);
        }
    }

    fn fit_inline(&self, event: &Event) -> bool {
        event.body.len() <= INLINE_BYTES && self.n_programs <= INLINE_PROGRAMS && !self.is_slow.load(Ordering::Relaxed)
    }
}

/// The deliveries of a new event: one for each connection that wants it, due now and unclaimed.
pub(crate) async fn deliveries(source: &Arc<RoutedSource>, event: &Arc<Event>) -> Vec<NewDelivery> {
    let Some(rules) = &source.rules else { return source.deliveries(event.id, event.received_at()) };
    if rules.fit_inline(event) {
        return rules.apply(source, event);
    }
    let (task_source, task_event) = (source.clone(), event.clone());
    let applied = tokio::task::spawn_blocking(move || {
        task_source.rules.as_ref().map(|rules| rules.apply(&task_source, &task_event)).unwrap_or_default()
    });
    // Programs do not panic; were one to, the event still goes to everybody, and the worker looks at it again.
    applied.await.unwrap_or_else(|_| source.deliveries(event.id, event.received_at()))
}

/// Why the event is not what its source says its events are; `None` when it is, or when the source says nothing.
pub(crate) async fn objection(source: &Arc<RoutedSource>, event: &Arc<Event>) -> Option<String> {
    let types = source.event_types.as_ref()?;
    if event.body.len() <= INLINE_BYTES {
        return types.check(event.event_type.as_deref(), &event.body).err();
    }
    let (source, event) = (source.clone(), event.clone());
    let checked = tokio::task::spawn_blocking(move || {
        let types = source.event_types.as_ref()?;
        types.check(event.event_type.as_deref(), &event.body).err()
    });
    checked.await.unwrap_or_else(|_| Some("its validation failed".to_owned()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use spillway_model::{EventId, HeaderBlock, SourceId};

    use super::*;

    fn event(bytes: usize) -> Event {
        Event {
            id: EventId::from_u128(1),
            source: SourceId::from_u128(2),
            event_type: None,
            headers: HeaderBlock::default(),
            body: Bytes::from(vec![b' '; bytes]),
            trace: None,
            quarantine: None,
        }
    }

    #[test]
    fn rules_that_were_slow_leave_the_threads_that_serve_and_return_once_they_are_not() {
        let filter = Some(Program::compile("true"));
        let rules = Rules::new(vec![ConnectionRules { filter, order_by: None }]).expect("there is a filter");
        let (small, large) = (event(INLINE_BYTES), event(INLINE_BYTES + 1));
        assert!(rules.fit_inline(&small) && !rules.fit_inline(&large));
        rules.have_run(&large, INLINE_TIME * 2);
        assert!(rules.fit_inline(&small), "a large body says nothing about small ones");
        rules.have_run(&small, INLINE_TIME * 2);
        assert!(!rules.fit_inline(&small), "slow once");
        rules.have_run(&large, Duration::ZERO);
        assert!(!rules.fit_inline(&small), "a large body says nothing about small ones");
        rules.have_run(&small, INLINE_TIME);
        assert!(rules.fit_inline(&small), "quick again");
    }
}
