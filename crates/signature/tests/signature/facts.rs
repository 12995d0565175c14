//! Idempotency keys, event types and handshakes.

use std::borrow::Cow;

use crate::fixture::NOW_MS;
use spillway_signature::*;

type Pairs<'a> = [(&'a str, &'a str)];

fn verifier(provider: Provider, idempotency: Option<IdempotencySource>) -> Verifier {
    let options = SchemeOptions { idempotency, ..SchemeOptions::default() };
    let options = match provider {
        Provider::Twilio => SchemeOptions { public_url: Some("https://example.com".to_owned()), ..options },
        Provider::Hmac => SchemeOptions { hmac: Some(HmacOptions::new("x-signature")), ..options },
        Provider::Basic => SchemeOptions { username: Some("u".to_owned()), ..options },
        _ => options,
    };
    let [secret, _] = crate::fixture::sender_secrets(provider);
    let secret = verification_secret(provider, &secret).expect("secret");
    let secrets = if provider == Provider::None { vec![] } else { vec![secret] };
    Verifier::new(provider, &secrets, &options).expect("verifier")
}

fn request<'a>(headers: &'a Pairs<'a>, body: &'a str) -> Request<'a, Pairs<'a>> {
    Request { headers, body: body.as_bytes(), path_and_query: "/", now_unix_ms: NOW_MS }
}

fn key(verifier: &Verifier, headers: &Pairs<'_>, body: &str) -> Option<String> {
    let key = verifier.idempotency_key(&request(headers, body)).expect("key within the limit");
    key.map(|key| String::from_utf8(key.into_owned()).expect("text"))
}

