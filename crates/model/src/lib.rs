//! The words every other crate speaks: identifiers, sources, destinations, connections, events, deliveries, attempts and
//! the retry schedule. Nothing here performs I/O or reads a clock; time and randomness are handed in.

mod attempt;
mod budget;
mod clock;
mod configuration;
mod delivery;
mod event;
mod headers;
mod id;
mod key;
mod name;
mod order;
mod rate;
mod replay;
mod retry;
mod secret;
mod slot;
mod trace_context;

pub use attempt::{Attempt, AttemptClass};
pub use budget::InvalidBudget;
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use configuration::{
    BreakerPolicy, Budget, Configuration, ConfigurationChange, Connection, Destination, DestinationState,
    DestinationUrl, EventType, InvalidDestinationUrl, Retention, SigningSecret, Source, Validation,
};
pub use delivery::{Claimed, Delivery, DeliveryState, Lease, NewDelivery, NextState, Settlement};
pub use event::{Appended, Event, EventSummary, IdempotencyHash, NewEvent};
pub use headers::HeaderBlock;
pub use id::{
    AttemptId, ConnectionId, DeliveryId, DestinationId, EventId, IdGenerator, InvalidId, KeyId, ReplayId, SourceId,
};
pub use key::{ApiKey, KeyHash, Scope};
pub use name::{InvalidName, Name};
pub use order::OrderKey;
pub use rate::{InvalidRate, Rate};
pub use replay::{Replay, ReplayState, Selection};
pub use retry::{InvalidRetrySchedule, RetrySchedule};
pub use secret::{Secret, SecretResolver};
pub use slot::{InvalidSlot, InvalidWorkerShares, Slot, WorkerShares};
pub use trace_context::TraceContext;
