//! What a process knows about its own performance: bounded time series, and what follows from them.
//!
//! Everything here is a value or a decision about values: no I/O, no runtime, no clock. Times are Unix seconds that the caller hands in. A
//! [`Recorder`] keeps [counters](CounterMetric), [gauges](GaugeMetric) and [latencies](LatencyMetric) in rings of fixed length and the
//! names that users record in [`Business`]; [`alerts`], [`recommendations`] and [`forecast`] read numbers and answer with sentences.

pub mod alerts;
mod business;
mod cell;
mod documents;
pub mod forecast;
mod histogram;
mod metric;
pub mod recommendations;
mod recorder;
mod ring;
mod rings;
mod trend;
mod usage;
mod varint;
mod wording;

pub use business::{Business, BusinessError, BusinessKind, BusinessTotal, MAX_BUSINESS_METRICS};
pub use cell::{Cell, Count, Level};
pub use documents::{DOCUMENT_LIMIT_BYTES, InvalidDocument, Segment};
pub use histogram::{BOUNDS, BUCKETS, Buckets, Histogram};
pub use metric::{CounterMetric, GaugeMetric, LatencyMetric, MetricKind};
pub use recorder::Recorder;
pub use ring::Ring;
pub use rings::{Rings, Tier};
pub use trend::{Point, Series, Span, TrendWindow};
