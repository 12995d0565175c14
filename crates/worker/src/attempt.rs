//! One request to a destination: built, sent, read, classified.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use spillway_model::{Attempt, AttemptClass, Budget, Claimed, Clock, TraceContext, UnixMillis};
use spillway_telemetry::{SpanName, Tracer};

use crate::budget::Spent;
use crate::client::{Client, ConnectTimeout};
use crate::destinations::{Prepared, Sending};
use crate::guard::BlockedAddress;
use crate::headers::is_of_connection;
use crate::retry_after;
use crate::verdict::Ending;

/// The first bytes of an answer are kept with the attempt.
const KEPT_RESPONSE_BYTES: usize = 1_024;
/// So much of a cost that cannot be read is shown in the log.
const SHOWN_COST_CHARS: usize = 40;

/// What an attempt needs beside the delivery.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tracer: Tracer,
    pub(crate) user_agent: HeaderValue,
    /// At most so much of an answer is read; the rest is cut off with its connection.
    pub(crate) response_limit: usize,
}

/// How a request ended.
struct Answer {
    class: AttemptClass,
    status: Option<u16>,
    retry_after: Option<Duration>,
    response: Bytes,
    error: Option<Box<str>>,
    spent: Spent,
}

impl Sender {
    /// Sends the delivery once, as a part of the trace `parent`, with `transformed` in place of the event's body. Always returns within the
    /// destination's timeout.
    pub(crate) async fn attempt(
        &self,
        claimed: &Claimed,
        to: &Prepared,
        transformed: Option<Bytes>,
        parent: TraceContext,
    ) -> (Attempt, Ending, Spent) {
        let span = self.tracer.start(SpanName::Attempt, Some(parent));
        let started_at = self.clock.now();
        let start = Instant::now();
        let answer = match &to.sending {
            Err(reason) => Answer::failed(AttemptClass::Platform, reason),
            Ok(sending) => {
                let traceparent = span.context().to_string();
                let request = self.request(claimed, sending, transformed, started_at / 1_000, &traceparent);
                let cost_header = to.budget.as_ref().and_then(|budget| budget.cost_header.as_ref());
                match tokio::time::timeout(to.timeout, self.exchange(request, cost_header)).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        let reason = format!("no complete answer within {} ms", to.timeout.as_millis());
                        Answer::failed(AttemptClass::Timeout, &reason)
                    }
                }
            }
        };
        let duration = start.elapsed();
        if span.is_recording() {
            span.set("spillway.delivery.id", claimed.id.to_string());
            if let Ok(sending) = &to.sending {
                span.set("server.address", sending.uri.host().unwrap_or_default().to_owned());
            }
            if let Some(status) = answer.status {
                span.set("http.response.status_code", i64::from(status));
            }
            if let Some(error) = &answer.error {
                span.fail(error);
            }
        }
        let attempt = Attempt {
            id: claimed.id.attempt(claimed.attempts.saturating_add(1)),
            started_at,
            duration,
            class: answer.class,
            status: answer.status,
            response: answer.response,
            error: answer.error,
        };
        let ending = Ending { class: answer.class, status: answer.status, retry_after: answer.retry_after };
        (attempt, ending, answer.spent)
    }

    /// The attempt of a delivery that was kept from being sent, for this reason.
    pub(crate) fn withheld(
        &self,
        claimed: &Claimed,
        started_at: UnixMillis,
        took: Duration,
        reason: String,
    ) -> Attempt {
        Attempt {
            id: claimed.id.attempt(claimed.attempts.saturating_add(1)),
            started_at,
            duration: took,
            class: AttemptClass::Transform,
            status: None,
            response: Bytes::new(),
            error: Some(reason.into()),
        }
    }

    fn request(
        &self,
        claimed: &Claimed,
        sending: &Sending,
        transformed: Option<Bytes>,
        seconds: i64,
        traceparent: &str,
    ) -> Request<Full<Bytes>> {
        let event = &claimed.event;
        let is_transformed = transformed.is_some();
        let body = transformed.unwrap_or_else(|| event.body.clone());
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = sending.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(24);
        for (name, value) in event.headers.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
                && !is_of_connection(&name)
            {
                headers.append(name, value);
            }
        }
        let id = event.id.to_string();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.remove(name);
        }
        if is_transformed {
            describe_as_json(headers);
        }
        if let Some(signer) = &sending.signer {
            set(headers, "webhook-signature", &signer.sign(&id, seconds, &body));
        }
        set(headers, "webhook-id", &id);
        headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        set(headers, "traceparent", traceparent);
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        for (name, value) in &sending.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, cost_header: Option<&HeaderName>) -> Answer {
        match self.client.send(request).await {
            Ok(response) => self.read(response, cost_header).await,
            Err(error) => Answer::failed(classify(&error, error.is_connect()), &chain(&error)),
        }
    }

    /// Reads the answer to its end, so that the connection can be used again, or up to the limit. The status decides, unless the
    /// answer breaks off: a destination that says 200 and talks on has taken the event.
    async fn read(&self, response: Response<Incoming>, cost_header: Option<&HeaderName>) -> Answer {
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| retry_after::parse(value, self.clock.now()));
        let class = match status.as_u16() {
            200..=299 => AttemptClass::Success,
            300..=399 => AttemptClass::Redirect,
            400..=499 => AttemptClass::ClientError,
            _ => AttemptClass::ServerError,
        };
        let error = (class != AttemptClass::Success).then(|| format!("the destination answered {status}").into());
        let spent = cost_header.map_or(Spent::Expected, |name| spent(response.headers().get(name)));
        let (response, broken) = read_start(response.into_body(), self.response_limit).await;
        let answer = Answer { class, status: Some(status.as_u16()), retry_after, response, error, spent };
        match broken {
            None => answer,
            Some(error) => Answer {
                class: AttemptClass::Protocol,
                error: Some(format!("the answer broke off: {}", chain(&error)).into()),
                ..answer
            },
        }
    }
}

