//! `spillway destinations`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use spillway_model::{DestinationUrl, Rate, Secret};

use super::Client;
use super::arguments::{Body, InvalidTime, Milliseconds, OrNone, one_secret, secret, secrets};
use super::error::ClientError;
use super::list::ListOptions;
use super::resource::Resource;
use super::table::Column;

const DESTINATIONS: Resource = Resource {
    path: "destinations",
    word: "destination",
    columns: &[
        Column::id("ID", "id"),
        Column::text("NAME", "name"),
        Column::state("STATE", "state"),
        Column::text("URL", "url"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::text("Name", "name"),
        Column::state("State", "state"),
        Column::text("URL", "url"),
        Column::text("Headers", "headers"),
        Column::milliseconds("Timeout", "timeout_ms"),
        Column::number("At once", "max_concurrent"),
        Column::text("Rate limit", "rate_limit"),
        Column::text("Breaker", "breaker"),
        Column::text("Budget", "budget"),
        Column::text("Retry after (ms)", "retry_schedule_ms"),
        Column::text("Signing secrets", "signing_secrets"),
        Column::time("Created", "created_at"),
        Column::id("Signing secret (shown once)", "signing_secret"),
    ],
    empty: "No destinations yet. Make one: spillway destinations create billing --to https://billing.example/hooks",
};

const BUDGET: Resource = Resource {
    path: "budgets",
    word: "budget",
    columns: &[
        Column::id("DESTINATION", "name"),
        Column::number("REQUESTS", "requests"),
        Column::number("OF", "requests_per_hour"),
        Column::number("COST", "cost"),
        Column::number("OF", "cost_per_hour"),
        Column::number("AT ONCE", "max_concurrent"),
        Column::time("WAITS UNTIL", "waiting_until"),
    ],
    details: &[
        Column::id("Destination", "name"),
        Column::time("Hour began", "hour_started_at"),
        Column::number("Requests", "requests"),
        Column::number("Requests per hour", "requests_per_hour"),
        Column::number("Cost", "cost"),
        Column::number("Cost per hour", "cost_per_hour"),
        Column::number("At once", "max_concurrent"),
        Column::time("Waits until", "waiting_until"),
    ],
    empty: "No destination has a budget. Give it one: spillway destinations update NAME --requests-per-hour 1000",
};

const BUDGET_EXAMPLES: &str = "\
Examples:
  spillway destinations budget
  spillway destinations budget ai
  spillway destinations update ai --requests-per-hour 1000 --cost-per-hour 50 --cost-per-request 0.03 --budget-concurrent 10
  spillway destinations update ai --cost-header x-request-cost
  spillway destinations update ai --no-budget

What is over its budget waits for the next hour, or for a place. None of it is lost.";

const CREATE_EXAMPLES: &str = "\
Examples:
  spillway destinations create billing --to https://billing.example/hooks
  spillway destinations create crm --to https://crm.example/in --rate-limit 10/s
  spillway destinations create erp --to https://erp.example/ --attempt-timeout 25s
  spillway destinations update crm --header 'authorization: env:CRM_TOKEN'

Without --signing-secret one is made, and printed once. env:NAME and file:PATH are read by the gateway, not here, and need a \
key with scope admin; with - the secret is read from standard input.";

#[derive(Debug, Subcommand)]
pub(crate) enum DestinationsCommand {
    /// Lists destinations, the oldest first
    List(ListOptions),
    /// Shows a destination; the texts of its secrets are never shown
    Get {
        /// Id or name
        destination: String,
    },
    /// Makes a destination and prints its signing secret, which is not shown again
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateDestination),
    /// Changes a destination; what is not given stays
    #[command(after_help = "Example:\n  spillway destinations update crm --max-concurrent 4 --rate-limit none")]
    Update(UpdateDestination),
    /// Deletes a destination and its connections; its pending deliveries are cancelled
    Delete {
        /// Id or name
        destination: String,
    },
    /// Holds its deliveries: they wait, none is lost
    Pause {
        /// Id or name
        destination: String,
    },
    /// Serves a paused destination again
    Resume {
        /// Id or name
        destination: String,
    },
    /// Serves a destination again, also one that answered 410 Gone
    Enable {
        /// Id or name
        destination: String,
    },
    /// Shows what destinations with a budget have cost this hour, and which of them wait for the next one
    #[command(after_help = BUDGET_EXAMPLES)]
    Budget {
        /// Id or name [default: all that have a budget]
        destination: Option<String>,
        #[command(flatten)]
        options: ListOptions,
    },
    /// Gives it a new signing secret; the old ones sign beside it for a time
    RotateSecret(RotateSecret),
}

