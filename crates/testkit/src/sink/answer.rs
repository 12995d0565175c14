use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// What a [`Sink`](super::Sink) does with a request, good or bad.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) action: Action,
    pub(super) delay: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Respond { status: StatusCode, headers: HeaderMap, body: Body },
    Hang,
    Reset,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Full(Bytes),
    /// The same chunk again and again, `every` so often: `limit` times, or without an end.
    Repeat {
        chunk: Bytes,
        every: Duration,
        limit: Option<usize>,
    },
}

impl Answer {
    /// This status with an empty body.
    ///
    /// # Panics
    /// When `status` is not from 100 to 999.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("an HTTP status has three digits");
        Self::act(Action::Respond { status, headers: HeaderMap::new(), body: Body::Full(Bytes::new()) })
    }

    /// 302 to `location`.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header(LOCATION.as_str(), location)
    }

    /// This status with `Retry-After`, in seconds or as an HTTP date.
    pub fn retry_after(status: u16, value: &str) -> Self {
        Self::status(status).header(RETRY_AFTER.as_str(), value)
    }

    /// Reads the request, then sends nothing and keeps the connection open.
    pub fn hang() -> Self {
        Self::act(Action::Hang)
    }

    /// Reads the request, then breaks the connection with a TCP reset.
    pub fn reset() -> Self {
        Self::act(Action::Reset)
    }

    /// 200 and 64 KiB chunks as fast as the client reads them, without end.
    pub fn endless_body() -> Self {
        let chunk = Bytes::from_static(&[b'x'; 64 * 1024]);
        Self::status(200).with(Body::Repeat { chunk, every: Duration::ZERO, limit: None })
    }

    /// 200 and a body of `n_bytes`, one byte `every` so often.
    pub fn slow_body(n_bytes: usize, every: Duration) -> Self {
        Self::status(200).with(Body::Repeat { chunk: Bytes::from_static(b"x"), every, limit: Some(n_bytes) })
    }

    /// 200 with a `content-length` of `n_bytes` more than is sent before the connection closes.
    pub fn truncated_body(body: impl Into<Bytes>, n_bytes: usize) -> Self {
        let body = body.into();
        let announced = (body.len() + n_bytes).to_string();
        Self::status(200).header(CONTENT_LENGTH.as_str(), &announced).with(Body::Repeat {
            chunk: body,
            every: Duration::ZERO,
            limit: Some(1),
        })
    }

    /// Adds a response header. Nothing for an answer that sends none.
    ///
    /// # Panics
    /// When name or value is not allowed in HTTP.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Action::Respond { headers, .. } = &mut self.action {
            let name: HeaderName = name.parse().expect("a header name");
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        self
    }

    /// Sets the response body. Nothing for an answer that sends none.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.with(Body::Full(body.into()))
    }

    /// Waits this long after the request has been read.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn act(action: Action) -> Self {
        Self { action, delay: Duration::ZERO }
    }

    fn with(mut self, new_body: Body) -> Self {
        if let Action::Respond { body, .. } = &mut self.action {
            *body = new_body;
        }
        self
    }
}
