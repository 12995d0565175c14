//! Whether a part works, asked from outside.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::parts::Part;
use super::state::State;

/// A part that takes longer to answer is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer that is looked at is longer.
const LONGEST: u64 = 64 << 10;

/// Whether the part does what it is there for.
pub(super) async fn is_healthy(part: Part, state: &State, folder: &Path) -> bool {
    let address = state.address_of(part);
    match part {
        Part::Postgres => {
            let pid = state.process(part).map(|process| process.pid);
            pid.is_some_and(|pid| accepts_connections(&folder.join("postgres"), pid))
                && TcpStream::connect(&address).await.is_ok()
        }
        Part::Redis => ask(&address, "PING\r\n").await.is_some_and(|answer| answer.starts_with("+PONG")),
        Part::Receiver => is_ok(&address, "/healthz").await,
        Part::Api1 | Part::Api2 | Part::Worker => is_ok(&address, "/readyz").await,
        Part::Nginx => is_ok(&address, "/nginx-health").await,
        Part::Pushgateway | Part::Alertmanager | Part::Prometheus => is_ok(&address, "/-/ready").await,
    }
}

/// Whether the path is answered with 200.
async fn is_ok(address: &str, path: &str) -> bool {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let answer = ask(address, &request).await;
    answer.is_some_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// The beginning of what the server says to a request.
async fn ask(address: &str, request: &str) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // Redis keeps the connection: what there is in the first piece is enough.
        stream.take(LONGEST).read_buf(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok().flatten()
}

/// Whether the server's lock file says that it is ready: line 1 is its pid, line 8 its state (miscadmin.h).
fn accepts_connections(data: &Path, pid: u32) -> bool {
    let Ok(lock) = std::fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = lock.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}
