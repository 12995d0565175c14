//! Goose's transactions on our executors, unchanged: a virtual user owns a `GooseUser` and runs its scenario's transactions in order.
//!
//! Goose hands each finished request to its request log. Here that log is a channel of the user's own, emptied after each transaction.
//! Goose measures up to the response's headers, connecting included; that is what `http_req_duration` and `http_req_waiting` hold here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use goose::config::GooseConfiguration;
use goose::goose::{GooseMethod, GooseUser, Scenario, TransactionFunction};
use goose::logger::GooseLog;
use goose::metrics::GooseRequestMetric;
use url::Url;

use crate::metrics::{HttpSample, Recorder, Registry, Series, Tags};
use crate::user::{IterationError, VirtualUser, Workload};

/// A Goose scenario as a workload.
pub struct GooseWorkload {
    scenario: Arc<Scenario>,
    order: Order,
    base_url: Url,
    configuration: GooseConfiguration,
    registry: Arc<Registry>,
    name: String,
}

/// Places in the scenario's list of transactions.
#[derive(Debug, Clone, Default)]
struct Order {
    on_start: Arc<[usize]>,
    each: Arc<[usize]>,
    on_stop: Arc<[usize]>,
}

impl GooseWorkload {
    /// Takes a scenario as one would register it with Goose. `name` is the name of the k6 scenario that runs it.
    ///
    /// # Errors
    /// When Goose refuses the base URL.
    pub fn new(scenario: Scenario, name: &str, base_url: Url, registry: Arc<Registry>) -> Result<Self, IterationError> {
        let configuration =
            GooseConfiguration::parse_args_default(&["--request-log", "unused", "--no-transaction-metrics"]);
        let configuration = configuration.map_err(|error| IterationError::new(error.to_string()))?;
        let order = Order::of(&scenario);
        Ok(Self { scenario: Arc::new(scenario), order, base_url, configuration, registry, name: name.to_owned() })
    }
}

impl Order {
    /// By sequence, then as registered; a weight of `n` runs a transaction `n` times in each iteration.
    fn of(scenario: &Scenario) -> Self {
        let select = |wanted: fn(bool, bool) -> bool| {
            let mut places: Vec<usize> = (0..scenario.transactions.len())
                .filter(|place| wanted(scenario.transactions[*place].on_start, scenario.transactions[*place].on_stop))
                .flat_map(|place| std::iter::repeat_n(place, scenario.transactions[place].weight))
                .collect();
            // Those without a sequence come last, as in Goose.
            places.sort_by_key(|place| match scenario.transactions[*place].sequence {
                0 => usize::MAX,
                sequence => sequence,
            });
            places.into()
        };
        Self {
            on_start: select(|on_start, _| on_start),
            each: select(|on_start, on_stop| !on_start && !on_stop),
            on_stop: select(|_, on_stop| on_stop),
        }
    }
}

impl Workload for GooseWorkload {
    fn user(&self, vu: u32, recorder: Recorder) -> Result<Box<dyn VirtualUser>, IterationError> {
        let name = self.scenario.name.clone();
        let user = GooseUser::new(0, name, self.base_url.clone(), &self.configuration, 0, None);
        let mut user = user.map_err(|error| IterationError::new(format!("Goose cannot make a user: {error}")))?;
        let (sender, finished) = flume::unbounded();
        user.logger = Some(sender);
        user.weighted_users_index = vu as usize;
        Ok(Box::new(User {
            user,
            scenario: self.scenario.clone(),
            order: self.order.clone(),
            begun: false,
            requests: Requests {
                finished,
                recorder,
                registry: self.registry.clone(),
                scenario: self.name.clone(),
                known: Vec::new(),
            },
        }))
    }
}

struct User {
    user: GooseUser,
    scenario: Arc<Scenario>,
    order: Order,
    begun: bool,
    requests: Requests,
}

