//! A source, its sender and a clock, for tests of every provider.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use spillway_signature::*;

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;
pub(crate) const BODY: &[u8] = br#"{"id":"evt_1","type":"invoice.paid"}"#;

pub(crate) type Headers = Vec<(String, String)>;

/// One way of sending: a provider with its options and two different secrets on the sender's side.
pub(crate) struct Fixture {
    pub(crate) label: &'static str,
    pub(crate) provider: Provider,
    pub(crate) options: SchemeOptions,
    pub(crate) path_and_query: String,
    pub(crate) sender_secrets: [String; 2],
}

impl Fixture {
    pub(crate) fn verifier(&self, secrets: &[&String]) -> Verifier {
        let secrets: Vec<String> = secrets
            .iter()
            .map(|secret| verification_secret(self.provider, secret).expect("verification secret"))
            .collect();
        Verifier::new(self.provider, &secrets, &self.options).expect("verifier")
    }

    pub(crate) fn sign(&self, secret: &str, body: &[u8]) -> Headers {
        let request = Outgoing { id: "msg_1", body, path_and_query: &self.path_and_query, now_unix_ms: NOW_MS };
        sign_as(self.provider, secret, &self.options, &request).expect("signed headers")
    }

    pub(crate) fn request<'a>(&'a self, headers: &'a Headers, body: &'a [u8]) -> Request<'a, Headers> {
        Request { headers, body, path_and_query: &self.path_and_query, now_unix_ms: NOW_MS }
    }
}

/// Every provider but `none`, those with variants more than once.
pub(crate) fn fixtures() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = Provider::ALL
        .into_iter()
        .filter(|provider| *provider != Provider::None)
        .map(|provider| Fixture {
            label: provider.name(),
            provider,
            options: SchemeOptions::default(),
            path_and_query: "/in/source".to_owned(),
            sender_secrets: sender_secrets(provider),
        })
        .collect();
    for fixture in &mut fixtures {
        match fixture.provider {
            Provider::Twilio => {
                fixture.options.public_url = Some("https://hooks.example.com/in/source".to_owned());
                fixture.path_and_query = format!("/in/source?{}", twilio_body_hash_query(BODY));
            }
            Provider::Hmac => fixture.options.hmac = Some(HmacOptions::new("x-signature")),
            Provider::Basic => fixture.options.username = Some("spillway".to_owned()),
            _ => {}
        }
    }
    fixtures.push(Fixture {
        label: "standard-webhooks v1a",
        provider: Provider::StandardWebhooks,
        options: SchemeOptions::default(),
        path_and_query: "/".to_owned(),
        sender_secrets: [7, 8].map(|byte| generate_ed25519_secret([byte; 32]).expect("private key")),
    });
    fixtures.push(Fixture {
        label: "hmac with everything set",
        provider: Provider::Hmac,
        options: SchemeOptions {
            hmac: Some(HmacOptions {
                prefix: Some("v9=".to_owned()),
                algorithm: HmacAlgorithm::Sha512,
                encoding: SignatureEncoding::Base64,
                signed: "begin {timestamp}|{body} end".to_owned(),
                timestamp_header: Some("X-Sent-At".to_owned()),
                timestamp_unit: TimestampUnit::Milliseconds,
                ..HmacOptions::new("X-Custom")
            }),
            ..SchemeOptions::default()
        },
        path_and_query: "/".to_owned(),
        sender_secrets: ["first".to_owned(), "second".to_owned()],
    });
    fixtures
}

pub(crate) fn sender_secrets(provider: Provider) -> [String; 2] {
    match provider {
        Provider::StandardWebhooks => [1, 2].map(|byte| generate_secret([byte; 32])),
        Provider::Discord => ["11", "22"].map(|byte| byte.repeat(32)),
        Provider::Sendgrid => [p256_private(), p256_private()],
        _ => ["first secret", "second secret"].map(str::to_owned),
    }
}

fn p256_private() -> String {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).expect("key");
    data_encoding::BASE64.encode(document.as_ref())
}
