//! The closed sets of label values. A label that is not listed here cannot be counted.

use std::fmt;

use spillway_model::AttemptClass;

/// A label whose values are all known when the program is compiled.
pub trait Label: Copy + fmt::Debug + Send + Sync + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, in the order of [`Label::index`].
    const ALL: &'static [Self];

    /// The value as it is exported.
    fn value(self) -> &'static str;

    /// The position in [`Label::ALL`].
    fn index(self) -> usize;
}

/// One label, or two together: what tells the series of a [`Family`](super::Family) apart.
pub trait LabelSet: Copy + fmt::Debug + Send + Sync + 'static {
    /// Every combination, in the order of [`LabelSet::position`].
    fn all() -> Vec<Self>;

    /// The position in [`LabelSet::all`].
    fn position(self) -> usize;

    /// Names and values.
    fn pairs(self) -> Vec<(&'static str, &'static str)>;

    /// Each label's name and its possible values.
    fn describe() -> Vec<(&'static str, Vec<&'static str>)>;
}

impl<L: Label> LabelSet for L {
    fn all() -> Vec<Self> {
        L::ALL.to_vec()
    }

    fn position(self) -> usize {
        self.index()
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        vec![(L::NAME, self.value())]
    }

    fn describe() -> Vec<(&'static str, Vec<&'static str>)> {
        vec![(L::NAME, L::ALL.iter().map(|label| label.value()).collect())]
    }
}

impl<A: Label, B: Label> LabelSet for (A, B) {
    fn all() -> Vec<Self> {
        A::ALL.iter().flat_map(|a| B::ALL.iter().map(|b| (*a, *b))).collect()
    }

    fn position(self) -> usize {
        self.0.index() * B::ALL.len() + self.1.index()
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        vec![(A::NAME, self.0.value()), (B::NAME, self.1.value())]
    }

    fn describe() -> Vec<(&'static str, Vec<&'static str>)> {
        A::describe().into_iter().chain(B::describe()).collect()
    }
}

macro_rules! labels {
    ($($(#[$meta:meta])* $label:ident as $name:literal { $($(#[$value_meta:meta])* $value:ident = $text:literal,)+ })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum $label {
                $($(#[$value_meta])* $value,)+
            }

            impl Label for $label {
                const NAME: &'static str = $name;
                const ALL: &'static [Self] = &[$(Self::$value,)+];

                fn value(self) -> &'static str {
                    match self {
                        $(Self::$value => $text,)+
                    }
                }

                fn index(self) -> usize {
                    self as usize
                }
            }
        )+
    };
}

labels! {
    /// How a request to intake ended.
    IntakeOutcome as "outcome" {
        /// Stored, and acknowledged with 202.
        Accepted = "accepted",
        /// Stored before under the same idempotency key; acknowledged with 200.
        Duplicate = "duplicate",
        /// A provider's handshake, answered and not stored.
        Handshake = "handshake",
        /// The signature is missing, wrong or too old.
        BadSignature = "bad_signature",
        /// Body or headers above their limits.
        TooLarge = "too_large",
        /// Not what the source's event types describe, and stored in quarantine; acknowledged with 202.
        Quarantined = "quarantined",
        /// Not what the source's event types describe, and refused.
        EventInvalid = "event_invalid",
        /// Above the rate of the source or the key.
        RateLimited = "rate_limited",
        /// The commit queue was full; our failure.
        QueueFull = "queue_full",
        /// No such source.
        UnknownSource = "unknown_source",
        /// Malformed: method, headers or a truncated body.
        Invalid = "invalid",
        /// The store failed; our failure.
        StoreError = "store_error",
    }

    /// How a delivery ended for good.
    DeliveryOutcome as "outcome" {
        /// The destination answered 2xx.
        Delivered = "delivered",
        /// Its retries are used up, or the destination refused it for good.
        Dead = "dead",
        /// Its destination or connection was removed or disabled, or somebody cancelled it.
        Cancelled = "cancelled",
    }

    /// What the connections of the store's pool are doing.
    PoolState as "state" {
        /// Open and free.
        Idle = "idle",
        /// Open and in use.
        Used = "used",
        /// The most that may be open.
        Max = "max",
    }

    /// A kind of statement or transaction on the store.
    StoreQuery as "query" {
        /// Commit of a batch of events.
        Append = "append",
        /// Taking due deliveries.
        Claim = "claim",
        /// Commit of a batch of outcomes.
        Settle = "settle",
        /// Extending leases.
        Renew = "renew",
        /// A page of a list.
        Lists = "lists",
        /// One row by its identifier.
        Lookup = "lookup",
        /// Reading or changing sources, destinations, connections and keys.
        Configuration = "configuration",
        /// Bulk replays.
        Replay = "replay",
        /// Retention, partitions, checkpoints and statistics.
        Maintenance = "maintenance",
    }

    /// A cache.
    CacheName as "cache" {
        /// API keys by their hash.
        Keys = "keys",
        /// Sources, destinations and connections.
        Configuration = "configuration",
        /// Pages of lists.
        Lists = "lists",
        /// Results of analytic queries.
        Analytics = "analytics",
    }

    /// An alert.
    AlertName as "alert" {
        /// Webhooks refused by a failure of ours.
        IntakeErrors = "intake_errors",
        /// API requests that failed by our fault.
        ApiErrors = "api_errors",
        /// Attempts that failed by our fault.
        DeliveryErrors = "delivery_errors",
        /// Acknowledgements are slow.
        IntakeLatency = "intake_latency",
        /// Some acknowledgements are very slow.
        IntakeLatencyTail = "intake_latency_tail",
        /// API requests are slow.
        ApiLatency = "api_latency",
        /// Some API requests are very slow.
        ApiLatencyTail = "api_latency_tail",
        /// Processor time is short.
        Cpu = "cpu",
        /// Memory is short.
        Memory = "memory",
        /// Disk space is short.
        Disk = "disk",
        /// Connections of the store's pool are short.
        StorePool = "store_pool",
        /// Room in the queue of the committer is short.
        IntakeQueue = "intake_queue",
        /// The server's certificate expires soon.
        CertificateExpiry = "certificate_expiry",
        /// The store does not answer.
        StoreDown = "store_down",
        /// Redis does not answer.
        CoordinationDown = "coordination_down",
        /// Due deliveries wait for long.
        QueueAge = "queue_age",
    }

    /// What retention removed.
    Removed as "what" {
        /// Events with their deliveries.
        Events = "events",
        /// Headers and bodies of events that stay listed.
        Payloads = "payloads",
        /// Attempts of deliveries that stay listed.
        Attempts = "attempts",
        /// Partitions of whole days.
        Partitions = "partitions",
    }

    /// Whether a cache had what was asked for.
    CacheResult as "result" {
        /// It had.
        Hit = "hit",
        /// It had not, or no longer.
        Miss = "miss",
    }

    /// How a client looks at live events.
    StreamKind as "kind" {
        /// Rows as server-sent events.
        Sse = "sse",
        /// Rows over a WebSocket.
        Tail = "tail",
        /// Whole events over a WebSocket.
        Deliver = "deliver",
    }

    /// Whether a client of live events got an event.
    StreamEvent as "outcome" {
        /// It was sent.
        Sent = "sent",
        /// It was only counted: there were too many, or the client was too slow.
        Skipped = "skipped",
    }
}

impl Label for AttemptClass {
    const NAME: &'static str = "class";
    const ALL: &'static [Self] = Self::ALL;

    fn value(self) -> &'static str {
        self.as_str()
    }

    fn index(self) -> usize {
        self as usize
    }
}
