//! The options that every client command takes.

use std::time::Duration;

use clap::{Args, ValueEnum};
use spillway_model::Secret;
use spillway_settings::{Environment, HttpUrl, resolve_secret};

use super::arguments::{Milliseconds, secret};
use super::error::ClientError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct ClientOptions {
    /// Where the gateway is. For https with a private authority, name its certificate in SSL_CERT_FILE
    #[arg(long, global = true, env = "SPILLWAY_URL", default_value = "http://127.0.0.1:8080", value_parser = gateway_url)]
    url: HttpUrl,
    /// Key of the API: its text, env:NAME or file:PATH
    #[arg(long, global = true, env = "SPILLWAY_API_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    api_key: Option<Secret>,
    /// Longest time to wait for an answer, such as 5s or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "30s")]
    timeout: Milliseconds,
    /// How to print: a table for people, with times relative to now, or JSON as the API answers
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    output: OutputFormat,
}

/// How results are printed: `table` or `json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Table,
    Json,
}

impl ClientOptions {
    pub(crate) fn url(&self) -> &HttpUrl {
        &self.url
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    pub(crate) fn output(&self) -> OutputFormat {
        self.output
    }

    /// The key itself; `None` when none is given, or an empty one.
    pub(crate) fn api_key(&self) -> Result<Option<Secret>, ClientError> {
        let Some(given) = self.api_key.as_ref().filter(|key| !key.expose().is_empty()) else { return Ok(None) };
        match resolve_secret(given, &Environment::of_process()) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(ClientError::Key(Box::new(error))),
        }
    }
}

fn gateway_url(text: &str) -> Result<HttpUrl, String> {
    text.parse().map_err(|_| "write http://HOST[:PORT] or https://HOST[:PORT], without user and password".to_owned())
}
