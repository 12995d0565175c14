//! One HTTP connection and the exchange on it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::failure::Failure;
use super::io::Io;
use super::origin::Origin;
use super::trace::Meter;
use super::transport::Dialled;

/// The most that one HTTP/1.1 connection buffers in each direction, and so the longest head of an answer.
const BUFFER: usize = 16 * 1024;

pub(super) type Outgoing = Request<Full<Bytes>>;

type Driver = http1::Connection<TokioIo<Io>, Full<Bytes>>;

pub(super) struct Connection {
    pub(super) meter: Arc<Meter>,
    channel: Channel,
}

enum Channel {
    /// The driver moves only while an exchange is awaited; it is gone once the connection has ended.
    Http1 { sender: http1::SendRequest<Full<Bytes>>, driver: Option<Box<Driver>> },
    /// Driven by tasks of its own, which end with the sender.
    Http2 { sender: http2::SendRequest<Full<Bytes>> },
}

/// A request that got no answer; it comes back if no byte of it was sent.
pub(super) type Unanswered = TrySendError<Outgoing>;

impl Connection {
    pub(super) async fn open(dialled: Dialled, http2: bool) -> Result<Self, Failure> {
        let io = TokioIo::new(dialled.io);
        let channel = if http2 {
            let (sender, driver) = http2::Builder::new(TokioExecutor::new()).handshake(io).await?;
            tokio::spawn(driver);
            Channel::Http2 { sender }
        } else {
            let (sender, driver) = http1::Builder::new().max_buf_size(BUFFER).handshake(io).await?;
            Channel::Http1 { sender, driver: Some(Box::new(driver)) }
        };
        Ok(Self { meter: dialled.meter, channel })
    }

    /// Whether another request may go out on it; sees what the other side did since the last one.
    pub(super) async fn is_usable(&mut self) -> bool {
        match &mut self.channel {
            Channel::Http1 { sender, driver } => poll_fn(|cx| Poll::Ready(step(driver, cx) && sender.is_ready())).await,
            Channel::Http2 { sender } => sender.is_ready(),
        }
    }

    /// Writes target and host into `request` as this connection's version of HTTP wants them.
    pub(super) fn address(&self, request: &mut Outgoing, origin: &Origin, path: &PathAndQuery, close: bool) {
        match &self.channel {
            Channel::Http1 { .. } => {
                *request.uri_mut() = Uri::from(path.clone());
                let headers = request.headers_mut();
                headers.entry(HOST).or_insert_with(|| origin.host_header.clone());
                if close {
                    headers.entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
                }
            }
            Channel::Http2 { .. } => {
                let named = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(origin.scheme());
                parts.authority = Some(named.unwrap_or_else(|| origin.authority.clone()));
                parts.path_and_query = Some(path.clone());
                *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
            }
        }
    }

    /// Sends `request` and waits for the head of the answer.
    pub(super) async fn send(&mut self, request: Outgoing) -> Result<Response<Incoming>, Unanswered> {
        match &mut self.channel {
            Channel::Http1 { sender, driver } => drive(driver, sender.try_send_request(request)).await,
            Channel::Http2 { sender } => sender.try_send_request(request).await,
        }
    }

    /// The next piece of an answer's body.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        match &mut self.channel {
            Channel::Http1 { driver, .. } => drive(driver, frame).await,
            Channel::Http2 { .. } => frame.await,
        }
    }
}

/// Awaits `future`, moving the connection whenever it has to wait.
async fn drive<F: Future>(driver: &mut Option<Box<Driver>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        step(driver, cx);
        future.as_mut().poll(cx)
    })
    .await
}

/// Moves the connection; false when it has ended. What ended it is told to whoever waits for an answer.
fn step(driver: &mut Option<Box<Driver>>, cx: &mut std::task::Context<'_>) -> bool {
    if let Some(running) = driver
        && Pin::new(running.as_mut()).poll(cx).is_ready()
    {
        *driver = None;
    }
    driver.is_some()
}
