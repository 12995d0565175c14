//! Real parts for tests: PostgreSQL, Redis, nginx, Pushgateway, Prometheus, Alertmanager and Kubernetes API servers on free ports, a scripted HTTP
//! destination, a proxy that injects faults, and waiting without sleeping.
//!
//! Every helper panics with a sentence that says what went wrong and what to do, because its caller is a test. Every process that
//! is started here is killed on drop, and by a watchdog when the test process dies without running destructors. Servers listen on
//! 127.0.0.1 only and keep their data in a temporary directory.
//!
//! Dev-dependency only: `cargo xtask check` fails when a shipped crate depends on it.

pub mod fault;
pub mod kubernetes;
pub mod nginx;
pub mod postgres;
mod process;
pub mod prometheus;
pub mod pushgateway;
pub mod redis;
mod shared;
pub mod sink;
mod wait;

pub use fault::{Fault, FaultProxy};
pub use nginx::Nginx;
pub use postgres::{Postgres, PostgresOptions, TestDatabase, shared_database};
pub use prometheus::{Alertmanager, Prometheus, PrometheusOptions, ScrapeTarget};
pub use pushgateway::Pushgateway;
pub use redis::{Redis, Sentinel};
pub use sink::{Answer, ReceivedRequest, Sink, SinkOptions};
pub use wait::{free_port, large_tests_wanted, wait_until};
