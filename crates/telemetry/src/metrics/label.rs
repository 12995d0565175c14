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

    /// Whether a cache had what was asked for.
    CacheResult as "result" {
        /// It had.
        Hit = "hit",
        /// It had not, or no longer.
        Miss = "miss",
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
