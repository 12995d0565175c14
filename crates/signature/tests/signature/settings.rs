//! What can and cannot be set up, and that no secret is shown.

use std::time::Duration;

use spillway_signature::*;

fn error(provider: Provider, secrets: &[&str], options: SchemeOptions) -> String {
    Verifier::new(provider, secrets, &options).expect_err("no verifier").to_string()
}

fn hmac(hmac: HmacOptions) -> SchemeOptions {
    SchemeOptions { hmac: Some(hmac), ..SchemeOptions::default() }
}

#[test]
fn names_go_both_ways_and_a_wrong_one_names_the_nearest() {
    for provider in Provider::ALL {
        assert_eq!(provider.to_string().parse(), Ok(provider));
        let json = serde_json::to_string(&provider).expect("JSON");
        assert_eq!(serde_json::from_str::<Provider>(&json).expect("provider"), provider);
    }
    for (given, nearest) in
        [("gihtub", "github"), ("Stripe", "stripe"), ("apikey", "api-key"), ("standard", "standard-webhooks")]
    {
        assert_eq!(given.parse::<Provider>().expect_err("unknown").nearest, nearest);
    }
    let message = serde_json::from_str::<Provider>(r#""githb""#).expect_err("unknown").to_string();
    assert!(message.contains(r#"there is no provider "githb"; did you mean "github"?"#), "{message}");
}

#[test]
fn a_source_that_could_accept_nothing_or_everything_is_not_built() {
    for fixture in crate::fixture::fixtures() {
        let none: [&str; 0] = [];
        let verifier = Verifier::new(fixture.provider, &none, &fixture.options);
        assert_eq!(verifier.expect_err("no secret"), SchemeError::NoSecret { provider: fixture.provider });
        let good = verification_secret(fixture.provider, &fixture.sender_secrets[0]).expect("secret");
        let verifier = Verifier::new(fixture.provider, &[good.as_str(), " "], &fixture.options);
        let empty = SchemeError::EmptySecret { provider: fixture.provider, position: 2 };
        assert_eq!(verifier.expect_err("empty secret"), empty);
        let many = vec![good; MAX_SECRETS + 1];
        let verifier = Verifier::new(fixture.provider, &many, &fixture.options);
        assert_eq!(verifier.expect_err("too many"), SchemeError::TooManySecrets { given: 9, limit: 8 });
    }
    let none = Verifier::new(Provider::None, &["secret"], &SchemeOptions::default());
    assert_eq!(none.expect_err("secrets ignored"), SchemeError::SecretsIgnored);
}

#[test]
fn secrets_of_the_wrong_form_are_named_and_not_shown() {
    let table = [
        (Provider::StandardWebhooks, "whsec_", "nothing after"),
        (Provider::StandardWebhooks, "whsec_***", "base64"),
        (Provider::StandardWebhooks, "whsk_AAAA", "private key belongs to the sender"),
        (Provider::StandardWebhooks, "whpk_AAAA", "32 bytes"),
        (Provider::Discord, "xyzzy", "32 bytes"),
        (Provider::Sendgrid, "xyzzy", "P-256"),
        (Provider::Basic, "xyzzy", "user:password"),
    ];
    for (provider, secret, hint) in table {
        let message = error(provider, &[secret], SchemeOptions::default());
        assert!(message.starts_with(&format!("secret 1 for provider {provider}")), "{message}");
        assert!(message.contains(hint), "{message}");
        assert!(!message.contains("xyzzy") && !message.contains("***") && !message.contains("AAAA"), "{message}");
    }
    let short = StandardSigner::new(&["whsec_AAAA"]).expect_err("too short").to_string();
    assert!(short.contains("24 to 64 bytes"), "{short}");
    assert!(StandardSigner::new::<&str>(&[]).is_err());
    assert!(StandardSigner::new(&["whpk_AAAA"]).is_err());
}

#[test]
fn options_that_are_missing_wrong_or_without_effect_are_errors() {
    let public_url = |url: &str| SchemeOptions { public_url: Some(url.to_owned()), ..SchemeOptions::default() };
    let tolerance =
        |seconds| SchemeOptions { tolerance: Some(Duration::from_secs(seconds)), ..SchemeOptions::default() };
    let idempotency = |source| SchemeOptions { idempotency: Some(source), ..SchemeOptions::default() };
    let signed = |signed: &str| hmac(HmacOptions { signed: signed.to_owned(), ..HmacOptions::new("x") });
    let table = [
        (Provider::Hmac, SchemeOptions::default(), "needs the option `hmac`"),
        (Provider::Github, hmac(HmacOptions::new("x")), "`hmac` has no effect with provider github"),
        (Provider::Github, tolerance(5), "`tolerance` has no effect"),
        (Provider::Stripe, tolerance(MAX_TOLERANCE.as_secs() + 1), "at most 604800 s"),
        (Provider::Twilio, SchemeOptions::default(), "needs the option `public_url`"),
        (Provider::Twilio, public_url("mycompany.com"), "the URL that the sender calls"),
        (Provider::Twilio, public_url("ftp://mycompany.com"), "the URL that the sender calls"),
        (Provider::Twilio, public_url("https:///path"), "the URL that the sender calls"),
        (Provider::Stripe, public_url("https://a.example"), "`public_url` has no effect"),
        (Provider::Hmac, hmac(HmacOptions::new("x y")), "\"x y\" is not a header name"),
        (Provider::Hmac, signed("{timestamp}.{body}"), "needs the option `hmac.timestamp_header`"),
        (Provider::Hmac, signed("{id}.{body}"), "{id} is unknown"),
        (Provider::Hmac, signed("{body"), "without `}`"),
        (Provider::Hmac, signed("fixed"), "{body} exactly once"),
        (Provider::Hmac, signed("{body}{body}"), "{body} exactly once"),
        (
            Provider::Hmac,
            hmac(HmacOptions { timestamp_header: Some("t".to_owned()), ..HmacOptions::new("x") }),
            "no {timestamp}",
        ),
        (
            Provider::Hmac,
            hmac(HmacOptions { crc: true, algorithm: HmacAlgorithm::Sha1, ..HmacOptions::new("x") }),
            "`hmac.crc` is wrong",
        ),
        (Provider::Github, idempotency(IdempotencySource::Header("é".to_owned())), "is not a header name"),
        (Provider::Github, idempotency(IdempotencySource::JsonPointer("id".to_owned())), "does not start with a slash"),
        (Provider::Github, idempotency(IdempotencySource::JsonPointer("/a".repeat(17))), "more than 16 steps"),
    ];
    for (provider, options, expected) in table {
        let message = error(provider, &["secret"], options);
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
}

#[test]
fn options_are_read_from_settings_and_written_back() {
    let text = r#"
        tolerance = "5m"
        idempotency = { header = "x-id" }
        [hmac]
        header = "x-signature"
        prefix = "sha1="
        algorithm = "sha1"
        encoding = "base64"
        signed = "{timestamp}.{body}"
        timestamp_header = "x-time"
        timestamp_unit = "milliseconds"
    "#;
    let options: SchemeOptions = toml::from_str(text).expect("options");
    assert_eq!(options.tolerance, Some(Duration::from_secs(300)));
    assert_eq!(options.idempotency, Some(IdempotencySource::Header("x-id".to_owned())));
    let hmac = options.hmac.as_ref().expect("hmac");
    assert_eq!((hmac.algorithm, hmac.encoding), (HmacAlgorithm::Sha1, SignatureEncoding::Base64));
    let json = serde_json::to_string(&options).expect("JSON");
    assert_eq!(serde_json::from_str::<SchemeOptions>(&json).expect("options"), options);
    assert_eq!(serde_json::to_string(&SchemeOptions::default()).expect("JSON"), "{}");

    let minimal: SchemeOptions = toml::from_str("[hmac]\nheader = \"x\"").expect("options");
    assert_eq!(minimal.hmac, Some(HmacOptions::new("x")));
    let seconds: SchemeOptions = toml::from_str("tolerance = 90").expect("options");
    assert_eq!(seconds.tolerance, Some(Duration::from_secs(90)));
    let disabled: SchemeOptions = toml::from_str("idempotency = \"disabled\"").expect("options");
    assert_eq!(disabled.idempotency, Some(IdempotencySource::Disabled));
    for wrong in [
        "tolerence = 1",
        "tolerance = -1",
        "tolerance = \"1d\"",
        "tolerance = \"m\"",
        "[hmac]\nheader=\"x\"\nalgo=\"x\"",
    ] {
        assert!(toml::from_str::<SchemeOptions>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn debug_output_and_refusals_show_no_secret() {
    for fixture in crate::fixture::fixtures() {
        let [first, second] = &fixture.sender_secrets;
        let verifier = fixture.verifier(&[first]);
        let headers = fixture.sign(second, crate::fixture::BODY);
        let refusal = verifier.verify(&fixture.request(&headers, crate::fixture::BODY)).expect_err("refused");
        for shown in [format!("{verifier:?}"), format!("{refusal:?}"), refusal.to_string()] {
            assert!(!shown.contains(first) && !shown.contains(second), "{shown}");
        }
    }
    let secret = generate_secret([9; 32]);
    let signer = StandardSigner::new(&[&secret]).expect("signer");
    assert_eq!(format!("{signer:?}"), "StandardSigner { n_keys: 1, .. }");
}

#[test]
fn refusals_have_stable_codes_and_say_what_to_do() {
    let name = || "x-signature".into();
    let table = [
        (VerifyError::MissingHeader { name: name() }, "signature_header_missing", "set the same secret at the sender"),
        (VerifyError::MalformedHeader { name: name(), reason: "is odd" }, "signature_header_malformed", "check that"),
        (VerifyError::RepeatedHeader { name: name() }, "signature_header_repeated", "send it once"),
        (VerifyError::UnsupportedVersion { name: name() }, "signature_version_unsupported", "check its secrets"),
        (
            VerifyError::TimestampOutOfTolerance { skew_seconds: -400, tolerance_seconds: 300 },
            "signature_timestamp_out_of_tolerance",
            "-400 s from now and 300 s are tolerated; check both clocks",
        ),
        (VerifyError::MalformedBody { reason: "is odd" }, "signature_body_malformed", "check that"),
        (VerifyError::Mismatch, "signature_mismatch", "let no proxy change the body"),
    ];
    for (refusal, code, advice) in table {
        assert_eq!(refusal.code(), code);
        assert!(refusal.to_string().contains(advice), "{refusal}");
    }
}

#[test]
fn delivery_ids_go_where_the_provider_puts_them() {
    let outgoing = Outgoing { id: "msg_1", body: b"{}", path_and_query: "/", now_unix_ms: crate::fixture::NOW_MS };
    let table = [
        (Provider::Github, "x-github-delivery"),
        (Provider::Shopify, "x-shopify-event-id"),
        (Provider::Gitlab, "x-gitlab-event-uuid"),
        (Provider::Woocommerce, "x-wc-webhook-delivery-id"),
        (Provider::StandardWebhooks, "webhook-id"),
    ];
    for (provider, name) in table {
        let [secret, _] = crate::fixture::sender_secrets(provider);
        let headers = sign_as(provider, &secret, &SchemeOptions::default(), &outgoing).expect("headers");
        assert_eq!(headers.last(), Some(&(name.to_owned(), "msg_1".to_owned())));
    }
    let none = sign_as(Provider::None, "", &SchemeOptions::default(), &outgoing).expect("headers");
    assert!(none.is_empty());
}
