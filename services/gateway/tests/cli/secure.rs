//! A gateway with TLS.

use serde_json::{Value, json};
use spillway_testkit::wait_until;

use crate::support::{Gateway, Outcome, SOON, finish};

/// A gateway with a certificate that nobody vouches for, in its folder as `tls.crt`.
fn self_signed(more: &str) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).expect("a file");
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).expect("a file");
    Gateway::start_in(folder, &format!("{more}[server.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n"))
}

#[test]
fn a_certificate_is_checked_and_a_private_authority_can_be_named() {
    let gateway = self_signed("");
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

#[tokio::test]
async fn a_destination_of_a_private_authority_is_reached_when_the_settings_name_it() {
    let gateway = self_signed("ca_file = \"tls.crt\"\n");
    let run = |arguments: &[&str]| -> Outcome {
        let certificate = gateway.folder().join("tls.crt");
        let ended = finish(gateway.command(arguments).args(["--output", "json"]).env("SSL_CERT_FILE", certificate));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        ended
    };
    // The gateway itself is the destination: what arrives at `first` goes to `second` over TLS.
    run(&["sources", "create", "first", "--provider", "none"]);
    run(&["sources", "create", "second", "--provider", "none"]);
    run(&["destinations", "create", "itself", "--to", &format!("{}/in/second", gateway.url)]);
    run(&["connections", "create", "first", "itself"]);
    run(&["send", "first", "--provider", "none"]);
    wait_until("an event at the source second", SOON, async || {
        let listed: Value = serde_json::from_str(&run(&["events", "list", "--source", "second"]).stdout).expect("JSON");
        listed.as_array().is_some_and(|events| events.len() == 1)
    })
    .await;
}
