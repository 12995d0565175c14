//! A client that keeps its connection, and nothing else: what it sees is what nginx does.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection at a time.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<TcpStream>,
    /// Requests that had to be sent again, because the kept connection was closed before the first byte of an answer. Every HTTP client
    /// does so (RFC 9112, 9.3.1); a second failure is one.
    pub(crate) n_sent_again: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, n_sent_again: 0 }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<Answer, String> {
        let length = body.len();
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}")).await
    }

    async fn send(&mut self, request: &str) -> Result<Answer, String> {
        if let Some(kept) = self.connection.take().filter(is_open) {
            match self.exchange(kept, request).await {
                Err(Trouble::Closed) => self.n_sent_again += 1,
                Err(Trouble::Broken(why)) => return Err(why),
                Ok(answer) => return Ok(answer),
            }
        }
        let fresh = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        fresh.set_nodelay(true).unwrap();
        self.exchange(fresh, request).await.map_err(|trouble| match trouble {
            Trouble::Closed => "a new connection was closed without an answer".to_owned(),
            Trouble::Broken(why) => why,
        })
    }

    async fn exchange(&mut self, mut connection: TcpStream, request: &str) -> Result<Answer, Trouble> {
        connection.write_all(request.as_bytes()).await.map_err(|_| Trouble::Closed)?;
        let mut text = Vec::new();
        loop {
            let mut part = [0; 4096];
            let n_bytes = match connection.read(&mut part).await {
                Ok(0) | Err(_) if text.is_empty() => return Err(Trouble::Closed),
                Ok(0) => return Err(Trouble::Broken("the answer was cut off".to_owned())),
                Err(error) => return Err(Trouble::Broken(error.to_string())),
                Ok(n_bytes) => n_bytes,
            };
            text.extend_from_slice(&part[..n_bytes]);
            if let Some((answer, keep)) = parse(&text) {
                self.connection = keep.then_some(connection);
                return Ok(answer);
            }
        }
    }
}

/// Whether the other side has not closed it yet, as far as is known here.
fn is_open(connection: &TcpStream) -> bool {
    connection.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

enum Trouble {
    Closed,
    Broken(String),
}

/// The answer when it is whole, and whether the connection stays.
fn parse(text: &[u8]) -> Option<(Answer, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| (Answer { status, body: body.to_owned() }, !head.contains("\r\nconnection: close")))
}
