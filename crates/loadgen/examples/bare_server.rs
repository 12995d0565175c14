//! The fastest server that hyper makes without help: `200 ok` to everything, one thread. What the generator's benches are measured at.
//!
//! `cargo run --release -p spillway-loadgen --example bare_server -- 127.0.0.1:8099`
//!
//! It prints the address that it listens on, which tells a port when `:0` was asked for.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&address))
}

async fn serve(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(
                TokioIo::new(tcp),
                service_fn(|_: Request<hyper::body::Incoming>| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                }),
            );
            // A client that goes away is no failure of the server.
            let _ = connection.await;
        });
    }
}
