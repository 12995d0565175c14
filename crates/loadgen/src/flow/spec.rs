//! The form of a flow in options files.

mod scalar;
mod shapes;
mod statuses;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use spillway_model::Secret;
use spillway_signature::{HmacOptions, IdempotencySource, Provider};
use spillway_slo::duration::Timespan;

pub use scalar::Scalar;
pub use shapes::{CaptureSpec, NetworkSpec, Pause};
pub use statuses::Statuses;

use crate::http::Protocol;

/// One flow. Every text that is sent may hold templates such as `{{uuid}}`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowSpec {
    /// How an iteration uses the requests.
    pub mode: Mode,
    /// The requests, in their order.
    pub requests: Vec<RequestSpec>,
    /// A session that follows the requests.
    pub websocket: Option<WebSocketSpec>,
    /// Signs each request, unless it has a `sign` of its own.
    pub sign: Option<SignSpec>,
    /// Headers of each request, and of the WebSocket handshake; those of the request itself hide them.
    pub headers: BTreeMap<String, Scalar>,
    /// Longest time of one request, from the look at an idle connection to the end of its answer; 60 s when absent.
    pub timeout: Option<Timespan>,
    /// Pause after each request.
    pub think_time: Option<Pause>,
    /// The link between the users and the network.
    pub network: Option<NetworkSpec>,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// Whether connections are used for more than one request; the run's `noConnectionReuse` says so when absent.
    pub keep_alive: Option<bool>,
    /// CSV files with a header line, by the name that `{{csv.NAME.COLUMN}}` uses; each iteration takes the next row of each. A relative
    /// path starts at the folder of the options file.
    pub data: BTreeMap<String, PathBuf>,
    /// Tags of each request.
    pub tags: BTreeMap<String, String>,
}

/// How an iteration uses a flow's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All of them, in their order.
    #[default]
    Sequence,
    /// One of them, drawn by weight.
    Weighted,
}

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestSpec {
    /// The tag `name`; the path or URL as written when absent.
    pub name: Option<String>,
    /// The method; GET without a body and POST with one when absent.
    pub method: Option<String>,
    /// Path and query after the target's URL. It begins with `/`.
    pub path: Option<String>,
    /// A whole URL instead of `path`. Its scheme, host and port may use `{{env.NAME}}` and no other template.
    pub url: Option<String>,
    /// Headers.
    pub headers: BTreeMap<String, Scalar>,
    /// Parameters that are added to the query.
    pub query: BTreeMap<String, Scalar>,
    /// A JSON body. A text that is one template with a number's value becomes a number.
    pub json: Option<Value>,
    /// A body of text.
    pub text: Option<String>,
    /// A body of form parameters.
    pub form: Option<BTreeMap<String, Scalar>>,
    /// A body that is read from a file once and sent as it is.
    pub file: Option<PathBuf>,
    /// A body of so many random bytes, other ones in each request.
    pub random_bytes: Option<usize>,
    /// Statuses with which the request has not failed; 200–399 when absent.
    pub expected: Option<Statuses>,
    /// Longest time of this request.
    pub timeout: Option<Timespan>,
    /// Tags, beside those of the flow.
    pub tags: BTreeMap<String, String>,
    /// The group, such as `checkout` or `::shop::checkout`.
    pub group: String,
    /// What is checked of the answer, by the check's name.
    pub checks: BTreeMap<String, CheckSpec>,
    /// What later requests of the iteration use as `{{capture.NAME}}`.
    pub capture: BTreeMap<String, CaptureSpec>,
    /// How often it is drawn, relative to the others; 1 when absent.
    pub weight: Option<f64>,
    /// Pause after it, instead of the flow's.
    pub think_time: Option<Pause>,
    /// Signs this request, instead of the flow's `sign`; the provider `none` does not sign.
    pub sign: Option<SignSpec>,
}

/// Conditions that an answer meets when the check holds: all that are given.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSpec {
    /// The status is one of these.
    pub status: Option<Statuses>,
    /// A JSON pointer (RFC 6901) to the value that `equals`, `contains`, `matches` and `exists` look at.
    pub json: Option<String>,
    /// The header that they look at instead. Without either they look at the body.
    pub header: Option<String>,
    /// The value is this one; numbers are compared as numbers.
    pub equals: Option<Value>,
    /// The text holds this text, or the list this element.
    pub contains: Option<String>,
    /// The text matches this regular expression.
    pub matches: Option<String>,
    /// The value is there, or with `false` is not.
    pub exists: Option<bool>,
    /// The body holds this text.
    pub body_contains: Option<String>,
    /// Sending, waiting and receiving took no longer.
    pub max_duration: Option<Timespan>,
}

/// How requests are signed: as this provider signs its webhooks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignSpec {
    /// Whose scheme.
    pub provider: Provider,
    /// The sender's secret. Templates may use `{{env.NAME}}` only.
    #[serde(default = "no_secret")]
    pub secret: Secret,
    /// The delivery's id, a new UUID when absent. A header of the request in which the provider sends the id counts before it.
    pub id: Option<String>,
    /// The scheme of the provider `hmac`.
    pub hmac: Option<HmacOptions>,
    /// The URL that `twilio` signs; the request's own when absent.
    pub public_url: Option<String>,
    /// The header of the credential, for `basic`, `bearer` and `api-key`.
    pub credential_header: Option<String>,
    /// The user name for `basic`.
    pub username: Option<String>,
    /// Where the id goes, when not where the provider puts it.
    pub idempotency: Option<IdempotencySource>,
}

fn no_secret() -> Secret {
    Secret::new("")
}

/// A WebSocket session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketSpec {
    /// The tag `name`; the path or URL as written when absent.
    pub name: Option<String>,
    /// Path and query after the target's URL.
    pub path: Option<String>,
    /// A whole URL instead, with `ws`, `wss`, `http` or `https`.
    pub url: Option<String>,
    /// Headers of the handshake.
    pub headers: BTreeMap<String, Scalar>,
    /// Parameters that are added to the query.
    pub query: BTreeMap<String, Scalar>,
    /// Longest time to connect, and to wait for each reply; the flow's `timeout` when absent.
    pub timeout: Option<Timespan>,
    /// Messages, in their order.
    pub messages: Vec<MessageSpec>,
    /// How often the messages are sent; 1 when absent.
    pub repeat: Option<u32>,
    /// Tags, beside those of the flow.
    pub tags: BTreeMap<String, String>,
    /// The group.
    pub group: String,
}

/// One message of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageSpec {
    /// Its text.
    pub send: String,
    /// Waits for the next message of the other side, and measures the time until it is there.
    pub await_reply: bool,
    /// What is checked of the reply, by the check's name.
    pub checks: BTreeMap<String, CheckSpec>,
    /// How often it is sent before the next one; 1 when absent.
    pub repeat: Option<u32>,
    /// Pause after it, instead of the flow's.
    pub think_time: Option<Pause>,
}
