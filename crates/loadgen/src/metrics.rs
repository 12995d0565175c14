//! What a run measures: samples by tags, percentiles that can be merged, thresholds that can be judged while it runs.
//!
//! A [`Recorder`] appends samples to a short log. Full logs, and all of them at each [`Registry::tick`], are folded into one value for
//! each metric and [`Series`]; [`Registry::snapshot`] gives these values away, and [`Shards`] adds up those of several generators.
//!
//! Memory has a bound whatever the run's length: series by [`RegistrySettings::max_series`], a histogram by its buckets, a window by its
//! slices, the time line by [`MOST_SECONDS`].

mod aggregates;
mod metric;
mod recorder;
mod registry;
mod shards;
mod snapshot;
mod tags;
mod timeline;
mod trend;
mod values;
mod window;

pub use metric::{Metric, Unit, UnknownMetric};
pub use recorder::{HttpSample, Recorder};
pub use registry::{Registry, RegistrySettings};
pub use shards::{ShardError, Shards};
pub use snapshot::{SCHEMA_VERSION, SeriesValues, Snapshot};
pub use tags::{OTHER, Series, Tags};
pub(crate) use timeline::Points;
pub use timeline::{MOST_SECONDS, Second};
pub use trend::{Bucket, HIGHEST_MICROS, Trend};
pub use values::Values;
