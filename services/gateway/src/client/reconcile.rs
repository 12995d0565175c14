//! `spillway reconcile`: asks senders that keep what they sent for what never arrived.

mod github;
mod missing;

use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use spillway_model::{Clock as _, Secret, SystemClock};
use spillway_settings::{Environment, HttpUrl};

use super::arguments::Milliseconds;
use super::error::ClientError;
use super::options::ClientOptions;
use super::output::{ListOutput, Output};
use super::table::Column;
use github::{Asked, GitHub, Hook};
use missing::{Missing, missing};

const EXAMPLES: &str = "\
Examples:
  spillway reconcile github --repo acme/shop --hook 12345678 --dry-run
  spillway reconcile github --org acme --hook 87654321 --since 6h

GitHub keeps deliveries for three days. The token needs the right to write repository hooks (admin:repo_hook), or organization hooks \
(admin:org_hook). What is sent again arrives as a new request with the same GUID; an event that came after all is a duplicate and is not \
delivered twice.";

const COLUMNS: [Column; 5] = [
    Column::id("GUID", "guid"),
    Column::text("EVENT", "event"),
    Column::text("LAST ANSWER", "last"),
    Column::time("SENT", "delivered_at"),
    Column::state("RESULT", "result"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileCommand {
    /// Asks GitHub to send again what failed and never succeeded since
    #[command(after_help = EXAMPLES)]
    Github(GithubArguments),
}

#[derive(Debug, Args)]
pub(crate) struct GithubArguments {
    /// Repository of the hook
    #[arg(long, value_name = "OWNER/NAME", required_unless_present = "org", conflicts_with = "org")]
    repo: Option<String>,
    /// Organization of the hook
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// Number of the hook: the end of its settings page's address
    #[arg(long, value_name = "ID")]
    hook: u64,
    /// Environment variable that holds the token
    #[arg(long, value_name = "NAME", default_value = "GITHUB_TOKEN")]
    token_env: String,
    /// The REST API; for GitHub Enterprise https://HOST/api/v3
    #[arg(long, value_name = "URL", default_value = "https://api.github.com", value_parser = api_url)]
    api_url: HttpUrl,
    /// How far to look back, such as 6h
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: Milliseconds,
    /// Most deliveries to ask for
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    limit: u64,
    /// Only show what would be asked for
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(command: ReconcileCommand, options: &ClientOptions) -> Result<(), ClientError> {
    let ReconcileCommand::Github(arguments) = command;
    let output = Output::of_process(options.output());
    let github = GitHub::new(arguments.api_url.clone(), hook(&arguments)?, token(&arguments)?, options.timeout())?;
    let back = i64::try_from(arguments.since.duration().as_millis()).unwrap_or(i64::MAX);
    let since = SystemClock.now().saturating_sub(back);
    let listed = github.deliveries(since).await?;
    let mut wanted = missing(&listed.deliveries);
    let n_missing = wanted.len();
    wanted.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));

    let mut list = ListOutput::default();
    let (mut n_asked, mut n_refused) = (0, 0);
    for one in &wanted {
        let asked = if arguments.dry_run { None } else { Some(github.ask(one.id).await?) };
        match &asked {
            Some(Asked::Yes) => n_asked += 1,
            Some(Asked::Refused(_)) => n_refused += 1,
            None => {}
        }
        output.page(&COLUMNS, &[row(one, asked.as_ref())], |_| {}, &mut list)?;
    }
    output.end(&list, "Nothing is missing: every delivery succeeded in the end.")?;
    if n_missing > wanted.len() {
        output.hint(&format!("{} more are missing: call again, or raise --limit.", n_missing - wanted.len()));
    }
    if !listed.is_complete {
        output.hint("GitHub has more deliveries than were looked at: call again with a shorter --since.");
    }
    if n_refused > 0 {
        let text = format!("GitHub refused {n_refused} of {} redeliveries, and took {n_asked}", n_asked + n_refused);
        return Err(ClientError::Unreachable { reason: text, source: None });
    }
    Ok(())
}

fn row(one: &Missing, asked: Option<&Asked>) -> Box<RawValue> {
    let (result, reason) = match asked {
        None => ("would ask", None),
        Some(Asked::Yes) => ("asked", None),
        Some(Asked::Refused(reason)) => ("refused", Some(reason.as_str())),
    };
    let row = serde_json::json!({
        "guid": one.guid, "id": one.id, "event": one.event, "last": one.last, "attempts": one.attempts,
        "delivered_at": one.delivered_at, "result": result, "reason": reason,
    });
    serde_json::value::to_raw_value(&row).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn hook(arguments: &GithubArguments) -> Result<Hook, ClientError> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() <= 100
            && !text.starts_with('.')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match (&arguments.repo, &arguments.org) {
        (Some(repo), _) => match repo.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {
                Ok(Hook(format!("/repos/{owner}/{name}/hooks/{}", arguments.hook)))
            }
            _ => Err(ClientError::Usage("--repo has the form OWNER/NAME, such as acme/shop".to_owned())),
        },
        (None, Some(org)) if is_name(org) => Ok(Hook(format!("/orgs/{org}/hooks/{}", arguments.hook))),
        _ => Err(ClientError::Usage("--org is the name of an organization, such as acme".to_owned())),
    }
}

fn token(arguments: &GithubArguments) -> Result<Secret, ClientError> {
    let name = &arguments.token_env;
    match Environment::of_process().get(name).filter(|token| !token.is_empty()) {
        Some(token) => Ok(Secret::new(token.to_owned())),
        None => Err(ClientError::Usage(format!(
            "the environment variable {name} holds no token: set it, or name another one with --token-env"
        ))),
    }
}

/// A URL that a token may be sent to: with TLS, or on this machine.
fn api_url(text: &str) -> Result<HttpUrl, String> {
    let url: HttpUrl = text.parse().map_err(|_| "write https://HOST[/PATH], without user and password".to_owned())?;
    let host = url.as_str().strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    match host {
        None | Some("127.0.0.1" | "localhost") => Ok(url),
        Some(_) => Err("the token would be readable on its way: use https".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_out_only_where_nobody_reads_it() {
        for url in
            ["https://api.github.com", "https://git.example.com/api/v3", "http://127.0.0.1:9", "http://localhost"]
        {
            assert!(api_url(url).is_ok(), "{url}");
        }
        for url in ["http://api.github.com", "http://127.0.0.1.example.com", "ftp://x", "https://u:p@x"] {
            assert!(api_url(url).is_err(), "{url}");
        }
    }
}
