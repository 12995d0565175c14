//! Certificates in PEM files.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use spillway_model::UnixMillis;
use spillway_report::text::plain;

/// A file that holds certificates, and the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// Where it is.
    pub path: PathBuf,
    /// Such as `server.tls.certificate`.
    pub setting: &'static str,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, at most 80 characters.
    pub subject: String,
    /// From when on it is valid.
    pub valid_from: UnixMillis,
    /// Until when.
    pub expires_at: UnixMillis,
}

/// Certificates that are read from one file at most: a bundle of authorities has some hundred.
const MOST: usize = 1_000;

/// The certificates of a file.
///
/// # Errors
/// When it cannot be read, or holds something else than certificates in PEM.
pub fn read(file: &CertificateFile) -> Result<Vec<Certificate>, String> {
    let unreadable = |error: rustls_pki_types::pem::Error| format!("it cannot be read ({error})");
    let certificates = CertificateDer::pem_file_iter(&file.path).map_err(unreadable)?;
    certificates.take(MOST).map(|certificate| parse(&certificate.map_err(unreadable)?)).collect()
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| format!("it is no certificate ({error})"))?;
    let validity = certificate.validity();
    let milliseconds = |seconds: i64| seconds.saturating_mul(1_000);
    Ok(Certificate {
        subject: plain(&certificate.subject().to_string(), 80),
        valid_from: milliseconds(validity.not_before.timestamp()),
        expires_at: milliseconds(validity.not_after.timestamp()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_and_what_is_none_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = CertificateFile { path: folder.path().join("tls.pem"), setting: "server.tls.certificate" };
        assert!(read(&file).is_err_and(|reason| reason.starts_with("it cannot be read")));
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let text = parameters.self_signed(&key).expect("a certificate").pem();
        std::fs::write(&file.path, text.repeat(2)).expect("a file");
        let certificates = read(&file).expect("certificates");
        assert_eq!(certificates.iter().map(|it| it.expires_at).collect::<Vec<_>>(), [1_609_459_200_000; 2]);
        std::fs::write(&file.path, key.serialize_pem()).expect("a file");
        assert_eq!(read(&file), Ok(Vec::new()), "a key is no certificate");
    }
}
