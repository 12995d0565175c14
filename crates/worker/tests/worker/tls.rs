//! Destinations behind TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use spillway_model::{AttemptClass, DeliveryState};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{TestStore, TestWorker};

/// An HTTPS server for `localhost` that notes the versions of its requests.
struct Secure {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    versions: Arc<Mutex<Vec<Version>>>,
    connections: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Secure {
    async fn start(protocols: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a usable certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (versions, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (seen, accepted) = (versions.clone(), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, accepted) = (acceptor.clone(), seen.clone(), accepted.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    *accepted.lock().expect("a count") += 1;
                    let service = service_fn(move |request: Request<Incoming>| {
                        let seen = seen.clone();
                        async move {
                            seen.lock().expect("versions").push(request.version());
                            let _ = request.into_body().collect().await;
                            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                        }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, certificate, versions, connections, task }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }

    async fn deliver(&self, n: usize) -> Vec<Version> {
        let store = TestStore::open().await;
        let to = store.destination(&self.url()).await;
        let trusted = self.certificate.clone();
        let worker = TestWorker::start_with(&store, |options| options.client.extra_roots = vec![trusted]).await;
        // The first alone, so that the others find its connection.
        for n in [1, n - 1] {
            let deliveries = store.publish(to, n).await;
            store.wait_for(DeliveryState::Delivered, &deliveries).await;
        }
        worker.stop().await;
        self.versions.lock().expect("versions").clone()
    }
}

#[tokio::test]
async fn http_2_is_agreed_on_where_the_destination_offers_it_and_one_connection_serves_all() {
    let server = Secure::start(&["h2", "http/1.1"]).await;
    assert_eq!(server.deliver(30).await, [Version::HTTP_2; 30]);
    assert_eq!(*server.connections.lock().expect("a count"), 1);
}

#[tokio::test]
async fn http_1_1_is_spoken_with_everybody_else() {
    let server = Secure::start(&["http/1.1"]).await;
    assert_eq!(server.deliver(5).await, [Version::HTTP_11; 5]);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_tls_failure() {
    let server = Secure::start(&["http/1.1"]).await;
    let store = TestStore::open().await;
    let to = store.destination(&server.url()).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    let attempts = store.wait_for_attempts(delivery, 1).await;
    assert_eq!(attempts[0].class, AttemptClass::Tls, "{:?}", attempts[0].error);
    assert!(server.versions.lock().expect("versions").is_empty());
    worker.stop().await;
}
