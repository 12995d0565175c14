//! Published examples of each scheme, and the refusals that Standard Webhooks lists.

use spillway_signature::*;

fn verify(
    provider: Provider,
    secret: &str,
    options: SchemeOptions,
    headers: &[(&str, &str)],
    body: &str,
    path_and_query: &str,
    now_unix_s: i64,
) -> Result<Verified, VerifyError> {
    let verifier = Verifier::new(provider, &[secret], &options).expect("verifier");
    verifier.verify(&Request { headers, body: body.as_bytes(), path_and_query, now_unix_ms: now_unix_s * 1000 })
}

struct Standard {
    secret: &'static str,
    id: &'static str,
    timestamp: i64,
    body: &'static str,
    signature: &'static str,
}

const STANDARD: [Standard; 2] = [
    Standard {
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: 1_614_265_330,
        body: r#"{"test": 2432232314}"#,
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    Standard {
        secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: 1_649_367_553,
        body: r#"{"email":"test@example.com","username":"test_user"}"#,
        signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    },
];

impl Standard {
    fn verify_list(&self, list: &str) -> Result<Verified, VerifyError> {
        self.verify_at(list, self.timestamp)
    }

    fn verify_at(&self, list: &str, now_unix_s: i64) -> Result<Verified, VerifyError> {
        let timestamp = self.timestamp.to_string();
        let headers = [("Webhook-Id", self.id), ("webhook-timestamp", &timestamp), ("webhook-signature", list)];
        self.verify_headers(&headers, now_unix_s)
    }

    fn verify_headers(&self, headers: &[(&str, &str)], now_unix_s: i64) -> Result<Verified, VerifyError> {
        let options = SchemeOptions::default();
        verify(Provider::StandardWebhooks, self.secret, options, headers, self.body, "/", now_unix_s)
    }
}

#[test]
fn standard_webhooks_examples_verify_and_are_signed_alike() {
    for vector in STANDARD {
        assert!(vector.verify_list(vector.signature).is_ok());
        let signer = StandardSigner::new(&[vector.secret]).expect("signer");
        assert_eq!(signer.sign(vector.id, vector.timestamp, vector.body.as_bytes()), vector.signature);
    }
}

#[test]
fn standard_webhooks_come_with_svix_headers_too() {
    let [vector, _] = STANDARD;
    let timestamp = vector.timestamp.to_string();
    let headers = [("svix-id", vector.id), ("svix-timestamp", &timestamp), ("svix-signature", vector.signature)];
    assert!(vector.verify_headers(&headers, vector.timestamp).is_ok());

    let mixed = [("webhook-id", vector.id), ("webhook-timestamp", &timestamp), ("svix-signature", vector.signature)];
    let missing = Err(VerifyError::MissingHeader { name: "svix-id".into() });
    assert_eq!(vector.verify_headers(&mixed, vector.timestamp), missing);
}

#[test]
fn one_valid_signature_of_several_is_enough() {
    let [vector, _] = STANDARD;
    let other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let good = vector.signature;
    for list in [format!("{other} v2,abc {good} {other}"), format!("v1a,AAAA nonsense {good}"), format!("{good} ")] {
        assert!(vector.verify_list(&list).is_ok(), "{list}");
    }
}

#[test]
fn standard_webhooks_refusals() {
    let [vector, _] = STANDARD;
    let unsupported = || VerifyError::UnsupportedVersion { name: "webhook-signature".into() };
    let good = vector.signature;
    let other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    let seventeen = format!("{}{good}", format!("{other} ").repeat(16));
    let table = [
        (other, VerifyError::Mismatch),
        ("v1,", VerifyError::Mismatch),
        ("", unsupported()),
        ("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", unsupported()),
        ("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", unsupported()),
        ("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", unsupported()),
        (
            &seventeen,
            VerifyError::MalformedHeader {
                name: "webhook-signature".into(),
                reason: "lists more signatures than are looked at",
            },
        ),
    ];
    for (list, refusal) in table {
        assert_eq!(vector.verify_list(list), Err(refusal), "{list:?}");
    }
    for skew_seconds in [-301, 301] {
        let refusal = VerifyError::TimestampOutOfTolerance { skew_seconds, tolerance_seconds: 300 };
        assert_eq!(vector.verify_at(good, vector.timestamp - skew_seconds), Err(refusal));
    }
}

#[test]
fn an_id_with_a_dot_is_refused_as_it_could_be_split_in_two_ways() {
    let secret = generate_secret([3; 32]);
    let signature = StandardSigner::new(&[&secret]).expect("signer").sign("a.1700000000", 1_700_000_001, b"x");
    let headers =
        [("webhook-id", "a.1700000000"), ("webhook-timestamp", "1700000001"), ("webhook-signature", &signature)];
    let result =
        verify(Provider::StandardWebhooks, &secret, SchemeOptions::default(), &headers, "x", "/", 1_700_000_001);
    assert!(matches!(result, Err(VerifyError::MalformedHeader { .. })), "{result:?}");
}

#[test]
fn rotation_signs_with_every_secret_and_each_side_may_be_ahead() {
    let old = generate_secret([1; 32]);
    let new = generate_secret([2; 32]);
    let private = generate_ed25519_secret([3; 32]).expect("private key");
    let public = verification_secret(Provider::StandardWebhooks, &private).expect("public key");
    let list = StandardSigner::new(&[&new, &old, &private]).expect("signer").sign("msg_1", 1_700_000_000, b"{}");
    assert_eq!(list.split(' ').count(), 3);
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", &list)];
    for held in [&old, &new, &public] {
        let result =
            verify(Provider::StandardWebhooks, held, SchemeOptions::default(), &headers, "{}", "/", 1_700_000_000);
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn github_example() {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("X-Hub-Signature-256", signature)];
    let verify = |body| {
        let secret = "It's a Secret to Everybody";
        verify(Provider::Github, secret, SchemeOptions::default(), &headers, body, "/", 0)
    };
    assert!(verify("Hello, World!").is_ok());
    assert_eq!(verify("Hello, World?"), Err(VerifyError::Mismatch));
}

#[test]
fn slack_example() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
        response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let headers = [("X-Slack-Signature", signature), ("X-Slack-Request-Timestamp", "1531420618")];
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    let result = verify(Provider::Slack, secret, SchemeOptions::default(), &headers, body, "/", 1_531_420_618);
    assert!(result.is_ok(), "{result:?}");
}

const TWILIO_FORM: &str =
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";

fn verify_twilio(public_url: &str, signature: &str, body: &str, path_and_query: &str) -> Result<Verified, VerifyError> {
    let options = SchemeOptions { public_url: Some(public_url.to_owned()), ..SchemeOptions::default() };
    let headers = [("X-Twilio-Signature", signature)];
    verify(Provider::Twilio, "12345", options, &headers, body, path_and_query, 0)
}

#[test]
fn twilio_example_however_the_public_url_is_written() {
    let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    let accepted = [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "/in/twilio?foo=1&bar=2"),
        ("https://mycompany.com/myapp.php", "/in/twilio?foo=1&bar=2"),
        ("https://mycompany.com", "/myapp.php?foo=1&bar=2"),
        ("https://mycompany.com/", "/myapp.php?foo=1&bar=2"),
        ("https://mycompany.com:443/myapp.php", "/in/twilio?foo=1&bar=2"),
    ];
    for (public_url, target) in accepted {
        let result = verify_twilio(public_url, signature, TWILIO_FORM, target);
        assert!(result.is_ok(), "{public_url} {target}: {result:?}");
    }
    let shuffled = "To=%2B18005551212&Digits=1234&From=%2b14158675309&CallSid=CA1234567890ABCDE&Caller=%2B14158675309";
    let url = "https://mycompany.com/myapp.php";
    assert!(verify_twilio(url, signature, shuffled, "/?foo=1&bar=2").is_ok());

    for (url, form, target) in [
        ("http://mycompany.com/myapp.php", TWILIO_FORM, "/?foo=1&bar=2"),
        (url, TWILIO_FORM, "/?foo=1&bar=3"),
        (url, "CallSid=CA1234567890ABCDE", "/?foo=1&bar=2"),
        (url, "", "/?foo=1&bar=2"),
    ] {
        assert_eq!(verify_twilio(url, signature, form, target), Err(VerifyError::Mismatch), "{url} {form} {target}");
    }
}

