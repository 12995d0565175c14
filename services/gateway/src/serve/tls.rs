//! TLS for the listener.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use spillway_settings::TlsSettings;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(
        "the certificate {path} cannot be read; it must be a PEM file with the chain, the server's certificate first"
    )]
    Certificate { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("the private key {path} cannot be read; it must be a PEM file")]
    Key { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("certificate and private key cannot be used together")]
    Pair(#[source] rustls::Error),
}

pub(super) fn load(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = |source| TlsError::Certificate { path: settings.certificate.clone(), source };
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .map_err(certificate)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|source| TlsError::Key { path: settings.key.clone(), source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
