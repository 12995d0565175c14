//! What was found: a verdict, the numbers behind it, what to do, and where to read on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use spillway_model::UnixMillis;

/// How a check came out. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// Somebody should look at it in the next days.
    Warning,
    /// Somebody should act now.
    Critical,
}

impl Verdict {
    /// As it stands in front of a line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "look",
            Self::Critical => "act",
        }
    }

    /// The exit code for this as the worst verdict, as monitoring plugins have it: 0 ok, 1 warning, 2 critical, 3 unknown.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

macro_rules! checks {
    ($($name:ident = $id:literal, $title:literal, $runbook:literal;)+) => {
        /// What is checked: a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $title] $name,)+
        }

        impl Check {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name for scripts.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// Its name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// The page to open.
            #[must_use]
            pub const fn runbook(self) -> &'static str {
                match self { $(Self::$name => concat!("runbooks/", $runbook),)+ }
            }
        }
    };
}

checks! {
    Gateway = "gateway", "gateway", "alerts/gateway_down.md";
    GatewayLatency = "gateway_latency", "gateway latency", "network.md";
    Alert = "alert", "alert", "quick_response.md";
    Acknowledgement = "acknowledgement", "acknowledgement", "alerts/intake_latency.md";
    Commit = "commit", "commit", "alerts/store_slow.md";
    Pool = "pool", "pool", "alerts/store_pool.md";
    IntakeQueue = "intake_queue", "intake queue", "alerts/intake_queue.md";
    Breakers = "breakers", "breakers", "alerts/breakers.md";
    Coordination = "coordination", "coordination", "alerts/coordination_down.md";
    GatewayCache = "gateway_cache", "gateway cache", "cache.md";
    GatewayFiles = "gateway_files", "gateway files", "alerts/file_descriptors.md";
    GatewayMemory = "gateway_memory", "gateway memory", "alerts/memory.md";
    Database = "database", "database", "alerts/store_down.md";
    DatabaseLatency = "database_latency", "database latency", "network.md";
    DatabaseClock = "database_clock", "database clock", "network.md";
    Queue = "queue", "deliveries", "alerts/queue_age.md";
    DeadLetters = "dead_letters", "dead letters", "alerts/dead_letters.md";
    Rollouts = "rollouts", "rollouts", "production_rollout.md";
    Locks = "locks", "locks", "database.md";
    Transactions = "transactions", "transactions", "database.md";
    Connections = "connections", "connections", "alerts/store_pool.md";
    SlowQueries = "slow_queries", "slow queries", "database.md";
    MissingIndexes = "missing_indexes", "missing indexes", "database.md";
    UnusedIndexes = "unused_indexes", "unused indexes", "database.md";
    TableScans = "table_scans", "table scans", "database.md";
    Vacuum = "vacuum", "vacuum", "database.md";
    Bloat = "bloat", "bloat", "database.md";
    DatabaseMemory = "database_memory", "database memory", "database.md";
    DatabaseSize = "database_size", "database size", "database.md";
    TransactionIds = "transaction_ids", "transaction ids", "database.md";
    Replication = "replication", "replication", "database.md";
    Replica = "replica", "replica", "database.md";
    DatabaseLog = "database_log", "database log", "database.md";
    Integrity = "integrity", "integrity", "database.md";
    Redis = "redis", "redis", "alerts/coordination_down.md";
    RedisLatency = "redis_latency", "redis latency", "cache.md";
    RedisClock = "redis_clock", "redis clock", "network.md";
    RedisMemory = "redis_memory", "redis memory", "cache.md";
    RedisEvictions = "redis_evictions", "redis evictions", "cache.md";
    RedisHits = "redis_hits", "redis hits", "cache.md";
    RedisClients = "redis_clients", "redis clients", "cache.md";
    ReadyQueue = "ready_queue", "ready queue", "alerts/ready_queue.md";
    Certificate = "certificate", "certificate", "alerts/certificate_expiry.md";
    Disk = "disk", "disk", "alerts/disk.md";
    Memory = "memory", "memory", "alerts/memory.md";
    Processor = "processor", "processor", "alerts/cpu.md";
    OpenFiles = "open_files", "open files", "alerts/file_descriptors.md";
    Backlog = "backlog", "listen backlog", "network.md";
    Ports = "ports", "local ports", "network.md";
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// What, in a sentence.
    pub text: String,
    /// What to run for it: in a shell, or in `psql` where it is SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// How one check came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found, in a sentence with its numbers.
    pub summary: String,
    /// The numbers, for scripts.
    pub numbers: BTreeMap<&'static str, f64>,
    /// What stands behind the summary, one line each.
    pub evidence: Vec<String>,
    /// What to do, first things first.
    pub actions: Vec<Action>,
    /// The page to open.
    pub runbook: String,
}

