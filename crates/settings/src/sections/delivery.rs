//! `[delivery]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use spillway_model::RetrySchedule;

use crate::ByteSize;
use crate::section::Section;

/// Limits of an attempt's timeout, the server's and a destination's own.
pub(crate) const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);
/// Limits of attempts under way at once, all and for each destination.
pub(crate) const CONCURRENCY: RangeInclusive<u32> = 1..=65_536;

/// `[delivery]`: from commit to destination.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliverySettings {
    /// Attempts under way at once in this process. Default 256, at most 65,536.
    pub concurrency: u32,
    /// Attempts under way at once for each destination that sets no `max_concurrent`. Default 64.
    pub per_destination: u32,
    /// Total time of an attempt, the answer's body included, for destinations that set none. Default 30 s, at most 1 h.
    pub timeout: Duration,
    /// Longest time to connect, TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a claimed delivery belongs to its worker; at least the longest timeout. Default 60 s.
    pub lease: Duration,
    /// Delays before each attempt, the first included, for destinations that set none; a tenth of jitter is added.
    /// Default 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    pub retry_schedule: RetrySchedule,
    /// How much of an answer is read; a larger one is cut off there, and its status decides. Default 64 KiB, at most 16 MiB.
    pub response_limit: ByteSize,
    /// Deliveries that a replay makes due in a second, unless it says otherwise. Default 100, at most 10,000.
    pub replay_per_second: u32,
    /// Deliveries that may wait in memory; beyond it they wait in the store. Default 8192.
    pub ready_queue: usize,
    /// Networks that destinations may be in although they are private, loopback or link-local. Default none.
    pub allow_networks: Vec<IpNet>,
    /// PEM file with certificates of authorities that destinations may have beside the system's. Default none.
    pub ca_file: Option<PathBuf>,
    /// The `User-Agent` of requests to destinations. Default `spillway/VERSION`.
    pub user_agent: String,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            concurrency: 256,
            per_destination: 64,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(60),
            retry_schedule: RetrySchedule::default(),
            response_limit: ByteSize::kib(64),
            replay_per_second: 100,
            ready_queue: 8_192,
            allow_networks: Vec::new(),
            ca_file: None,
            user_agent: concat!("spillway/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl DeliverySettings {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let is_header_value = |text: &String| text.len() <= 200 && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        Self {
            concurrency: section.read_within("concurrency", default.concurrency, CONCURRENCY),
            per_destination: section.read_within("per_destination", default.per_destination, CONCURRENCY),
            timeout: section.read_within("timeout", default.timeout, TIMEOUT),
            connect_timeout: section.read_within(
                "connect_timeout",
                default.connect_timeout,
                Duration::from_millis(10)..=Duration::from_secs(300),
            ),
            lease: section.read_within(
                "lease",
                default.lease,
                Duration::from_millis(100)..=Duration::from_secs(2 * 60 * 60),
            ),
            retry_schedule: section.read("retry_schedule", default.retry_schedule),
            response_limit: section.read_within(
                "response_limit",
                default.response_limit,
                ByteSize::new(0)..=ByteSize::mib(16),
            ),
            replay_per_second: section.read_within("replay_per_second", default.replay_per_second, 1..=10_000),
            ready_queue: section.read_within("ready_queue", default.ready_queue, 1..=1_000_000),
            allow_networks: section.read("allow_networks", default.allow_networks),
            ca_file: section.optional("ca_file"),
            user_agent: section.read_where(
                "user_agent",
                default.user_agent,
                "1 to 200 printable ASCII characters, such as \"spillway\"",
                is_header_value,
            ),
        }
    }
}