#[test]
fn twilio_form_with_more_parameters_than_are_read_is_refused() {
    let form = "a=1&".repeat(1025);
    let result = verify_twilio("https://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", &form, "/");
    assert!(matches!(result, Err(VerifyError::MalformedBody { .. })), "{result:?}");
}

#[test]
fn stripe_header_holds_several_signatures_and_only_v1_counts() {
    let secret = "whsec_stripe";
    let outgoing = Outgoing { id: "", body: b"{}", path_and_query: "/", now_unix_ms: 1_700_000_000_000 };
    let headers = sign_as(Provider::Stripe, secret, &SchemeOptions::default(), &outgoing).expect("headers");
    let signature = headers[0].1.split_once("v1=").expect("v1").1;
    let other = "0".repeat(64);
    let verify = |header: &str| {
        let headers = [("Stripe-Signature", header)];
        verify(Provider::Stripe, secret, SchemeOptions::default(), &headers, "{}", "/", 1_700_000_000)
    };
    assert!(verify(&format!("t=1700000000, v1={other}, v1={signature}, v0={other}")).is_ok());
    assert_eq!(verify(&format!("t=1700000000,v1={other}")), Err(VerifyError::Mismatch));
    for header in [
        format!("t=1700000000,v0={signature}"),
        format!("v1={signature}"),
        format!("t=1700000000,t=1700000001,v1={signature}"),
        format!("t=+1700000000,v1={signature}"),
        format!("t=1700000000,{}v1={signature}", format!("v1={other},").repeat(17)),
    ] {
        let result = verify(&header);
        assert!(matches!(result, Err(VerifyError::MalformedHeader { .. })), "{header}: {result:?}");
    }
}

