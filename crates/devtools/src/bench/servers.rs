//! The references: a server that stores nothing, a relay that stores nothing, and the bare sink at the end of the way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::Failure;

/// An axum server that reads the body and answers 202. On the current runtime, until that ends.
pub(crate) async fn bare_server() -> Result<SocketAddr, Failure> {
    let router = Router::new().route("/in/{source}", post(|_: Bytes| async { StatusCode::ACCEPTED }));
    listen(router).await
}

/// The same, and every body is sent on by a pooled hyper client. Nothing is stored.
pub(crate) async fn bare_relay(to: SocketAddr) -> Result<SocketAddr, Failure> {
    let (queue, mut bodies) = mpsc::channel::<(Bytes, Option<HeaderValue>)>(65_536);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(64).build(connector);
    let room = Arc::new(tokio::sync::Semaphore::new(64));
    tokio::spawn(async move {
        while let Some((body, number)) = bodies.recv().await {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let client = client.clone();
            tokio::spawn(async move {
                let number = number.unwrap_or(HeaderValue::from_static("0"));
                let request =
                    Request::post(format!("http://{to}/hooks")).header("x-number", number).body(Full::new(body));
                if let Ok(request) = request
                    && let Ok(response) = client.request(request).await
                {
                    let _ = http_body_util::BodyExt::collect(response.into_body()).await;
                }
                drop(permit);
            });
        }
    });
    let accept = |State(queue): State<mpsc::Sender<_>>, headers: HeaderMap, body: Bytes| async move {
        let _ = queue.send((body, headers.get("x-number").cloned())).await;
        StatusCode::ACCEPTED
    };
    listen(Router::new().route("/in/{source}", post(accept)).with_state(queue)).await
}

async fn listen(router: Router) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Counts requests and answers 200, with as little work as a server can do. On demand it also notes when each event came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink {
    received: Arc<AtomicU64>,
    /// What it takes before it answers.
    takes: Duration,
    arrivals: Option<Arc<Mutex<Vec<Arrival>>>>,
}

/// An event that came, by the number in its header `x-number`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

impl Sink {
    /// A sink that notes arrivals.
    pub(crate) fn noting() -> Self {
        Self { arrivals: Some(Arc::default()), ..Self::default() }
    }

    /// A sink that takes so long for each request.
    pub(crate) fn taking(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// What came since the last call.
    pub(crate) fn take_arrivals(&self) -> Vec<Arrival> {
        let arrivals = self.arrivals.as_ref().and_then(|arrivals| arrivals.lock().ok());
        arrivals.map(|mut arrivals| std::mem::take(&mut *arrivals)).unwrap_or_default()
    }

    /// Listens on the current runtime, until that ends.
    pub(crate) async fn listen(&self) -> Result<SocketAddr, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let sink = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let sink = sink.clone();
                tokio::spawn(async move { sink.serve(stream).await });
            }
        });
        Ok(address)
    }

    async fn serve(&self, mut stream: tokio::net::TcpStream) {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let mut buffer = Vec::with_capacity(16_384);
        loop {
            match request_length(&buffer) {
                Some((head, length)) if buffer.len() >= length => {
                    self.note(&buffer[..head]);
                    buffer.drain(..length);
                    if !self.takes.is_zero() {
                        tokio::time::sleep(self.takes).await;
                    }
                    if stream.write_all(ANSWER).await.is_err() {
                        return;
                    }
                }
                _ => match stream.read_buf(&mut buffer).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return,
                },
            }
        }
    }

    fn note(&self, head: &[u8]) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let Some(arrivals) = &self.arrivals else { return };
        if let Some(number) = number(head, b"x-number:")
            && let Ok(mut arrivals) = arrivals.lock()
        {
            arrivals.push(Arrival { number: number as u64, at: Instant::now() });
        }
    }
}

/// A server that reads requests and never answers.
pub(crate) async fn hanging_server() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(address)
}

/// The number in a header, whose name is given with its colon.
fn number(head: &[u8], name: &[u8]) -> Option<usize> {
    let at = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name))? + name.len();
    let digits = head[at..].iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    Some(digits.fold(0, |number: usize, digit| number.saturating_mul(10).saturating_add(usize::from(digit - b'0'))))
}

/// Length of the head and of the whole request, once its head is there.
fn request_length(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((head, head + number(&buffer[..head], b"content-length:").unwrap_or(0)))
}