#[test]
fn each_provider_has_its_key_and_type_where_it_documents_them() {
    type Row<'a> = (Provider, &'a Pairs<'a>, &'a str, Option<&'a str>, Option<&'a str>);
    let table: [Row<'_>; 20] = [
        (Provider::StandardWebhooks, &[("webhook-id", "msg_1")], r#"{"type":"a.b"}"#, Some("msg_1"), Some("a.b")),
        (Provider::StandardWebhooks, &[("svix-id", "msg_2")], "[]", Some("msg_2"), None),
        (Provider::Stripe, &[], r#"{"id":"evt_1","type":"invoice.paid"}"#, Some("evt_1"), Some("invoice.paid")),
        (Provider::Github, &[("X-GitHub-Delivery", "g"), ("X-GitHub-Event", "push")], "", Some("g"), Some("push")),
        (
            Provider::Shopify,
            &[("X-Shopify-Event-Id", "s"), ("X-Shopify-Webhook-Id", "w"), ("X-Shopify-Topic", "orders/create")],
            "",
            Some("s"),
            Some("orders/create"),
        ),
        (
            Provider::Slack,
            &[],
            r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"m"}}"#,
            Some("Ev1"),
            Some("m"),
        ),
        (Provider::Slack, &[], r#"{"type":"app_rate_limited"}"#, None, Some("app_rate_limited")),
        (Provider::Twilio, &[("I-Twilio-Idempotency-Token", "t")], "", Some("t"), None),
        (Provider::Discord, &[], r#"{"id":"9","type":2}"#, Some("9"), None),
        (
            Provider::Gitlab,
            &[("X-Gitlab-Event-UUID", "u"), ("X-Gitlab-Event", "Push Hook")],
            "",
            Some("u"),
            Some("Push Hook"),
        ),
        (Provider::Sendgrid, &[], r#"[{"event":"open"}]"#, None, None),
        (Provider::Paddle, &[], r#"{"event_id":"evt","event_type":"x.y"}"#, Some("evt"), Some("x.y")),
        (Provider::Vercel, &[], r#"{"id":"v","type":"deployment"}"#, Some("v"), Some("deployment")),
        (
            Provider::Woocommerce,
            &[("X-WC-Webhook-Delivery-ID", "w"), ("X-WC-Webhook-Topic", "order.created")],
            "",
            Some("w"),
            Some("order.created"),
        ),
        (Provider::Webflow, &[], r#"{"triggerType":"form_submission"}"#, None, Some("form_submission")),
        (Provider::Elevenlabs, &[], r#"{"type":"post_call"}"#, None, Some("post_call")),
        (Provider::Hmac, &[], r#"{"id":"1","type":"t"}"#, None, None),
        (Provider::Basic, &[], r#"{"id":"1"}"#, None, None),
        (Provider::ApiKey, &[], r#"{"id":"1"}"#, None, None),
        (Provider::None, &[], r#"{"id":"1"}"#, None, None),
    ];
    for (provider, headers, body, expected_key, expected_type) in table {
        let verifier = verifier(provider, None);
        assert_eq!(key(&verifier, headers, body).as_deref(), expected_key, "{provider}");
        assert_eq!(verifier.event_type(&request(headers, body)).as_deref(), expected_type, "{provider}");
    }
}

#[test]
fn a_json_pointer_finds_strings_and_integers() {
    let body = r#"{"a":{"b/c":[{"~id":"x"},{"~id":"escaped\n"},7,-8,1.5,null,true,{"deep":[]}]},"a2":1,"":"empty"}"#;
    let table = [
        ("/a/b~1c/0/~0id", Some("x")),
        ("/a/b~1c/1/~0id", Some("escaped\n")),
        ("/a/b~1c/2", Some("7")),
        ("/a/b~1c/3", Some("-8")),
        ("/a/b~1c/4", None),
        ("/a/b~1c/5", None),
        ("/a/b~1c/6", None),
        ("/a/b~1c/7", None),
        ("/a/b~1c/02", None),
        ("/a/b~1c/99", None),
        ("/a/b~1c/-", None),
        ("/a", None),
        ("/a2/x", None),
        ("/", Some("empty")),
    ];
    for (pointer, expected) in table {
        let verifier = verifier(Provider::Bearer, Some(IdempotencySource::JsonPointer(pointer.to_owned())));
        assert_eq!(key(&verifier, &[], body).as_deref(), expected, "{pointer}");
    }
}

#[test]
fn a_body_that_is_not_json_to_its_end_has_no_key() {
    let verifier = verifier(Provider::Stripe, None);
    let deep = format!(r#"{{"id":{}"#, "[".repeat(100_000));
    for body in ["", "id=1", r#"{"id":"a""#, r#"{"id":"a"} x"#, r#"{"id":"a",}"#, &deep, r#"{"id":""}"#] {
        assert_eq!(key(&verifier, &[], body), None, "{:.40}", body);
    }
    assert_eq!(key(&verifier, &[], r#"{"id":"first","id":"last"}"#).as_deref(), Some("last"));
}

#[test]
fn keys_in_headers_and_plain_strings_are_not_copied() {
    let stripe = verifier(Provider::Stripe, None);
    let pairs: &Pairs<'_> = &[("x-github-delivery", "g")];
    let body = request(&[], r#"{"id":"evt_1"}"#);
    assert!(matches!(stripe.idempotency_key(&body), Ok(Some(Cow::Borrowed(b"evt_1")))));
    let github = verifier(Provider::Github, None);
    assert!(matches!(github.idempotency_key(&request(pairs, "")), Ok(Some(Cow::Borrowed(b"g")))));
}

#[test]
fn an_idempotency_key_has_a_longest_length() {
    let header = IdempotencySource::Header("X-Event".to_owned());
    let verifier = verifier(Provider::Bearer, Some(header));
    let longest = "k".repeat(MAX_IDEMPOTENCY_KEY_BYTES);
    assert_eq!(key(&verifier, &[("x-event", &longest)], ""), Some(longest.clone()));
    let longer = format!("{longest}k");
    let error = verifier.idempotency_key(&request(&[("x-event", &longer)], "")).expect_err("too long");
    assert_eq!((error.bytes, error.limit, error.code()), (256, 255, "idempotency_key_too_long"));
}

#[test]
fn a_configured_or_disabled_key_replaces_the_providers_own() {
    let headers: &Pairs<'_> = &[("x-github-delivery", "g"), ("x-mine", "m")];
    let configured = verifier(Provider::Github, Some(IdempotencySource::Header("X-Mine".to_owned())));
    assert_eq!(key(&configured, headers, "").as_deref(), Some("m"));
    let disabled = verifier(Provider::Github, Some(IdempotencySource::Disabled));
    assert_eq!(key(&disabled, headers, ""), None);
}

fn handshake(provider: Provider, body: &str) -> Option<HandshakeResponse> {
    let [secret, _] = crate::fixture::sender_secrets(provider);
    let outgoing = Outgoing { id: "m", body: body.as_bytes(), path_and_query: "/", now_unix_ms: NOW_MS };
    let headers = sign_as(provider, &secret, &SchemeOptions::default(), &outgoing).expect("headers");
    let verifier = verifier(provider, None);
    let request = Request { headers: &headers, body: body.as_bytes(), path_and_query: "/", now_unix_ms: NOW_MS };
    let verified = verifier.verify(&request).expect("verified");
    verifier.handshake(&verified, &request)
}

#[test]
fn slack_challenge_is_echoed() {
    let answer = handshake(Provider::Slack, r#"{"token":"t","challenge":"3eZb\u0072","type":"url_verification"}"#);
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"3eZbr".as_slice()));
    assert_eq!(answer.content_type, Some("text/plain; charset=utf-8"));
    let long = format!(r#"{{"challenge":"{}","type":"url_verification"}}"#, "x".repeat(1025));
    for event in [r#"{"type":"event_callback","challenge":"x"}"#, "payload=1", &long] {
        assert_eq!(handshake(Provider::Slack, event), None);
    }
}

#[test]
fn discord_pings_are_answered_and_events_are_kept() {
    let event_ping = handshake(Provider::Discord, r#"{"version":1,"application_id":"1","type":0}"#).expect("an answer");
    assert_eq!((event_ping.status, event_ping.content_type, event_ping.body.len()), (204, None, 0));
    let ping = handshake(Provider::Discord, r#"{"id":"1","type":1,"token":"t"}"#).expect("an answer");
    assert_eq!((ping.status, ping.content_type), (200, Some("application/json")));
    assert_eq!(ping.body, br#"{"type":1}"#);
    for event in
        [r#"{"version":1,"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}"#, r#"{"id":"1","type":2}"#, "{}", "x"]
    {
        assert_eq!(handshake(Provider::Discord, event), None, "{event}");
    }
    assert_eq!(handshake(Provider::Github, r#"{"type":1}"#), None);
}

#[test]
fn crc_tokens_are_answered_only_when_asked_for_and_never_for_what_could_be_a_body() {
    let hmac = HmacOptions { crc: true, ..HmacOptions::new("x-twitter-webhooks-signature") };
    let options = SchemeOptions { hmac: Some(hmac), ..SchemeOptions::default() };
    let verifier = Verifier::new(Provider::Hmac, &["Jefe"], &options).expect("verifier");
    let answer = verifier.crc_response("/in/x?nonce=1&crc_token=MDEyMzQ1%3D").expect("an answer");
    let text = String::from_utf8(answer.body).expect("text");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
    let expected = data_encoding::BASE64.encode(ring::hmac::sign(&key, b"MDEyMzQ1=").as_ref());
    assert_eq!(value["response_token"], format!("sha256={expected}"));

    for target in ["/", "/?crc_token=", "/?crc_token==", "/?crc_token=%7B%7D", "/?crc_token=a=b", "/?crc_token=a.b"] {
        assert_eq!(verifier.crc_response(target), None, "{target}");
    }
    assert_eq!(verifier.crc_response(&format!("/?crc_token={}", "a".repeat(129))), None);
    let plain = SchemeOptions { hmac: Some(HmacOptions::new("x")), ..SchemeOptions::default() };
    let without = Verifier::new(Provider::Hmac, &["Jefe"], &plain).expect("verifier");
    assert_eq!(without.crc_response("/?crc_token=abc"), None);
}
