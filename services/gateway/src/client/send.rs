//! `spillway send`: a webhook as its provider would send it, to see that everything is set up right.

mod payload;

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde::{Deserialize, Serialize};
use spillway_model::{Clock as _, Secret, SystemClock};
use spillway_settings::{Environment, resolve_secret};
use spillway_signature::{Outgoing, Provider, SchemeOptions, sign_as};

use super::Client;
use super::api::segment;
use super::arguments::{bytes, one_secret, secret};
use super::error::ClientError;
use payload::Payload;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway send github --secret-env GITHUB_SECRET
  spillway send github --secret-env GITHUB_SECRET --type push --data @push.json
  spillway send shop --provider stripe --secret file:stripe.secret --count 100

With an API key the gateway is asked for the provider and the options of its scheme; without one, --provider names it. The \
secret is the one that the sender holds: for Discord and SendGrid that is a private key. With --output json each webhook is \
one line.";

#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// Name of the source, or its id with an API key
    source: String,
    /// Whose webhook to send [default: the source's provider, with an API key]
    #[arg(long)]
    provider: Option<Provider>,
    /// Secret to sign with: its text, env:NAME or file:PATH as they are read here, or - for standard input
    #[arg(long, value_parser = secret)]
    secret: Option<Secret>,
    /// Environment variable that holds the secret
    #[arg(long, value_name = "NAME", conflicts_with = "secret")]
    secret_env: Option<String>,
    /// What kind of event it is, where the provider has kinds, such as push
    #[arg(long)]
    r#type: Option<String>,
    /// The body: its text, @FILE, or - for standard input [default: a small one of the provider's form]
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// The delivery's id, to see what a duplicate does [default: a new one for each]
    #[arg(long)]
    id: Option<String>,
    /// How many to send, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
}

/// What the sender of a source's webhooks knows.
struct Sender {
    source: String,
    provider: Provider,
    options: SchemeOptions,
    secret: Secret,
}

/// The source as far as a sender has to know it.
#[derive(Deserialize)]
struct SourceView {
    name: String,
    provider: Provider,
    scheme: SchemeOptions,
    secrets: Vec<SecretView>,
}

#[derive(Deserialize)]
struct SecretView {
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Acknowledgement {
    id: String,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Serialize)]
struct Sent {
    status: u16,
    /// `None` for a handshake, which is answered and not kept.
    id: Option<String>,
    duplicate: bool,
    duration_ms: f64,
}

