//! What one iteration of a virtual user does, as the options file describes it under `[flows.NAME]`.
//!
//! A flow is compiled once for each set of environment values: templates become parts, constant headers and bodies become bytes, pointers
//! and patterns are parsed. A user then only renders what differs from request to request. The requests of an iteration run one after the
//! other, or one of them is drawn by weight; a WebSocket session follows.

mod answer;
mod body;
mod capture;
mod check;
mod compile;
mod data;
mod error;
mod files;
mod request;
mod run;
mod series;
mod sign;
mod socket;
mod spec;
mod template;
mod text;
mod user;

pub use compile::Flow;
pub use error::FlowError;
pub use run::{FlowRun, FlowWorkload};
pub use spec::{
    CaptureSpec, CheckSpec, FlowSpec, MessageSpec, Mode, NetworkSpec, Pause, RequestSpec, Scalar, SignSpec, Statuses,
    WebSocketSpec,
};

#[cfg(test)]
mod tests;
