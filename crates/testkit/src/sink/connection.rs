use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

use super::answer::{Action, Body};
use super::{ReceivedRequest, Shared};

type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Serves connections until the task is aborted, which closes all of them.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                shared.lock().n_connections += 1;
                connections.spawn(serve(stream, peer, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request| answer(request, peer, Arc::clone(&shared), Arc::clone(&reset)))
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        // How the connection ended is for the test to see on the client's side.
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        // With a linger time of zero, closing the socket sends a reset instead of an orderly end (socket(7)).
        () = reset.notified() => { let _ = set_socket_linger(&socket, Some(Duration::ZERO)); }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    shared: Arc<Shared>,
    reset: Arc<Notify>,
) -> Result<Response<ResponseBody>, hyper::Error> {
    let request = read(request, peer, shared.options.keep_body_bytes).await?;
    let answer = shared.receive(request);
    if !answer.delay.is_zero() {
        sleep(answer.delay).await;
    }
    match answer.action {
        Action::Respond { status, headers, body } => {
            let mut response = Response::new(response_body(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        Action::Hang => std::future::pending().await,
        Action::Reset => {
            reset.notify_one();
            std::future::pending().await
        }
    }
}

/// Reads the body to its end, keeping its first `keep_bytes`.
async fn read(
    request: Request<Incoming>,
    peer: SocketAddr,
    keep_bytes: usize,
) -> Result<ReceivedRequest, hyper::Error> {
    let arrived_at = Instant::now();
    let (head, mut incoming) = request.into_parts();
    let mut body = BytesMut::new();
    let mut body_len = 0;
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame?.into_data() {
            body_len += data.len();
            body.extend_from_slice(&data[..data.len().min(keep_bytes - body.len())]);
        }
    }
    Ok(ReceivedRequest {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        version: head.version,
        headers: head.headers,
        body: body.freeze(),
        body_len,
        arrived_at,
        peer,
    })
}

fn response_body(body: Body) -> ResponseBody {
    match body {
        Body::Full(bytes) => Full::new(bytes).boxed_unsync(),
        Body::Repeat { chunk, every, limit } => {
            RepeatedChunk { chunk, every, left: limit, wait: None, flushed: false }.boxed_unsync()
        }
    }
}

/// A body that sends one chunk again and again.
struct RepeatedChunk {
    chunk: Bytes,
    every: Duration,
    /// Chunks still to send; `None` for ever.
    left: Option<usize>,
    wait: Option<Pin<Box<Sleep>>>,
    /// Whether hyper had the chance to send everything before the end, which it drops when the body turns out too short.
    flushed: bool,
}

impl HttpBody for RepeatedChunk {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == Some(0) {
            if std::mem::replace(&mut self.flushed, true) {
                return Poll::Ready(None);
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        if !self.every.is_zero() {
            self.wait = Some(Box::pin(sleep(self.every)));
        }
        self.left = self.left.map(|left| left - 1);
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}