/// RFC 8032, section 7.1, test 1 gives the key pair.
#[test]
fn discord_keys_are_those_of_rfc_8032() {
    let private = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(verification_secret(Provider::Discord, private).expect("public key"), public);
}

#[test]
fn hmac_examples_of_rfc_2202_and_rfc_4231() {
    // RFC 4231 test case 2 and RFC 2202 test case 2 share key and data.
    let cases = [
        (HmacAlgorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (HmacAlgorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            HmacAlgorithm::Sha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ];
    for (algorithm, signature) in cases {
        let hmac = HmacOptions { algorithm, ..HmacOptions::new("x-sig") };
        let options = SchemeOptions { hmac: Some(hmac), ..SchemeOptions::default() };
        for signature in [signature.to_owned(), signature.to_ascii_uppercase()] {
            let headers = [("x-sig", signature.as_str())];
            let body = "what do ya want for nothing?";
            let result = verify(Provider::Hmac, "Jefe", options.clone(), &headers, body, "/", 0);
            assert!(result.is_ok(), "{algorithm:?}: {result:?}");
        }
    }
}

#[test]
fn basic_credentials() {
    let basic = |value: &str| {
        let headers = [("authorization", value)];
        let secret = "Aladdin:open sesame";
        verify(Provider::Basic, secret, SchemeOptions::default(), &headers, "", "/", 0)
    };
    // RFC 7617, section 2.
    assert!(basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").is_ok());
    assert!(basic("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ").is_ok());
    assert_eq!(basic("Basic QWxhZGRpbjpvcGVu"), Err(VerifyError::Mismatch));
    for value in ["Basic", "Basic !", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &format!("Basic {}", "A".repeat(4096))] {
        assert!(matches!(basic(value), Err(VerifyError::MalformedHeader { .. })), "{value}");
    }
}
