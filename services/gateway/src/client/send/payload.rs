//! Bodies and headers in the form of each provider.

use serde_json::{Value, json};
use spillway_signature::{Provider, twilio_body_hash_query};

use crate::client::error::ClientError;

/// A webhook before it is signed.
#[derive(Debug)]
pub(crate) struct Payload {
    /// Headers that take no part in the signature.
    pub(crate) headers: Vec<(String, String)>,
    /// The query with its question mark; empty when there is none.
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

/// Where a provider says what kind of event it sends.
enum TypePlace {
    Header(&'static str),
    Body(&'static [&'static str]),
    Nowhere,
}

impl Payload {
    /// `data`, or else a small body of the provider's form, with this kind of event and delivery id where the provider has them.
    /// Of `data` only the kind is changed, and only when one is given.
    pub(crate) fn new(
        provider: Provider,
        id: &str,
        event_type: Option<&str>,
        data: Option<&[u8]>,
    ) -> Result<Self, ClientError> {
        let (place, usual_type) = type_of(provider);
        let mut headers = Vec::new();
        let mut body = match data {
            Some(data) => data.to_vec(),
            None => sample(provider, id, &place, usual_type),
        };
        match (place, event_type) {
            (TypePlace::Header(name), _) => {
                headers.push((name.to_owned(), event_type.unwrap_or(usual_type).to_owned()));
            }
            (TypePlace::Body(path), Some(event_type)) => body = with_type(&body, path, event_type)?,
            (TypePlace::Body(_) | TypePlace::Nowhere, None) => {}
            (TypePlace::Nowhere, Some(_)) => {
                return Err(ClientError::Usage(format!(
                    "the provider {provider} has no kinds of events: leave out --type"
                )));
            }
        }
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let content_type = match provider {
            _ if is_json => "application/json",
            Provider::Twilio => "application/x-www-form-urlencoded",
            _ => "application/octet-stream",
        };
        headers.push(("content-type".to_owned(), content_type.to_owned()));
        let signs_hash = provider == Provider::Twilio && is_json;
        let query = if signs_hash { format!("?{}", twilio_body_hash_query(&body)) } else { String::new() };
        Ok(Self { headers, query, body })
    }
}

/// Where the kind of event is, and one that the provider really sends.
fn type_of(provider: Provider) -> (TypePlace, &'static str) {
    match provider {
        Provider::Github => (TypePlace::Header("x-github-event"), "ping"),
        Provider::Gitlab => (TypePlace::Header("x-gitlab-event"), "Push Hook"),
        Provider::Shopify => (TypePlace::Header("x-shopify-topic"), "orders/create"),
        Provider::Woocommerce => (TypePlace::Header("x-wc-webhook-topic"), "order.created"),
        Provider::StandardWebhooks => (TypePlace::Body(&["type"]), "spillway.test"),
        Provider::Stripe => (TypePlace::Body(&["type"]), "charge.succeeded"),
        Provider::Vercel => (TypePlace::Body(&["type"]), "deployment.succeeded"),
        Provider::Elevenlabs => (TypePlace::Body(&["type"]), "post_call_transcription"),
        Provider::Slack => (TypePlace::Body(&["event", "type"]), "app_mention"),
        Provider::Discord => (TypePlace::Body(&["event", "type"]), "APPLICATION_AUTHORIZED"),
        Provider::Paddle => (TypePlace::Body(&["event_type"]), "transaction.completed"),
        Provider::Webflow => (TypePlace::Body(&["triggerType"]), "form_submission"),
        Provider::Twilio
        | Provider::Sendgrid
        | Provider::Hmac
        | Provider::Basic
        | Provider::Bearer
        | Provider::ApiKey
        | Provider::None => (TypePlace::Nowhere, ""),
    }
}

fn sample(provider: Provider, id: &str, place: &TypePlace, usual_type: &str) -> Vec<u8> {
    const TEXT: &str = "A test by spillway send";
    let mut body = match provider {
        Provider::Twilio => return format!("MessageSid={id}&From=%2B15550100&To=%2B15550101&Body=Test").into_bytes(),
        Provider::Sendgrid => {
            json!([{ "email": "test@example.com", "event": "processed", "sg_event_id": id, "category": TEXT }])
        }
        Provider::Slack => json!({ "type": "event_callback", "event_id": id, "event": { "text": TEXT } }),
        Provider::Discord => json!({ "version": 1, "type": 1, "id": id, "event": { "data": { "text": TEXT } } }),
        Provider::Paddle => json!({ "event_id": id, "data": { "text": TEXT } }),
        Provider::Github => json!({ "zen": TEXT, "hook_id": 1, "repository": { "full_name": "example/test" } }),
        _ => json!({ "id": id, "data": { "text": TEXT } }),
    };
    if let TypePlace::Body(path) = place {
        set(&mut body, path, usual_type);
    }
    body.to_string().into_bytes()
}

fn with_type(body: &[u8], path: &[&str], event_type: &str) -> Result<Vec<u8>, ClientError> {
    let mut value = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object).ok_or_else(|| {
        ClientError::Usage("--type is a part of the body, so --data must be a JSON object".to_owned())
    })?;
    set(&mut value, path, event_type);
    Ok(value.to_string().into_bytes())
}

