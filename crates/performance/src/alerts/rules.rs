//! The rules: what is looked at, from which value on for how long, and who is told.

use crate::wording;

/// How bad it is, and so who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody may look.
    Info,
    /// Somebody looks during working hours.
    Warning,
    /// Somebody is woken.
    Critical,
}

impl Severity {
    /// `info`, `warning` or `critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// In what a rule measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 to 1.
    Ratio,
    /// Seconds.
    Seconds,
    /// Days.
    Days,
    /// 1 while it is so, 0 while it is not.
    Flag,
}

impl Unit {
    /// `ratio`, `seconds`, `days` or `flag`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::Days => "days",
            Self::Flag => "flag",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => wording::percent(value),
            Self::Seconds => wording::seconds(value),
            Self::Days if value == 1.0 => "1 day".to_owned(),
            Self::Days => format!("{} days", wording::number(value)),
            Self::Flag => wording::number(value),
        }
    }
}

/// On which side of its threshold a value is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the threshold on.
    Above,
    /// Down from the threshold.
    Below,
}

/// One threshold of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// How bad it is to reach it.
    pub severity: Severity,
    /// The value from which on it is reached.
    pub value: f64,
    /// Where a value must come back to for the alert to end: a tenth inside the threshold.
    pub clears_at: f64,
    /// Seconds that it must be reached before the alert is on.
    pub for_s: u32,
}

/// What is looked at, and from where on it alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which.
    pub id: AlertId,
    /// What is looked at.
    pub summary: &'static str,
    /// In what.
    pub unit: Unit,
    /// Which side is bad.
    pub direction: Direction,
    /// From the mildest to the worst.
    pub levels: Vec<Threshold>,
    /// Seconds that the value must be back inside before the alert ends.
    pub clear_s: u32,
}

/// The thresholds that settings choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Share of the store's pool that is a warning.
    pub pool_warning_ratio: f64,
    /// Share of the store's pool that is critical.
    pub pool_critical_ratio: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pool_warning_ratio: 0.8, pool_critical_ratio: 0.9 }
    }
}

macro_rules! alert_ids {
    ($($name:ident = $text:literal, $summary:literal, $unit:ident;)+) => {
        /// The alerts: a closed list, whose names are the label of the exported metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AlertId {
            $(#[doc = $summary] $name,)+
        }

        impl AlertId {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in the API and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            const fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary,)+ }
            }

            const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)+ }
            }
        }
    };
}

alert_ids! {
    IntakeErrors = "intake_errors", "Webhooks refused by a failure of ours, in 5 minutes", Ratio;
    ApiErrors = "api_errors", "API requests that failed by our fault, in 5 minutes", Ratio;
    DeliveryErrors = "delivery_errors", "Attempts that failed by our fault, in 5 minutes", Ratio;
    IntakeLatency = "intake_latency", "Acknowledgement, 95th percentile of 5 minutes", Seconds;
    IntakeLatencyTail = "intake_latency_tail", "Acknowledgement, 99th percentile of 5 minutes", Seconds;
    ApiLatency = "api_latency", "API requests, 95th percentile of 5 minutes", Seconds;
    ApiLatencyTail = "api_latency_tail", "API requests, 99th percentile of 5 minutes", Seconds;
    Cpu = "cpu", "Processor time that this process may use, in use", Ratio;
    Memory = "memory", "Memory that this process may use, in use", Ratio;
    Disk = "disk", "Volume that holds the store, in use", Ratio;
    StorePool = "store_pool", "Store's connection pool, in use", Ratio;
    IntakeQueue = "intake_queue", "Queue of events that wait for their commit, in use", Ratio;
    CertificateExpiry = "certificate_expiry", "Time until the server's certificate expires", Days;
    StoreDown = "store_down", "The store does not answer", Flag;
    CoordinationDown = "coordination_down", "Redis does not answer", Flag;
    QueueAge = "queue_age", "Longest-waiting due delivery, overdue", Seconds;
}

/// Every rule.
#[must_use]
pub fn rules(limits: &Limits) -> Vec<Rule> {
    use AlertId as Id;
    use Severity::{Critical, Info, Warning};
    let errors = [(Info, 0.005, 120), (Warning, 0.01, 120), (Critical, 0.02, 60)];
    let latency = [(Info, 0.4, 300), (Warning, 0.8, 120), (Critical, 5.0, 60)];
    let tail = [(Critical, 10.0, 60)];
    let pool = [(Warning, limits.pool_warning_ratio, 120), (Critical, limits.pool_critical_ratio, 60)];
    vec![
        above(Id::IntakeErrors, &errors),
        above(Id::ApiErrors, &errors),
        above(Id::DeliveryErrors, &errors),
        above(Id::IntakeLatency, &latency),
        above(Id::IntakeLatencyTail, &tail),
        above(Id::ApiLatency, &latency),
        above(Id::ApiLatencyTail, &tail),
        above(Id::Cpu, &[(Warning, 0.75, 300), (Critical, 0.9, 120)]),
        above(Id::Memory, &[(Warning, 0.8, 120), (Critical, 0.95, 60)]),
        above(Id::Disk, &[(Warning, 0.8, 60), (Critical, 0.95, 60)]),
        above(Id::StorePool, &pool),
        above(Id::IntakeQueue, &[(Warning, 0.5, 60), (Critical, 0.9, 10)]),
        below(Id::CertificateExpiry, &[(Warning, 7.0, 0), (Critical, 1.0, 0)]),
        above(Id::StoreDown, &[(Critical, 1.0, 10)]),
        above(Id::CoordinationDown, &[(Warning, 1.0, 30)]),
        above(Id::QueueAge, &[(Warning, 60.0, 60), (Critical, 300.0, 60)]),
    ]
}

const CLEAR_S: u32 = 60;

fn above(id: AlertId, levels: &[(Severity, f64, u32)]) -> Rule {
    rule(id, Direction::Above, 0.9, levels)
}

fn below(id: AlertId, levels: &[(Severity, f64, u32)]) -> Rule {
    rule(id, Direction::Below, 1.1, levels)
}

fn rule(id: AlertId, direction: Direction, back: f64, levels: &[(Severity, f64, u32)]) -> Rule {
    let level = |(severity, value, for_s): &(Severity, f64, u32)| Threshold {
        severity: *severity,
        value: *value,
        clears_at: value * back,
        for_s: *for_s,
    };
    Rule {
        id,
        summary: id.summary(),
        unit: id.unit(),
        direction,
        levels: levels.iter().map(level).collect(),
        clear_s: CLEAR_S,
    }
}

impl Rule {
    pub(super) fn reaches(&self, level: &Threshold, value: f64) -> bool {
        match self.direction {
            Direction::Above => value >= level.value,
            Direction::Below => value <= level.value,
        }
    }

    pub(super) fn leaves(&self, level: &Threshold, value: f64) -> bool {
        match self.direction {
            Direction::Above => value < level.clears_at,
            Direction::Below => value > level.clears_at,
        }
    }

    pub(super) fn sentence(&self, level: &Threshold, value: Option<f64>) -> String {
        if self.unit == Unit::Flag {
            return format!("{}.", self.summary);
        }
        let now = value.map_or_else(|| "unknown now".to_owned(), |value| self.unit.show(value));
        let (severity, threshold) = (level.severity.as_str(), self.unit.show(level.value));
        match self.direction {
            Direction::Above => format!("{}: {now} ({severity} from {threshold} on).", self.summary),
            Direction::Below => format!("{}: {now} ({severity} below {threshold}).", self.summary),
        }
    }
}
