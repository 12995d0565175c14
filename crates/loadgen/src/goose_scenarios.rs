//! Load on a gateway as Goose scenarios, written in Rust.
//!
//! Goose runs them itself with its reports and its controller (`spillway-loadgen goose NAME`), or an executor of ours drives them unchanged
//! (`exec = "goose:NAME"` in an options file).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goose::goose::{
    GooseMethod, GooseRequest, GooseUser, Scenario, Transaction, TransactionError, TransactionFunction,
    TransactionResult,
};
use spillway_model::{Clock as _, SystemClock};
use spillway_signature::{Outgoing, Provider, SchemeOptions, sign_as};

/// What `exec` begins with when it names one of [`SCENARIOS`].
pub const PREFIX: &str = "goose:";

/// A scenario that comes with the program.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name, such as `webhooks`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    make: fn(&Access) -> Result<Scenario, String>,
}

/// All that come with the program.
pub const SCENARIOS: &[BuiltIn] = &[
    BuiltIn {
        name: "webhooks",
        about: "signed GitHub pushes to /in/github, each a new event; needs SPILLWAY_LOAD_SECRET",
        make: webhooks,
    },
    BuiltIn {
        name: "api",
        about: "lists of events, deliveries and destinations, as a console asks for them; needs SPILLWAY_API_KEY",
        make: api,
    },
    BuiltIn { name: "health", about: "/health, /readyz and /healthz, as load balancers ask for them", make: health },
];

/// What scenarios need to be let in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Secret of the source `github`.
    pub webhook_secret: Option<String>,
    /// Key of the management API.
    pub api_key: Option<String>,
}

impl BuiltIn {
    /// The scenario of this name, with or without [`PREFIX`].
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        SCENARIOS.iter().find(|one| one.name == name)
    }

    /// The scenario itself.
    ///
    /// # Errors
    /// When `access` lacks what it needs; the text says which.
    pub fn scenario(&self, access: &Access) -> Result<Scenario, String> {
        (self.make)(access)
    }
}

fn webhooks(access: &Access) -> Result<Scenario, String> {
    let secret = needed(
        access.webhook_secret.as_deref(),
        "webhooks",
        "SPILLWAY_LOAD_SECRET",
        "the secret of the source `github`",
    )?;
    let numbers = Arc::new(AtomicU64::new(0));
    // One number for each run keeps the events of two runs apart.
    let run: u64 = rand::random();
    let push: TransactionFunction = Arc::new(move |user| {
        let (secret, numbers) = (secret.clone(), numbers.clone());
        Box::pin(async move {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            push(user, &secret, &format!("{run:016x}-{number}")).await
        })
    });
    Ok(Scenario::new("webhooks").register_transaction(Transaction::new(push).set_name("push")))
}

async fn push(user: &mut GooseUser, secret: &str, id: &str) -> TransactionResult {
    const PATH: &str = "/in/github";
    let body = format!(
        "{{\"ref\":\"refs/heads/main\",\"after\":\"{id}\",\"repository\":{{\"full_name\":\"example/load\"}},\"padding\":\"{}\"}}",
        "0123456789abcdef".repeat(56)
    );
    let outgoing = Outgoing { id, body: body.as_bytes(), path_and_query: PATH, now_unix_ms: SystemClock.now() };
    let headers = sign_as(Provider::Github, secret, &SchemeOptions::default(), &outgoing)
        .map_err(|error| Box::new(TransactionError::Custom(error.to_string())))?;
    let mut request = user.get_request_builder(&GooseMethod::Post, PATH)?;
    request = request.header("content-type", "application/json").header("x-github-event", "push");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = GooseRequest::builder().set_request_builder(request.body(body)).name("push").expect_status_code(202);
    read(user, request.build()).await
}

fn api(access: &Access) -> Result<Scenario, String> {
    let key = needed(access.api_key.as_deref(), "api", "SPILLWAY_API_KEY", "a key of the management API")?;
    let mut scenario = Scenario::new("api");
    for (name, path, weight) in [
        ("events", "/api/v1/events?limit=20", 3),
        ("deliveries", "/api/v1/deliveries?limit=20", 3),
        ("failed deliveries", "/api/v1/deliveries?state=dead&limit=20", 1),
        ("destinations", "/api/v1/destinations", 1),
    ] {
        let key = key.clone();
        let list: TransactionFunction = Arc::new(move |user| {
            let key = key.clone();
            Box::pin(async move {
                let request = user.get_request_builder(&GooseMethod::Get, path)?.bearer_auth(&*key);
                let request = GooseRequest::builder().set_request_builder(request).name(name).expect_status_code(200);
                read(user, request.build()).await
            })
        });
        let list = Transaction::new(list).set_name(name).set_weight(weight).map_err(|error| error.to_string())?;
        scenario = scenario.register_transaction(list);
    }
    let wait = (Duration::from_millis(100), Duration::from_millis(500));
    scenario.set_wait_time(wait.0, wait.1).map_err(|error| error.to_string())
}

fn health(_: &Access) -> Result<Scenario, String> {
    let mut scenario = Scenario::new("health");
    for path in ["/health", "/readyz", "/healthz"] {
        let ask: TransactionFunction = Arc::new(move |user| {
            Box::pin(async move {
                let request = GooseRequest::builder().path(path).expect_status_code(200);
                read(user, request.build()).await
            })
        });
        scenario = scenario.register_transaction(Transaction::new(ask).set_name(path));
    }
    Ok(scenario)
}

/// Sends the request and reads the whole answer, so that its connection can serve the next one.
async fn read(user: &mut GooseUser, request: GooseRequest<'_>) -> TransactionResult {
    if let Ok(answer) = user.request(request).await?.response {
        answer.bytes().await?;
    }
    Ok(())
}

fn needed(value: Option<&str>, scenario: &str, variable: &str, what: &str) -> Result<Arc<str>, String> {
    value.map(Arc::from).ok_or_else(|| format!("the Goose scenario `{scenario}` needs {what}: set {variable}"))
}
