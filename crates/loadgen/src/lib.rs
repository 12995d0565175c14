//! Load tests: k6's grammar, honest latency, results that gate a release.

pub mod http;
pub mod metrics;