#[derive(Debug, Args)]
pub(crate) struct CreateDestination {
    /// What to call it, unique
    name: String,
    /// URL that requests go to
    #[arg(long, value_name = "URL")]
    to: DestinationUrl,
    #[command(flatten)]
    settings: DestinationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateDestination {
    /// Id or name
    destination: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another URL for its requests
    #[arg(long, value_name = "URL")]
    to: Option<DestinationUrl>,
    /// Header to add no more; give it again for several
    #[arg(long = "remove-header", value_name = "NAME")]
    removed_headers: Vec<String>,
    #[command(flatten)]
    settings: DestinationOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RotateSecret {
    /// Id or name
    destination: String,
    /// How long the old secrets sign beside the new one, at most 720h; 0s drops them at once [default: 24h]
    #[arg(long, value_name = "TIME")]
    grace: Option<Milliseconds>,
    /// The new secret: whsec_… or whsk_…, env:NAME or file:PATH as the gateway reads them, or - for standard input [default: one
    /// is made]
    #[arg(long, value_parser = secret)]
    secret: Option<Secret>,
}

#[derive(Debug, Args)]
pub(crate) struct DestinationOptions {
    /// Secret that signs: whsec_… or whsk_…, env:NAME or file:PATH as the gateway reads them, or - for standard input; give it
    /// again for several, the current one first
    #[arg(long = "signing-secret", value_name = "SECRET", value_parser = secret)]
    signing_secrets: Vec<Secret>,
    /// Header to add to every request; give it again for several
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, Secret)>,
    /// Total time of one attempt, such as 25s, or none for the server's default
    #[arg(long, value_name = "TIME")]
    attempt_timeout: Option<OrNone<Milliseconds>>,
    /// Attempts under way at once, or none for the server's default
    #[arg(long, value_name = "N")]
    max_concurrent: Option<OrNone<u32>>,
    /// Attempts in a time, such as 100/s, or none
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<OrNone<Rate>>,
    /// Delays before each attempt, such as 0s,5s,5m,1h, or none for the server's default
    #[arg(long, value_name = "TIMES")]
    retry_schedule: Option<OrNone<Delays>>,
    /// Failures in a row that open the breaker; 0 never opens it
    #[arg(long, value_name = "N")]
    breaker_failures: Option<u32>,
    /// How old a row of failures may be, such as 30s
    #[arg(long, value_name = "TIME")]
    breaker_interval: Option<Milliseconds>,
    /// First rest of an open breaker, such as 30s
    #[arg(long, value_name = "TIME")]
    breaker_rest: Option<Milliseconds>,
    #[command(flatten)]
    budget: BudgetOptions,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetOptions {
    /// Requests in each clock hour, over all nodes, or none
    #[arg(long, value_name = "N")]
    requests_per_hour: Option<OrNone<u64>>,
    /// Cost in each clock hour, over all nodes, or none
    #[arg(long, value_name = "AMOUNT")]
    cost_per_hour: Option<OrNone<Amount>>,
    /// What a request costs, unless its answer says so, or none
    #[arg(long, value_name = "AMOUNT")]
    cost_per_request: Option<OrNone<Amount>>,
    /// Header of the answer that says what the request cost, or none
    #[arg(long, value_name = "NAME")]
    cost_header: Option<OrNone<String>>,
    /// Requests under way at once over all nodes, or none; --max-concurrent is for each node
    #[arg(long, value_name = "N")]
    budget_concurrent: Option<OrNone<u32>>,
    /// Take its budget away
    #[arg(long, conflicts_with_all = ["requests_per_hour", "cost_per_hour", "cost_per_request", "cost_header", "budget_concurrent"])]
    no_budget: bool,
}

impl BudgetOptions {
    fn add_to(self, body: &mut Body) {
        if self.no_budget {
            body.set("budget", Some(serde_json::Value::Null));
            return;
        }
        let mut budget = Body::default();
        budget
            .set("requests_per_hour", self.requests_per_hour)
            .set("cost_per_hour", self.cost_per_hour)
            .set("cost_per_request", self.cost_per_request)
            .set("cost_header", self.cost_header)
            .set("max_concurrent", self.budget_concurrent);
        body.set_object("budget", budget);
    }
}

/// An amount of money: a number that is finite.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Amount(f64);

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let amount = text.parse().ok().filter(|amount: &f64| amount.is_finite());
        amount.map(Self).ok_or("write an amount such as 50 or 0.03")
    }
}

