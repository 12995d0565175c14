use http::header::AUTHORIZATION;
use spillway_model::ManualClock;
use spillway_signature::{HmacOptions, Request, Verifier, verification_secret};

use super::*;

const NOW: i64 = 1_790_000_000_123;

fn target() -> Target {
    Target::parse("http://127.0.0.1:8080/in/x?a=b").expect("a target")
}

fn plan(content: Content) -> RequestPlan {
    RequestPlan { method: None, headers: Vec::new(), content, signing: None }
}

fn text(source: &mut Source, index: u64) -> String {
    String::from_utf8(source.message(index).expect("a message").to_vec()).expect("text")
}

#[test]
fn requests_are_what_http_wants() {
    let requests = plan(Content::Empty).build(&target(), 1).expect("requests");
    assert_eq!(text(&mut requests.source(), 0), "GET /in/x?a=b HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n\r\n");

    let body = Content::Bytes(b"<################>################".to_vec());
    let headers = vec![("X-A".to_owned(), "b".to_owned()), ("Host".to_owned(), "other".to_owned())];
    let requests = RequestPlan { headers, ..plan(body) }.build(&target(), 1_790_000_000_000).expect("requests");
    let mut source = requests.source();
    for index in [0, 999, 5] {
        let number = format!("{}", 1_790_000_000_000_000_u64 + index);
        let expected =
            format!("POST /in/x?a=b HTTP/1.1\r\nx-a: b\r\nhost: other\r\ncontent-length: 34\r\n\r\n<{number}>{number}");
        assert_eq!(text(&mut source, index), expected);
        let (method, headers, body) = source.parts(index).expect("parts");
        assert_eq!((method, &body[..]), (Method::POST, format!("<{number}>{number}").as_bytes()));
        assert_eq!(headers["x-a"], "b");
    }
}

#[test]
fn a_generated_body_has_its_size_and_is_unique_when_there_is_room() {
    for size in [1, 20, 69, 70, 71, 1_000] {
        let requests = plan(Content::Generated(size)).build(&target(), 7).expect("requests");
        let mut source = requests.source();
        let body = |source: &mut Source, index| source.parts(index).expect("parts").2;
        let (first, second) = (body(&mut source, 0), body(&mut source, 1));
        assert_eq!((first.len(), second.len()), (size, size));
        if size >= 100 {
            assert_ne!(first, second);
            let json: serde_json::Value = serde_json::from_slice(&first).expect("JSON");
            assert_eq!(json["id"], "evt_0000000000007000");
        }
    }
}

/// Head and body of a message, as a server would see them.
fn received(message: &[u8]) -> (HeaderMap, Vec<u8>) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(n) = request.parse(message).expect("HTTP") else { panic!("a whole head") };
    let mut map = HeaderMap::new();
    for header in request.headers {
        map.append(
            HeaderName::try_from(header.name).expect("a name"),
            HeaderValue::from_bytes(header.value).expect("a value"),
        );
    }
    assert_eq!(map[CONTENT_LENGTH], (message.len() - n).to_string());
    (map, message[n..].to_vec())
}

#[test]
fn every_provider_takes_the_signature_of_every_request() {
    let standard = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let hmac = SchemeOptions {
        hmac: Some(HmacOptions {
            timestamp_header: Some("x-time".into()),
            signed: "{timestamp}.{body}".into(),
            ..HmacOptions::new("x-sig")
        }),
        ..SchemeOptions::default()
    };
    let strict = SchemeOptions { tolerance: Some(std::time::Duration::ZERO), ..SchemeOptions::default() };
    let table = [
        (Provider::StandardWebhooks, standard, strict.clone()),
        (Provider::Stripe, "whsec_x", strict),
        (Provider::Github, "a secret", SchemeOptions::default()),
        (Provider::Discord, seed, SchemeOptions::default()),
        (Provider::Hmac, "another", hmac),
        (Provider::Bearer, "a-token-of-some-length", SchemeOptions::default()),
    ];
    for (provider, secret, options) in table {
        let clock = Arc::new(ManualClock::at(NOW));
        let signing = Signing { provider, secret: Secret::new(secret), options: options.clone(), clock: clock.clone() };
        let plan = RequestPlan { signing: Some(signing), ..plan(Content::Generated(200)) };
        let requests = plan.build(&target(), 1_790_000_000_000).expect("requests");
        let public = verification_secret(provider, secret).expect("a secret");
        let verifier = Verifier::new(provider, &[public], &options).expect("a verifier");
        let mut source = requests.source();
        let mut seen = std::collections::HashSet::new();
        for index in 0..5 {
            // Later than any tolerance allows for a signature that was made before.
            clock.advance(3_600_000);
            let message = source.message(index).expect("a message").to_vec();
            let (headers, body) = received(&message);
            let request =
                Request { headers: &headers, body: &body, path_and_query: "/in/x?a=b", now_unix_ms: clock.now() };
            verifier.verify(&request).unwrap_or_else(|error| panic!("{provider}: {error}"));
            let (_, parts, body) = source.parts(index).expect("parts");
            let request = Request { headers: &parts, body: &body, ..request };
            let request = Request { path_and_query: "/in/x?a=b", ..request };
            verifier.verify(&request).unwrap_or_else(|error| panic!("{provider} in parts: {error}"));
            assert!(seen.insert(message), "{provider}: each request is unique");
        }
    }
}

#[test]
fn what_the_user_gave_is_not_replaced_by_signing() {
    let signing = Signing {
        provider: Provider::Bearer,
        secret: Secret::new("one"),
        options: SchemeOptions::default(),
        clock: Arc::new(ManualClock::at(NOW)),
    };
    let headers = vec![("Authorization".to_owned(), "Bearer two".to_owned())];
    let plan = RequestPlan { headers, signing: Some(signing), ..plan(Content::Empty) };
    let requests = plan.build(&target(), 1).expect("requests");
    let (_, headers, _) = requests.source().parts(0).expect("parts");
    assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer two"]);
}

#[test]
fn what_cannot_be_sent_is_refused_by_name() {
    let header = |name: &str, value: &str| RequestPlan {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..plan(Content::Empty)
    };
    let signing = Signing {
        provider: Provider::Github,
        secret: Secret::new(""),
        options: SchemeOptions::default(),
        clock: Arc::new(ManualClock::at(NOW)),
    };
    let table = [
        (header("a b", "c"), "header: \"a b\""),
        (header("a", "b\r\nc: d"), "header: the value of \"a\""),
        (header("content-length", "3"), "header: \"content-length\""),
        (header("Transfer-Encoding", "chunked"), "header: \"Transfer-Encoding\""),
        (plan(Content::Generated(MAX_BODY + 1)), "body: "),
        (RequestPlan { signing: Some(signing), ..plan(Content::Empty) }, "sign: "),
    ];
    for (plan, expected) in table {
        let error = plan.build(&target(), 1).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