/// Reads at most about `limit` bytes and returns the first of them, and the error if the body broke off before its end.
async fn read_start(mut body: Incoming, limit: usize) -> (Bytes, Option<hyper::Error>) {
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    while seen <= limit
        && let Some(frame) = body.frame().await
    {
        match frame {
            Ok(frame) => {
                let Ok(data) = frame.into_data() else { continue };
                seen = seen.saturating_add(data.len());
                // Copied, so that the connection's buffer is free again.
                kept.extend_from_slice(&data[..data.len().min(KEPT_RESPONSE_BYTES - kept.len())]);
            }
            Err(error) => return (kept.into(), Some(error)),
        }
    }
    (kept.into(), None)
}

impl Answer {
    /// Without an answer. What failed before a request was made costs nothing.
    fn failed(class: AttemptClass, reason: &str) -> Self {
        let spent = match class {
            AttemptClass::Connect | AttemptClass::Tls | AttemptClass::Blocked | AttemptClass::Platform => {
                Spent::Nothing
            }
            _ => Spent::Expected,
        };
        Self { class, status: None, retry_after: None, response: Bytes::new(), error: Some(reason.into()), spent }
    }
}

/// What an answer says that it cost. One that does not say it cost what was expected.
fn spent(header: Option<&HeaderValue>) -> Spent {
    let Some(header) = header else { return Spent::Expected };
    match header.to_str().ok().and_then(Budget::read_cost) {
        Some(micros) => Spent::Said(micros),
        None => {
            let shown: String = String::from_utf8_lossy(header.as_bytes()).chars().take(SHOWN_COST_CHARS).collect();
            Spent::Unreadable(shown.into())
        }
    }
}

/// Says of a transformed body what it is, in place of what described the original.
fn describe_as_json(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    for name in ["content-digest", "content-md5", "digest", "repr-digest"] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn classify(error: &(dyn Error + 'static), connecting: bool) -> AttemptClass {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<BlockedAddress>() {
            return AttemptClass::Blocked;
        }
        if error.is::<ConnectTimeout>() {
            return AttemptClass::Timeout;
        }
        if error.is::<rustls::Error>() {
            return AttemptClass::Tls;
        }
        cause = cause_of(error);
    }
    if connecting { AttemptClass::Connect } else { AttemptClass::Protocol }
}

/// The next error in the chain. An I/O error that wraps another one is skipped by its own `source`, and shows it only so.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source())
}

/// The error with its causes, as one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = cause_of(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = cause_of(error);
    }
    text
}
