//! A small HTTP server for the two interfaces of a running test: its control and its shards.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a client may ask of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Open connections; further ones wait in the listener's backlog.
    pub(crate) connections: usize,
    /// Largest body of a request, in bytes.
    pub(crate) body: usize,
    /// Longest time for the head of a request, and for one exchange from there.
    pub(crate) exchange: Duration,
    /// How long exchanges may go on after the stop.
    pub(crate) drain: Duration,
}

/// Serves `router` until `stop`, then lets the exchanges under way end.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let longest = limits.exchange;
    let router = router.layer(DefaultBodyLimit::max(limits.body)).layer(middleware::from_fn(
        move |request: Request, next: Next| async move { in_time(longest, request, next).await },
    ));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.exchange);
    builder.http2().timer(TokioTimer::new());
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(limits.connections.max(1)));
    let graceful = GracefulShutdown::new();
    loop {
        let accept = async {
            let permit = room.clone().acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => match accepted { Some(accepted) => accepted, None => break },
            () = stop.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: some are given back soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without this, small answers are only late.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks shows at its client.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    // What is not done by then is cut off.
    let _ = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
}

async fn in_time(longest: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
    }
}