impl VirtualUser for User {
    fn iterate(&mut self) -> BoxFuture<'_, Result<(), IterationError>> {
        async move {
            if !std::mem::replace(&mut self.begun, true) {
                let on_start = self.order.on_start.clone();
                self.run(&on_start).await?;
            }
            let each = self.order.each.clone();
            self.run(&each).await
        }
        .boxed()
    }

    fn leave(&mut self) -> BoxFuture<'_, ()> {
        async move {
            let on_stop = self.order.on_stop.clone();
            // The user leaves either way.
            let _ = self.run(&on_stop).await;
        }
        .boxed()
    }
}

impl User {
    /// A transaction that fails does not keep the next one from running, as in Goose.
    async fn run(&mut self, places: &[usize]) -> Result<(), IterationError> {
        let mut outcome = Ok(());
        for place in places {
            let function: &TransactionFunction = &self.scenario.transactions[*place].function;
            let result = function(&mut self.user).await;
            self.requests.record();
            if let Err(error) = result {
                outcome = Err(IterationError::new(error.to_string()));
            }
            if let Some((least, most)) = self.scenario.transaction_wait {
                tokio::time::sleep(rand::random_range(least..=most)).await;
            }
        }
        outcome
    }
}

/// What Goose says of finished requests, on its way to the recorder.
struct Requests {
    finished: flume::Receiver<Option<GooseLog>>,
    recorder: Recorder,
    registry: Arc<Registry>,
    scenario: String,
    /// Series seen by this user: few, so they are found by looking at each.
    known: Vec<(Kind, Series)>,
}

#[derive(Debug, PartialEq)]
struct Kind {
    name: Arc<str>,
    method: &'static str,
    status: u16,
    success: bool,
}

impl Requests {
    fn record(&mut self) {
        // A transaction may change its mind about a request: then Goose sends it once more, marked as an update.
        let mut pending: Option<Box<GooseRequestMetric>> = None;
        while let Ok(message) = self.finished.try_recv() {
            let Some(GooseLog::Request(request)) = message else { continue };
            if !request.update
                && let Some(earlier) = pending.take()
            {
                self.write(&earlier);
            }
            pending = Some(Box::new(request));
        }
        if let Some(request) = pending {
            self.write(&request);
        }
    }

    fn write(&mut self, request: &GooseRequestMetric) {
        let kind = Kind {
            name: request.name.clone(),
            method: method(request),
            status: request.status_code,
            success: request.success,
        };
        let known = self.known.iter().find(|(known, _)| *known == kind).map(|(_, series)| *series);
        let series = known.unwrap_or_else(|| {
            let series = self.registry.series(&self.tags(&kind, &request.error));
            self.known.push((kind, series));
            series
        });
        let waiting =
            Duration::from_micros(request.response_time * 1_000 + u64::from(request.response_time_fraction_us));
        self.recorder.http(&HttpSample { waiting, failed: !request.success, ..HttpSample::new(series) });
    }

    fn tags(&self, kind: &Kind, error: &str) -> Tags {
        Tags {
            scenario: self.scenario.clone(),
            name: kind.name.to_string(),
            method: kind.method.to_owned(),
            status: Some(kind.status),
            error: if kind.success { String::new() } else { error_class(kind.status, error).to_owned() },
            expected_response: Some(kind.success),
            ..Tags::default()
        }
    }
}

fn error_class(status: u16, error: &str) -> &'static str {
    match status {
        0 if error.contains("timed out") => "timeout",
        0 => "connection",
        _ => "status",
    }
}

fn method(request: &GooseRequestMetric) -> &'static str {
    match request.raw.method {
        GooseMethod::Delete => "DELETE",
        GooseMethod::Get => "GET",
        GooseMethod::Head => "HEAD",
        GooseMethod::Patch => "PATCH",
        GooseMethod::Post => "POST",
        GooseMethod::Put => "PUT",
        _ => "OTHER",
    }
}
