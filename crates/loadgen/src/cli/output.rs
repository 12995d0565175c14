//! Where a result is written.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use url::Url;

use super::Failure;
use crate::publish::{Gateway, PublishError, Secret};
use crate::results::{self, RunSummary};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct ResultArgs {
    /// Write a result: json, html, csv, ndjson, junit or markdown (which is appended to); or tell a Spillway gateway of it, as
    /// gateway=URL. May be repeated
    #[arg(long = "out", value_name = "KIND=FILE")]
    out: Vec<OutFile>,
    /// Write the end of test summary in k6's shape
    #[arg(long, value_name = "FILE")]
    summary_export: Option<PathBuf>,
    /// The JSON result of an earlier run to compare with
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Where the target runs, for the SLO file's overrides and for those who are told
    #[arg(long, env = "ENVIRONMENT", value_name = "NAME")]
    environment: Option<String>,
    /// Key of the API of the gateways that are told, with scope write
    #[arg(long, env = "SPILLWAY_API_KEY", hide_env_values = true, value_name = "KEY")]
    gateway_key: Option<Secret>,
}

impl ResultArgs {
    pub(super) fn environment(&self) -> Option<&str> {
        self.environment.as_deref().filter(|name| !name.is_empty())
    }

    /// Reads the baseline, before anything runs.
    pub(super) fn baseline(&self) -> Result<Option<RunSummary>, Failure> {
        self.baseline.as_deref().map(|path| results::read(path).map_err(Failure::configuration)).transpose()
    }

    /// The report that people would open.
    pub(super) fn report(&self) -> Option<String> {
        self.out.iter().find(|out| out.kind == Kind::Html).map(|out| out.path.display().to_string())
    }

    /// The gateways to tell, before anything runs.
    pub(super) fn gateways(&self) -> Result<Vec<Gateway>, Failure> {
        let urls = self.out.iter().filter(|out| out.kind == Kind::Gateway).map(|out| {
            let url = out.path.to_str().and_then(|url| Url::parse(url).ok()).ok_or(PublishError::Gateway)?;
            Gateway::new(&url, self.gateway_key.as_ref())
        });
        urls.collect::<Result<_, _>>().map_err(Failure::configuration)
    }

    /// Writes the files of a result that was read.
    pub(super) fn write_again(&self, summary: &RunSummary, baseline: Option<&RunSummary>) -> Result<(), Failure> {
        if self.out.iter().any(|out| out.kind == Kind::Gateway) {
            return Err(Failure::configuration(
                "a gateway is told of a run at its end: give --out gateway=URL to `run`",
            ));
        }
        self.write(summary, baseline)
    }

    pub(super) fn write(&self, summary: &RunSummary, baseline: Option<&RunSummary>) -> Result<(), Failure> {
        for OutFile { kind, path } in &self.out {
            let text = match kind {
                Kind::Html => results::html(summary, baseline),
                Kind::Csv => results::csv(summary),
                Kind::Ndjson => results::ndjson(summary),
                Kind::Junit => results::junit(summary),
                Kind::Json => summary.to_json(),
                Kind::Gateway => continue,
                Kind::Markdown => {
                    results::append_markdown(path, summary).map_err(|error| unwritten(path, &error))?;
                    continue;
                }
            };
            std::fs::write(path, text).map_err(|error| unwritten(path, &error))?;
        }
        if let Some(path) = &self.summary_export {
            std::fs::write(path, results::k6_summary(summary)).map_err(|error| unwritten(path, &error))?;
        }
        Ok(())
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(format!("cannot write {}: {error}", path.display()))
}

/// Where `--out KIND=FILE` writes a result.
#[derive(Debug, Clone)]
struct OutFile {
    kind: Kind,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Html,
    Csv,
    Ndjson,
    Junit,
    Markdown,
    Gateway,
}

const KINDS: [(&str, Kind); 7] = [
    ("json", Kind::Json),
    ("html", Kind::Html),
    ("csv", Kind::Csv),
    ("ndjson", Kind::Ndjson),
    ("junit", Kind::Junit),
    ("markdown", Kind::Markdown),
    ("gateway", Kind::Gateway),
];

impl FromStr for OutFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = text.split_once('=').ok_or("write KIND=FILE, such as html=report.html")?;
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let (_, kind) =
            known.ok_or_else(|| format!("the kind is one of {}", KINDS.map(|(name, _)| name).join(", ")))?;
        Ok(Self { kind: *kind, path: path.into() })
    }
}
