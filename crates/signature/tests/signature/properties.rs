//! Whatever comes in, a verifier answers; and what was not signed does not verify.

use crate::fixture::{NOW_MS, fixtures};
use proptest::prelude::*;
use spillway_signature::*;

/// Values that are close to what schemes look for, and values that are not.
fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "(t|ts|v0|v1|h1|sha256)=[0-9a-f]{0,66}([,;] ?(t|ts|v0|v1|h1)=[0-9a-zA-Z=]{0,66}){0,20}"
            .prop_map(String::into_bytes),
        "(v1a?,[A-Za-z0-9+/]{0,90}={0,2} ?){0,20}".prop_map(String::into_bytes),
        "(Basic|Bearer|basic) {0,2}[A-Za-z0-9+/=]{0,60}".prop_map(String::into_bytes),
        "1[67][0-9]{8}([0-9]{3})?".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_headers_and_bodies_never_panic_and_never_verify(
        values in prop::collection::vec(header_value(), 4),
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), ".{0,200}".prop_map(String::into_bytes)],
        target in "/[ -~]{0,80}",
        now_unix_ms in prop_oneof![Just(NOW_MS), any::<i64>()],
    ) {
        for fixture in fixtures() {
            let secret = &fixture.sender_secrets[0];
            let verifier = fixture.verifier(&[secret]);
            let signed = fixture.sign(secret, &body[..0]);
            let names = signed.iter().map(|(name, _)| name.as_str());
            let headers: Vec<(&str, &[u8])> = names.zip(&values).map(|(name, value)| (name, value.as_slice())).collect();
            let request = Request { headers: &headers, body: &body, path_and_query: &target, now_unix_ms };
            prop_assert!(verifier.verify(&request).is_err(), "{}", fixture.label);
            let _ = verifier.idempotency_key(&request);
            let _ = verifier.event_type(&request);
            let _ = verifier.crc_response(&target);
        }
    }

    #[test]
    fn any_body_verifies_as_signed_and_no_other_body_does(
        body in prop::collection::vec(any::<u8>(), 0..6000),
        other in prop::collection::vec(any::<u8>(), 0..6000),
    ) {
        for mut fixture in fixtures() {
            if fixture.provider == Provider::Twilio {
                fixture.path_and_query = format!("/?{}", twilio_body_hash_query(&body));
            }
            let secret = &fixture.sender_secrets[0];
            let verifier = fixture.verifier(&[secret]);
            let headers = fixture.sign(secret, &body);
            prop_assert!(verifier.verify(&fixture.request(&headers, &body)).is_ok(), "{}", fixture.label);
            if fixture.provider.signs_body() && other != body {
                prop_assert!(verifier.verify(&fixture.request(&headers, &other)).is_err(), "{}", fixture.label);
            }
        }
    }

    #[test]
    fn twilio_forms_verify_in_any_order(mut pairs in prop::collection::vec(("[a-zA-Z]{1,8}", "[ -~]{0,20}"), 0..20)) {
        let options =
            SchemeOptions { public_url: Some("https://hooks.example.com".to_owned()), ..SchemeOptions::default() };
        let form = |pairs: &[(String, String)]| {
            let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
        };
        let body = form(&pairs);
        let outgoing = Outgoing { id: "", body: body.as_bytes(), path_and_query: "/in/t?a=1", now_unix_ms: NOW_MS };
        let headers = sign_as(Provider::Twilio, "token", &options, &outgoing).expect("headers");
        let verifier = Verifier::new(Provider::Twilio, &["token"], &options).expect("verifier");
        pairs.reverse();
        let body = form(&pairs);
        let request =
            Request { headers: &headers, body: body.as_bytes(), path_and_query: "/in/t?a=1", now_unix_ms: NOW_MS };
        prop_assert!(verifier.verify(&request).is_ok());
    }
}
