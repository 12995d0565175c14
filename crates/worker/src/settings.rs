//! How deliveries are sent.

use std::time::Duration;

use http::HeaderValue;
use spillway_model::{RetrySchedule, Slot};

/// How deliveries are sent.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Attempts under way in this process at most; zero counts as one.
    pub concurrency: usize,
    /// Attempts under way for one destination at most, unless it sets its own; zero counts as one.
    pub per_destination: usize,
    /// Total time of an attempt, unless the destination sets its own.
    pub timeout: Duration,
    /// How long a claim holds. Should not be shorter than the longest timeout: an attempt for which it is too short costs a
    /// write of its own, which lengthens its claim.
    pub lease: Duration,
    /// When failed deliveries are tried again, unless the destination sets its own.
    pub retry: RetrySchedule,
    /// At most so many bytes of an answer are read.
    pub response_limit: usize,
    /// How often the store is asked for due deliveries when nothing else calls for it.
    pub poll: Duration,
    /// Deliveries claimed at once.
    pub claim_batch: usize,
    /// The slot it belongs to. While worker slots share the deliveries it takes its slot's, and without one what they leave lying.
    pub slot: Option<Slot>,
    /// How long a delivery of another slot must have been due before this worker takes it, provided that its own share is not zero.
    pub share_grace: Duration,
    /// Sent as `user-agent` when the event's sender sent none.
    pub user_agent: HeaderValue,
}
