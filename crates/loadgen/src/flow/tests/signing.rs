use spillway_model::{Clock, SystemClock};
use spillway_signature::{
    HmacOptions, Provider, Request, SchemeOptions, Verifier, generate_ed25519_secret, generate_secret,
    verification_secret,
};

use super::*;

#[tokio::test]
async fn what_is_sent_verifies_as_the_providers_own() {
    let server = Server::start().await;
    let secret = |provider| match provider {
        Provider::StandardWebhooks => generate_secret([7; 32]),
        Provider::Discord => "11".repeat(32),
        _ => "a secret of some length".to_owned(),
    };
    let none = SchemeOptions::default;
    let public_url = Some(server.url.as_str().trim_end_matches('/').to_owned());
    let hmac = HmacOptions {
        signed: "{timestamp}.{body}".to_owned(),
        timestamp_header: Some("x-sent-at".to_owned()),
        ..HmacOptions::new("x-signature")
    };
    let json = "json = { id = \"evt_{{sequence}}\", vu = \"{{vu}}\" }";
    let cases = [
        (Provider::Github, "", json, none()),
        (Provider::Stripe, "", json, none()),
        (Provider::Slack, "", json, none()),
        (Provider::Shopify, "", json, none()),
        (Provider::Discord, "", json, none()),
        (Provider::StandardWebhooks, "", json, none()),
        (Provider::Paddle, "", "text = \"x\"", none()),
        (Provider::Gitlab, "", "", none()),
        (Provider::Bearer, "", "", none()),
        (Provider::Basic, ", username = \"ada\"", json, SchemeOptions { username: Some("ada".to_owned()), ..none() }),
        (Provider::Twilio, "", json, SchemeOptions { public_url: public_url.clone(), ..none() }),
        (
            Provider::Twilio,
            "",
            "form = { From = \"+15550100\", Body = \"a b\" }",
            SchemeOptions { public_url, ..none() },
        ),
        (
            Provider::Hmac,
            ", hmac = { header = \"x-signature\", signed = \"{timestamp}.{body}\", timestamp_header = \"x-sent-at\" }",
            json,
            SchemeOptions { hmac: Some(hmac), ..none() },
        ),
    ];
    for (provider, more, body, options) in cases {
        let text = format!(
            "sign = {{ provider = \"{provider}\", secret = \"{}\"{more} }}\n[[requests]]\npath = \"/in/x?a=1\"\n{body}",
            secret(provider)
        );
        let mut runner = Runner::on(&server, &text);
        runner.iterate(2).await.unwrap();
        let verifier =
            Verifier::new(provider, &[verification_secret(provider, &secret(provider)).unwrap()], &options).unwrap();
        for seen in server.seen().iter().rev().take(2) {
            let request = Request {
                headers: &seen.headers,
                body: &seen.body,
                path_and_query: &seen.path,
                now_unix_ms: SystemClock.now(),
            };
            verifier.verify(&request).unwrap_or_else(|error| panic!("{provider} with {body}: {error}: {seen:?}"));
        }
    }
}

#[tokio::test]
async fn a_request_has_the_last_word_on_its_id_its_headers_and_its_provider() {
    let server = Server::start().await;
    let text = format!(
        r#"
        sign = {{ provider = "standard-webhooks", secret = "{}" }}
        [[requests]]
        path = "/own-id"
        headers = {{ webhook-id = "order-{{{{vu}}}}" }}
        [[requests]]
        path = "/forged"
        headers = {{ webhook-signature = "v1,forged" }}
        [[requests]]
        path = "/unsigned"
        sign = {{ provider = "none" }}
        "#,
        generate_secret([3; 32])
    );
    let mut runner = Runner::on(&server, &text);
    runner.iterate(1).await.unwrap();
    let [own_id, forged, unsigned] = server.seen().try_into().unwrap();
    assert_eq!(own_id.header("webhook-id"), "order-7");
    let verifier =
        Verifier::new(Provider::StandardWebhooks, &[generate_secret([3; 32])], &SchemeOptions::default()).unwrap();
    let verify = |seen: &server::Seen| {
        let (headers, body, path_and_query) = (&seen.headers, &*seen.body, seen.path.as_str());
        verifier.verify(&Request { headers, body, path_and_query, now_unix_ms: SystemClock.now() }).is_ok()
    };
    assert!(verify(&own_id), "the signature is over the id that was sent");
    assert_eq!(forged.header("webhook-signature"), "v1,forged");
    assert!(!verify(&forged));
    assert_eq!(unsigned.header("webhook-signature"), "");
}

#[tokio::test]
async fn private_keys_sign_too() {
    let server = Server::start().await;
    let secret = generate_ed25519_secret([9; 32]).unwrap();
    let text = format!(
        "sign = {{ provider = \"standard-webhooks\", secret = \"{secret}\" }}\n[[requests]]\npath = \"/a\"\ntext = \"x\""
    );
    Runner::on(&server, &text).iterate(1).await.unwrap();
    let public = verification_secret(Provider::StandardWebhooks, &secret).unwrap();
    let verifier = Verifier::new(Provider::StandardWebhooks, &[public], &SchemeOptions::default()).unwrap();
    let seen = &server.seen()[0];
    let (headers, body, path_and_query) = (&seen.headers, &*seen.body, seen.path.as_str());
    assert!(verifier.verify(&Request { headers, body, path_and_query, now_unix_ms: SystemClock.now() }).is_ok());
}
