//! A gateway with TLS.

use serde_json::json;

use crate::support::{Gateway, finish};

#[test]
fn a_certificate_is_checked_and_a_private_authority_can_be_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).expect("a file");
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).expect("a file");
    let gateway = Gateway::start_in(folder, "[server.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n");
    assert!(gateway.url.starts_with("https://"), "{}", gateway.url);

    let mut trusting = gateway.command(&["sources", "list", "--output", "json"]);
    let trusted = finish(trusting.env("SSL_CERT_FILE", gateway.folder().join("tls.crt")));
    assert_eq!((trusted.code, trusted.stdout.trim_end()), (Some(0), json!([]).to_string().as_str()), "{trusted:#?}");

    let other = rcgen::generate_simple_self_signed(["other.example".to_owned()]).expect("a certificate");
    std::fs::write(gateway.folder().join("other.crt"), other.cert.pem()).expect("a file");
    let mut doubting = gateway.command(&["sources", "list"]);
    let refused = finish(doubting.env("SSL_CERT_FILE", gateway.folder().join("other.crt")));
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("cannot be trusted") && refused.stderr.contains("SSL_CERT_FILE"),
        "{}",
        refused.stderr
    );
}
