//! What a gateway tells of itself.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::setup::Bench;
use crate::Failure;

impl Bench {
    /// Asks the API, with the admin key. Returns the body.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Result<String, Failure> {
        ask(self.address()?, method, path, &format!("authorization: Bearer {}\r\n", self.admin_key()?), "").await
    }

    /// The same with a JSON body and a JSON answer.
    pub(crate) async fn ask_with(&self, method: &str, path: &str, body: &str) -> Result<serde_json::Value, Failure> {
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.admin_key()?);
        Ok(serde_json::from_str(&ask(self.address()?, method, path, &headers, body).await?)?)
    }

    /// SQL statements of these kinds that the gateway had its database execute, by its own count.
    pub(crate) async fn statements(&self, kinds: &[&str]) -> Result<f64, Failure> {
        let pool: serde_json::Value =
            serde_json::from_str(&self.ask("GET", "/api/v1/monitoring/database/pool").await?)?;
        let of = |kind: &&str| pool["statements"][kind].as_u64().ok_or("the gateway does not count its statements");
        Ok(kinds.iter().map(of).sum::<Result<u64, _>>()? as f64)
    }

    /// The value of this series now; its name with its labels.
    pub(crate) async fn metric(&self, series: &str) -> Result<f64, Failure> {
        let text = metrics(self.address()?).await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = line.and_then(|line| line.split_whitespace().next()).ok_or("a metric is missing")?;
        Ok(value.parse()?)
    }

    /// How often the gateway has called its store for this kind of work.
    async fn calls(&self, kind: &str) -> Result<f64, Failure> {
        let name = format!("spillway_store_query_seconds_count{{query=\"{kind}\"}} ");
        let text = metrics(self.address()?).await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).ok_or("a metric is missing")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }

    /// The bound below which 95 % of the calls of this kind stayed, in milliseconds, as fine as the histogram is.
    pub(crate) async fn query_p95_ms(&self, kind: &str) -> Result<f64, Failure> {
        let total = self.calls(kind).await?;
        let text = metrics(self.address()?).await?;
        let of_kind = format!("query=\"{kind}\"");
        let buckets = text.lines().filter_map(|line| line.strip_prefix("spillway_store_query_seconds_bucket{"));
        for (labels, count) in
            buckets.filter_map(|line| line.split_once("} ")).filter(|(labels, _)| labels.contains(&of_kind))
        {
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse::<f64>().ok());
            let count = count.split_whitespace().next().and_then(|count| count.parse::<f64>().ok());
            if let (Some(bound), Some(count)) = (bound, count)
                && count >= total * 0.95
            {
                return Ok(bound * 1e3);
            }
        }
        Err(format!("the histogram of {kind} has no bound for its 95th percentile").into())
    }
}

/// Every metric of the node at `address`, as text.
pub(super) async fn metrics(address: SocketAddr) -> Result<String, Failure> {
    ask(address, "GET", "/metrics", "", "").await
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Result<String, Failure> {
    let (head, body) = exchange(address, method, path, headers, body).await?;
    let body = String::from_utf8(body)?;
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{method} {path} was answered {head}\n{body}").into());
    }
    Ok(body)
}

/// Sends one request on a connection of its own; returns the answer's head and its body as it was sent.
pub(super) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<(String, Vec<u8>), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer without an end of its head")?;
    let body = answer.split_off(end + 4);
    answer.truncate(end);
    Ok((String::from_utf8(answer)?, body))
}
