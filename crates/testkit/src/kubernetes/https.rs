//! Just enough HTTPS to ask a server whether it is ready and to make a namespace.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(super) struct HttpsClient {
    port: u16,
    tls: TlsConnector,
    token: &'static str,
}

impl HttpsClient {
    /// # Panics
    /// When the file holds no certificate.
    pub(super) fn new(port: u16, ca_file: &Path, token: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(ca_file).expect("a certificate in the server's file");
        roots.add(authority).expect("the certificate of an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port, tls: TlsConnector::from(Arc::new(config)), token }
    }

    /// Status and body; `None` when there is no answer.
    pub(super) async fn request(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        tokio::time::timeout(ANSWER_DEADLINE, self.exchange(method, path, body)).await.ok()?
    }

    /// In HTTP/1.0, where the end of the connection is the end of the answer.
    async fn exchange(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.ok()?;
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let mut stream = self.tls.connect(name, stream).await.ok()?;
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // Some servers close without a goodbye of TLS.
        let read = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).ok().filter(|answer| read.is_ok() || !answer.is_empty())?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

impl std::fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsClient").field("port", &self.port).finish_non_exhaustive()
    }
}
