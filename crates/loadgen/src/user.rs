//! What a load test repeats: a workload makes virtual users, and a virtual user runs one iteration after the other.

use futures_util::future::BoxFuture;

use crate::metrics::Recorder;

/// One virtual user, with its connections and its state. It records its own requests and checks; the executor records the iteration.
pub trait VirtualUser: Send {
    /// Runs one iteration. Dropping the future in the middle interrupts it.
    fn iterate(&mut self) -> BoxFuture<'_, Result<(), IterationError>>;

    /// The user has run its last iteration and is not in a hurry. Not called when it is cut off.
    fn leave(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Makes the virtual users of a scenario.
pub trait Workload: Send + Sync {
    /// A user with the number `vu`, counted from 1 within the whole run.
    ///
    /// # Errors
    /// When what the user needs (a client, a file) cannot be made.
    fn user(&self, vu: u32, recorder: Recorder) -> Result<Box<dyn VirtualUser>, IterationError>;
}

/// Why an iteration ended early. A failed request or check is no such error: it is recorded and the iteration goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IterationError {
    /// What happened, for people.
    pub message: String,
}

impl IterationError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
