//! Ordered delivery: what makes two deliveries of a connection wait for each other.

use serde::{Deserialize, Serialize};

/// The key of ordered (FIFO) delivery, hashed together with its connection. Of all deliveries with one key at most one is on its way;
/// those behind it are [`DeliveryState::Queued`](crate::DeliveryState::Queued). Two keys with one hash are ordered as if they were one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderKey(pub i64);