pub(crate) async fn run(arguments: SendArguments, client: &mut Client) -> Result<(), ClientError> {
    let data = arguments.data.as_deref().map(bytes).transpose()?;
    let sender = Sender::find(&arguments, client).await?;
    let mut durations = Vec::new();
    for _ in 0..arguments.count {
        let id = arguments.id.clone().unwrap_or_else(|| format!("test_{:032x}", rand::random::<u128>()));
        let payload = Payload::new(sender.provider, &id, arguments.r#type.as_deref(), data.as_deref())?;
        durations.push(sender.send(&id, payload, client).await?);
    }
    if arguments.count > 1 {
        client.output.line(&summary(&mut durations))?;
    }
    Ok(())
}

impl Sender {
    async fn find(arguments: &SendArguments, client: &Client) -> Result<Self, ClientError> {
        let mut sender = Self {
            source: arguments.source.clone(),
            provider: arguments.provider.unwrap_or(Provider::None),
            options: SchemeOptions::default(),
            secret: Secret::new(""),
        };
        let mut reference = None;
        if client.api.has_key() {
            let source = client.api.get_value(&["sources", &arguments.source]).await?;
            let source: SourceView = serde_json::from_value(source).map_err(|error| {
                ClientError::Usage(format!("the source's scheme is not known to this version: {error}"))
            })?;
            sender.source = source.name;
            reference = source.secrets.into_iter().find_map(|secret| secret.reference);
            if arguments.provider.is_none_or(|provider| provider == source.provider) {
                sender.provider = source.provider;
                sender.options = source.scheme;
            }
        } else if arguments.provider.is_none() {
            return Err(ClientError::Usage(
                "which provider's webhook? Give --provider, or an API key (SPILLWAY_API_KEY or --api-key) so that the \
                 gateway can be asked"
                    .to_owned(),
            ));
        }
        sender.secret = match given_secret(arguments)? {
            Some(secret) => secret,
            None if sender.provider == Provider::None => Secret::new(""),
            None => return Err(no_secret(&sender, reference.as_deref())),
        };
        Ok(sender)
    }

    async fn send(&self, id: &str, payload: Payload, client: &Client) -> Result<Duration, ClientError> {
        let path_and_query = format!("/in/{}{}", segment(&self.source), payload.query);
        let outgoing =
            Outgoing { id, body: &payload.body, path_and_query: &path_and_query, now_unix_ms: SystemClock.now() };
        let mut headers = sign_as(self.provider, self.secret.expose(), &self.options, &outgoing)
            .map_err(|error| ClientError::Usage(format!("the webhook cannot be signed: {error}")))?;
        headers.extend(payload.headers);
        let (answer, duration) = client.api.webhook(&path_and_query, &headers, Bytes::from(payload.body)).await?;
        let acknowledgement = serde_json::from_slice::<Acknowledgement>(&answer.body).ok();
        let sent = Sent {
            status: answer.status().as_u16(),
            duplicate: acknowledgement.as_ref().is_some_and(|acknowledgement| acknowledgement.duplicate),
            id: acknowledgement.map(|acknowledgement| acknowledgement.id),
            duration_ms: (duration.as_secs_f64() * 1e6).round() / 1e3,
        };
        client.output.json_line(&sent)?;
        let what = match &sent.id {
            Some(id) if sent.duplicate => format!("{id} (stored before)"),
            Some(id) => id.clone(),
            None => "answered, not stored".to_owned(),
        };
        client.output.line(&format!("{}  {what}  {:.1} ms", answer.status(), sent.duration_ms))?;
        Ok(duration)
    }
}

fn given_secret(arguments: &SendArguments) -> Result<Option<Secret>, ClientError> {
    let given = match (&arguments.secret, &arguments.secret_env) {
        (Some(secret), _) => one_secret(secret)?,
        (None, Some(name)) => Secret::new(format!("env:{name}")),
        (None, None) => return Ok(None),
    };
    resolve_secret(&given, &Environment::of_process()).map(Some).map_err(|error| ClientError::Usage(error.to_string()))
}

fn no_secret(sender: &Sender, reference: Option<&str>) -> ClientError {
    let hint = match reference.map(|reference| (reference, reference.strip_prefix("env:"))) {
        Some((_, Some(name))) => format!("; the gateway reads it from the variable {name}, so try --secret-env {name}"),
        Some((reference, None)) => format!("; the gateway reads it from {reference}, so try --secret {reference}"),
        None => String::new(),
    };
    ClientError::Usage(format!(
        "a webhook of the provider {} is signed with the source's secret, which the gateway never shows: give it with \
         --secret-env NAME, or with --secret as file:PATH, env:NAME or text{hint}",
        sender.provider
    ))
}

fn summary(durations: &mut [Duration]) -> String {
    durations.sort_unstable();
    let percentile = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).saturating_sub(1);
        durations.get(rank).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
    };
    format!("{} sent; answered in p50 {:.1} ms, p99 {:.1} ms", durations.len(), percentile(50), percentile(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_the_nearest_rank() {
        let mut durations: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(summary(&mut durations), "100 sent; answered in p50 50.0 ms, p99 99.0 ms");
        assert_eq!(summary(&mut [Duration::from_millis(3)]), "1 sent; answered in p50 3.0 ms, p99 3.0 ms");
    }
}
