//! One virtual user's side of HTTP and WebSocket: connections of its own, and k6's phases of each exchange.
//!
//! The connection of an HTTP/1.1 exchange is driven by the task that waits for the answer, so a virtual user is one task and
//! nothing is woken on its behalf. Redirects are not followed and cookies are not kept: each request is the one described.

mod client;
mod connection;
mod failure;
mod io;
mod origin;
mod resolver;
mod shaping;
mod tls;
mod trace;
mod transport;
mod websocket;

pub use client::{Client, ClientSettings, Exchange, MAX_KEPT_BODY, Request, Response};
pub use failure::{ErrorClass, Failure};
pub use origin::{InvalidOrigin, Origin};
pub use shaping::Network;
pub use tls::NoRootCertificates;
pub use trace::Timings;
pub use transport::{Protocol, Transport};
pub use websocket::{Message, Opening, WebSocket};