/// Times with commas between them.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Delays(Vec<Milliseconds>);

impl FromStr for Delays {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        text.split(',').map(|delay| delay.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

fn header(text: &str) -> Result<(String, Secret), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE, such as 'authorization: env:TOKEN'")?;
    Ok((name.trim().to_ascii_lowercase(), Secret::new(value.trim())))
}

impl DestinationOptions {
    fn body(self, removed_headers: Vec<String>) -> Result<Body, ClientError> {
        let mut headers = Body::default();
        for name in removed_headers {
            headers.set(&name.to_ascii_lowercase(), Some(serde_json::Value::Null));
        }
        for (name, value) in self.headers {
            headers.set(&name, Some(value));
        }
        let mut breaker = Body::default();
        breaker
            .set("consecutive_failures", self.breaker_failures)
            .set("interval_ms", self.breaker_interval)
            .set("base_ejection_ms", self.breaker_rest);
        let mut body = Body::default();
        body.set_list("signing_secrets", &secrets(&self.signing_secrets)?)
            .set_object("headers", headers)
            .set("timeout_ms", self.attempt_timeout)
            .set("max_concurrent", self.max_concurrent)
            .set("rate_limit", self.rate_limit)
            .set("retry_schedule_ms", self.retry_schedule)
            .set_object("breaker", breaker);
        self.budget.add_to(&mut body);
        Ok(body)
    }
}

pub(crate) async fn run(command: DestinationsCommand, client: &mut Client) -> Result<(), ClientError> {
    let (destination, verb, body) = match command {
        DestinationsCommand::List(options) => return client.list(&DESTINATIONS, &options).await,
        DestinationsCommand::Get { destination } => return client.get(&DESTINATIONS, &destination).await,
        DestinationsCommand::Create(new) => {
            let mut body = new.settings.body(Vec::new())?;
            body.set("name", Some(new.name)).set("url", Some(new.to));
            return client.create(&DESTINATIONS, &body.into_value()).await;
        }
        DestinationsCommand::Update(change) => {
            let mut body = change.settings.body(change.removed_headers)?;
            body.set("name", change.name).set("url", change.to);
            return client.update(&DESTINATIONS, &change.destination, &body.into_patch()?).await;
        }
        DestinationsCommand::Delete { destination } => return client.delete(&DESTINATIONS, &destination).await,
        DestinationsCommand::Budget { destination: None, options } => return client.list(&BUDGET, &options).await,
        DestinationsCommand::Budget { destination: Some(destination), .. } => {
            let budget = client.api.get(&["destinations", &destination, "budget"]).await?;
            return client.output.entry(BUDGET.details, &budget);
        }
        DestinationsCommand::Pause { destination } => (destination, "pause", None),
        DestinationsCommand::Resume { destination } => (destination, "resume", None),
        DestinationsCommand::Enable { destination } => (destination, "enable", None),
        DestinationsCommand::RotateSecret(rotation) => {
            let mut body = Body::default();
            body.set("grace_seconds", rotation.grace.map(|grace| grace.duration().as_secs()))
                .set("secret", rotation.secret.as_ref().map(one_secret).transpose()?);
            (rotation.destination, "rotate-secret", Some(body.into_value()))
        }
    };
    client.change(&DESTINATIONS, Method::POST, &[&destination, verb], body.as_ref()).await
}
