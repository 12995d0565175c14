use std::fmt;

/// Why a flow cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The options file has to change.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where in the flow.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Nobody answers at an address that the flow sends to.
    #[error("flow {flow}: {origin} cannot be reached: {reason}. Start it, or name another target (--target)")]
    Unreachable {
        /// The flow's name.
        flow: String,
        /// Scheme, host and port.
        origin: String,
        /// What happened.
        reason: String,
    },
    /// A flow that runs once did not get through.
    #[error("flow {flow}: {reason}")]
    Failed {
        /// The flow's name.
        flow: String,
        /// What happened.
        reason: String,
    },
}

/// A place in a flow's description, such as `flow webhook, request push, header x-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    pub(super) fn flow(name: &str) -> Self {
        Self(format!("flow {name}"))
    }

    /// A place within this one.
    pub(super) fn at(&self, inner: impl fmt::Display) -> Self {
        Self(format!("{}, {inner}", self.0))
    }

    pub(super) fn invalid(&self, problem: impl fmt::Display) -> FlowError {
        FlowError::Invalid { place: self.clone(), problem: problem.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
