//! Identifiers of spans. We draw them before the span exists, because the sampling decision needs the trace id; here they
//! reach the OpenTelemetry span and the log formatter.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use spillway_model::TraceContext;
use tracing::{Subscriber, span};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

thread_local! {
    static NEXT: Cell<Option<TraceContext>> = const { Cell::new(None) };
    static UNRECORDED: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// The trace of the work under way on this thread when it is not recorded here.
pub(crate) fn unrecorded() -> Option<TraceContext> {
    UNRECORDED.get()
}

/// Runs `work` under the trace `context`, of which log lines are to tell although no span is recorded.
pub(super) fn under_unrecorded<T>(context: TraceContext, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<TraceContext>);
    impl Drop for Restore {
        fn drop(&mut self) {
            UNRECORDED.set(self.0);
        }
    }
    let _restore = Restore(UNRECORDED.replace(Some(context)));
    work()
}

/// Runs `make_span`; the span it makes gets the ids of `context`.
pub(super) fn with_next<T>(context: TraceContext, make_span: impl FnOnce() -> T) -> T {
    NEXT.set(Some(context));
    let made = make_span();
    NEXT.set(None);
    made
}

/// Gives the OpenTelemetry span the ids that were drawn for it.
#[derive(Debug)]
pub(super) struct GivenIds;

impl IdGenerator for GivenIds {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().map_or_else(rand::random, |context| context.trace_id).into()
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(rand::random, |context| context.span_id).into()
    }
}

/// Keeps the ids with the `tracing` span, where the log formatter finds them.
#[derive(Debug)]
pub(super) struct RememberIds;

struct Ids(TraceContext);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RememberIds {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let (Some(ids), Some(span)) = (NEXT.get(), context.span(id)) {
            span.extensions_mut().insert(Ids(ids));
        }
    }
}

/// The ids of the innermost exported span around `innermost`, itself included.
pub(crate) fn of_span<'a, R: LookupSpan<'a>>(innermost: &SpanRef<'a, R>) -> Option<TraceContext> {
    innermost.scope().find_map(|span| span.extensions().get::<Ids>().map(|ids| ids.0))
}
