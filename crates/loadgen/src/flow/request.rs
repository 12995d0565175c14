//! Compiled requests: what is constant is done, the rest is rendered for each.

mod destination;
mod headers;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

pub(super) use destination::{Destination, Origins};
pub(super) use headers::Headers;

use super::body::Body;
use super::capture::Capture;
use super::check::Check;
use super::sign::Signer;
use super::spec::{Pause, Statuses};
use super::template::Context;
use crate::http::Request;
use crate::user::IterationError;

/// One request of a flow.
#[derive(Debug)]
pub(super) struct RequestPlan {
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) destination: Destination,
    pub(super) headers: Headers,
    pub(super) body: Body,
    pub(super) signer: Option<Signer>,
    pub(super) expected: Statuses,
    pub(super) timeout: Duration,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) group: String,
    pub(super) checks: Box<[Check]>,
    pub(super) captures: Box<[Capture]>,
    pub(super) pause: Option<Pause>,
    /// Some check or capture looks at the answer's body.
    pub(super) keep_body: bool,
}

impl RequestPlan {
    /// The request as it is sent this time.
    pub(super) fn render(&self, context: &Context<'_>) -> Result<Request, IterationError> {
        let error = |problem: &dyn std::fmt::Display| IterationError::new(format!("request {}: {problem}", self.name));
        let body: Bytes = self.body.render(context).map_err(|missing| error(&missing))?;
        let mut headers = self.headers.render(context).map_err(|problem| error(&problem))?;
        let added = self.signer.as_ref().map(|signer| signer.query(&headers, &body)).unwrap_or_default();
        let path = self.destination.render(&added, context).map_err(|problem| error(&problem))?;
        if let Some(signer) = &self.signer {
            signer.sign(&mut headers, &body, path.as_str(), context).map_err(|problem| error(&problem))?;
        }
        Ok(Request {
            origin: self.destination.origin.clone(),
            method: self.method.clone(),
            path,
            headers,
            body,
            timeout: self.timeout,
            keep_body: self.keep_body,
        })
    }

    /// The names of the values of the flow `setup` that it needs.
    pub(super) fn setup_names(&self) -> impl Iterator<Item = &str> {
        let own = self.destination.setup_names().chain(self.headers.setup_names()).chain(self.body.setup_names());
        own.chain(self.signer.iter().flat_map(Signer::setup_names))
    }
}