/// Sets the string at `path`, making the objects on the way where there are none.
fn set(value: &mut Value, path: &[&str], text: &str) {
    let Some((name, rest)) = path.split_first() else {
        *value = Value::from(text);
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    set(&mut value[*name], rest, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use spillway_signature::{Outgoing, Request, SchemeOptions, Verifier, sign_as, verification_secret};

    const NOW: i64 = 1_700_000_000_000;

    /// Secrets of each provider's form.
    fn secret(provider: Provider) -> String {
        match provider {
            Provider::StandardWebhooks => spillway_signature::generate_secret([7; 32]),
            Provider::Discord => "11".repeat(32),
            Provider::Basic => "user:password".to_owned(),
            Provider::None => String::new(),
            _ => "a secret of some length".to_owned(),
        }
    }

    fn options(provider: Provider) -> SchemeOptions {
        let mut options = SchemeOptions::default();
        match provider {
            Provider::Twilio => options.public_url = Some("https://hooks.example/in/sms".to_owned()),
            Provider::Hmac => options.hmac = Some(spillway_signature::HmacOptions::new("x-signature")),
            _ => {}
        }
        options
    }

    #[test]
    fn every_provider_accepts_the_sample_as_an_event_of_the_wanted_kind() {
        for provider in Provider::ALL.into_iter().filter(|provider| *provider != Provider::Sendgrid) {
            let has_type = !matches!(type_of(provider).0, TypePlace::Nowhere);
            let payload = Payload::new(provider, "test_1", has_type.then_some("wanted"), None).expect("a payload");
            let (secret, options) = (secret(provider), options(provider));
            let path = format!("/in/sms{}", payload.query);
            let outgoing = Outgoing { id: "test_1", body: &payload.body, path_and_query: &path, now_unix_ms: NOW };
            let mut headers = sign_as(provider, &secret, &options, &outgoing).expect("a signature");
            headers.extend(payload.headers.clone());
            let request = Request { headers: &headers, body: &payload.body, path_and_query: &path, now_unix_ms: NOW };
            let secrets = if provider == Provider::None {
                Vec::new()
            } else {
                vec![verification_secret(provider, &secret).expect("a secret")]
            };
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let verifier = Verifier::new(provider, &secrets, &options).expect("a verifier");
            let proof = verifier.verify(&request).unwrap_or_else(|error| panic!("{provider}: {error}"));
            assert_eq!(verifier.handshake(&proof, &request), None, "{provider}");
            let kind = verifier.event_type(&request).map(|kind| kind.into_owned());
            assert_eq!(kind.as_deref(), has_type.then_some("wanted"), "{provider}");
        }
    }

    #[test]
    fn data_stays_as_it_is_unless_a_kind_is_given() {
        let data = br#"{ "b": 1,  "a": 2 }"#;
        let unchanged = Payload::new(Provider::Stripe, "test_1", None, Some(data)).expect("a payload");
        assert_eq!(unchanged.body, data);
        let typed = Payload::new(Provider::Stripe, "test_1", Some("x"), Some(data)).expect("a payload");
        assert_eq!(serde_json::from_slice::<Value>(&typed.body).expect("JSON"), json!({"a": 2, "b": 1, "type": "x"}));
        for (provider, data) in [(Provider::Stripe, &b"text"[..]), (Provider::Hmac, b"{}")] {
            assert!(Payload::new(provider, "test_1", Some("x"), Some(data)).is_err(), "{provider}");
        }
    }
}