impl Finding {
    /// A finding without numbers, evidence and actions.
    #[must_use]
    pub fn new(check: Check, verdict: Verdict, summary: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            summary: summary.into(),
            numbers: BTreeMap::new(),
            evidence: Vec::new(),
            actions: Vec::new(),
            runbook: check.runbook().to_owned(),
        }
    }

    /// All is well.
    #[must_use]
    pub fn ok(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, summary)
    }

    /// It could not be looked at, for this reason.
    #[must_use]
    pub fn unknown(check: Check, reason: impl Into<String>) -> Self {
        Self::new(check, Verdict::Unknown, reason)
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: f64) -> Self {
        self.numbers.insert(name, value);
        self
    }

    /// With a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// With lines of evidence.
    #[must_use]
    pub fn evidence_of(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    /// With something to do.
    #[must_use]
    pub fn advise(mut self, text: impl Into<String>) -> Self {
        self.actions.push(Action { text: text.into(), command: None });
        self
    }

    /// With something to do by a command.
    #[must_use]
    pub fn run(mut self, text: impl Into<String>, command: impl Into<String>) -> Self {
        self.actions.push(Action { text: text.into(), command: Some(command.into()) });
        self
    }

    /// With another page than the check's own.
    #[must_use]
    pub fn see(mut self, runbook: impl Into<String>) -> Self {
        self.runbook = runbook.into();
        self
    }
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst verdict.
    pub verdict: Verdict,
    /// When it was looked at.
    pub at: UnixMillis,
    /// How long that took.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
    /// What was looked at: names of places, without secrets.
    pub subject: Vec<String>,
    /// The findings, the worst first, otherwise in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

impl Report {
    /// The findings in their order, with the worst verdict.
    #[must_use]
    pub fn new(mut findings: Vec<Finding>, subject: Vec<String>, at: UnixMillis, elapsed: Duration) -> Self {
        findings.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(a.check.cmp(&b.check)));
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Unknown);
        Self { verdict, at, elapsed, subject, findings }
    }

    /// How many findings have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_stands_first_and_decides() {
        let findings = vec![
            Finding::ok(Check::Disk, "a"),
            Finding::unknown(Check::Locks, "b"),
            Finding::new(Check::Queue, Verdict::Critical, "c"),
            Finding::new(Check::Memory, Verdict::Warning, "d"),
        ];
        let report = Report::new(findings, Vec::new(), 0, Duration::ZERO);
        let order: Vec<_> = report.findings.iter().map(|finding| finding.summary.as_str()).collect();
        assert_eq!(order, ["c", "d", "b", "a"]);
        assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Critical, 2));
        assert_eq!(Report::new(Vec::new(), Vec::new(), 0, Duration::ZERO).verdict, Verdict::Unknown);
    }

    #[test]
    fn exit_codes_are_those_of_monitoring_plugins() {
        let codes = [Verdict::Ok, Verdict::Warning, Verdict::Critical, Verdict::Unknown].map(Verdict::exit_code);
        assert_eq!(codes, [0, 1, 2, 3]);
    }
}
