//! TLS for the listener, and whom to trust at destinations.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use spillway_model::UnixMillis;
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
    #[error(
        "the authorities in {path} (delivery.ca_file) cannot be read; it must be a PEM file with their certificates"
    )]
    Authorities { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("certificate {position} in {path} (delivery.ca_file) cannot be an authority's; replace or remove it")]
    Authority { path: PathBuf, position: usize, source: rustls::Error },
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

/// When the server's certificate expires, in milliseconds since the Unix epoch; `None` when it does not say so in a form that can be read.
pub(super) fn expires_at(settings: &TlsSettings) -> Option<UnixMillis> {
    let certificate = CertificateDer::from_pem_file(&settings.certificate).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    certificate.validity().not_after.timestamp().checked_mul(1_000)
}

/// The certificates in a file of authorities, at least one, each of which can vouch for others.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Authorities { path: path.to_owned(), source };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(unreadable(rustls_pki_types::pem::Error::NoItemsFound));
    }
    let mut roots = RootCertStore::empty();
    for (position, certificate) in (1..).zip(&certificates) {
        let added = roots.add(certificate.clone());
        added.map_err(|source| TlsError::Authority { path: path.to_owned(), position, source })?;
    }
    Ok(certificates)
}
