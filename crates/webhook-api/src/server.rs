//! Connections: HTTP/1.1 and HTTP/2, with or without TLS, bounded in number and in patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::limits::ClientAddress;
use crate::router::Front;

/// How connections are treated.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Open connections at most; further ones wait in the listener's backlog.
    pub max_connections: usize,
    /// Longest time for the head of a request to arrive, and for a TLS handshake.
    pub header_timeout: Duration,
    /// How long requests under way may take after the stop, before their connections are cut.
    pub drain: Duration,
    /// Largest head of a request in bytes, for HTTP/1.1 and HTTP/2.
    pub max_head_bytes: usize,
    /// Requests that one HTTP/2 connection may have under way.
    pub max_concurrent_streams: u32,
}

/// Serves `front` on `listener` until `stop`, then lets the requests under way finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    front: Front,
    settings: ServerSettings,
    stop: CancellationToken,
) {
    let builder = Arc::new(builder(&settings));
    let acceptor = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(settings.max_connections.max(1)));
    let graceful = Arc::new(GracefulShutdown::new());
    let cut_off = CancellationToken::new();
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = stop.cancelled() => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stop.cancelled() => break,
        };
        let (builder, front, acceptor) = (builder.clone(), front.clone(), acceptor.clone());
        let (watcher, cut_off) = (graceful.watcher(), cut_off.clone());
        let patience = settings.header_timeout;
        let connection = async move {
            match acceptor {
                None => serve_connection(&builder, stream, front, watcher, peer).await,
                Some(acceptor) => match tokio::time::timeout(patience, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(&builder, stream, front, watcher, peer).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                },
            }
            drop(permit);
        };
        tokio::spawn(cut_off.run_until_cancelled_owned(connection));
    }
    drop(listener);
    let Some(graceful) = Arc::into_inner(graceful) else { return };
    if tokio::time::timeout(settings.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_s = settings.drain.as_secs(), "some requests did not finish in time and are cut off");
        cut_off.cancel();
    }
}

/// The next connection. Errors of one connection, or a lack of descriptors, do not end the server.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn builder(settings: &ServerSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(settings.max_head_bytes.max(8 * 1_024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(settings.max_concurrent_streams)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

async fn serve_connection<S>(
    builder: &Builder<TokioExecutor>,
    stream: S,
    front: Front,
    watcher: hyper_util::server::graceful::Watcher,
    peer: SocketAddr,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let client = ClientAddress(peer.ip());
    let service = service_fn(move |request: Request<Incoming>| front.answer(client, request));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}
