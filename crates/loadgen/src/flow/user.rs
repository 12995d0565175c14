//! One virtual user of a flow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::answer::Answer;
use super::request::RequestPlan;
use super::run::Bound;
use super::series::Ending;
use super::socket;
use super::spec::Pause;
use super::template::Context;
use crate::http::{Client, Exchange, Response};
use crate::metrics::{HttpSample, Recorder};
use crate::user::{IterationError, VirtualUser};

pub(super) struct User {
    bound: Arc<Bound>,
    vu: u32,
    /// Iterations begun.
    iterations: u64,
    client: Client,
    recorder: Recorder,
    /// Values captured in this iteration.
    captured: Box<[Option<Box<str>>]>,
    /// The row of each data file in this iteration.
    rows: Box<[usize]>,
    /// A failed request or check ends the iteration with an error.
    strict: bool,
}

impl VirtualUser for User {
    fn iterate(&mut self) -> BoxFuture<'_, Result<(), IterationError>> {
        self.iteration().boxed()
    }
}

impl User {
    pub(super) fn new(bound: Arc<Bound>, vu: u32, recorder: Recorder) -> Self {
        Self {
            vu,
            iterations: 0,
            client: Client::new(bound.transport.clone(), bound.settings),
            recorder,
            captured: vec![None; bound.program.captured.len()].into(),
            rows: vec![0; bound.program.data.len()].into(),
            strict: false,
            bound,
        }
    }

    /// The user ends an iteration with the first request or check that fails.
    pub(super) fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The values captured in the last iteration, by name.
    pub(super) fn captured(&self) -> BTreeMap<String, String> {
        let named = self.bound.program.captured.iter().zip(&self.captured);
        named.filter_map(|(name, value)| Some((name.clone(), value.as_deref()?.to_owned()))).collect()
    }

    pub(super) async fn iteration(&mut self) -> Result<(), IterationError> {
        let bound = self.bound.clone();
        let program = &bound.program;
        self.captured.fill(None);
        for (row, data) in self.rows.iter_mut().zip(&*program.data) {
            *row = data.take();
        }
        let iteration = self.iterations;
        self.iterations += 1;
        let places = match program.weights.last() {
            None => 0..program.requests.len(),
            Some(sum) => {
                let drawn = rand::random_range(0.0..*sum);
                let place = program.weights.partition_point(|sum| *sum <= drawn);
                place..place + 1
            }
        };
        for place in places {
            self.exchange(&bound, iteration, place).await?;
            pause(program.requests[place].pause).await;
        }
        if let (Some(plan), Some(series)) = (&program.socket, &bound.socket) {
            let context = self.context(&bound, iteration);
            return socket::session(plan, series, &bound, &context, &self.recorder).await;
        }
        Ok(())
    }

    fn context<'a>(&'a self, bound: &'a Bound, iteration: u64) -> Context<'a> {
        Context {
            vu: self.vu,
            iteration,
            scenario: &bound.scenario,
            run: &bound.run,
            captured: &self.captured,
            data: &bound.program.data,
            rows: &self.rows,
        }
    }

    /// Sends the request at `place`, waits for the answer and records what came of it.
    async fn exchange(&mut self, bound: &Bound, iteration: u64, place: usize) -> Result<(), IterationError> {
        bound.run.admit().await;
        let plan = &bound.program.requests[place];
        let request = plan.render(&self.context(bound, iteration))?;
        let exchange = self.client.send(request).await;
        self.record(bound, iteration, place, &exchange);
        if self.strict { self.judge(plan, bound, iteration, &exchange) } else { Ok(()) }
    }

    /// Counts the request and its checks, and keeps what it captures.
    fn record(&mut self, bound: &Bound, iteration: u64, place: usize, exchange: &Exchange) {
        let (plan, series) = (&bound.program.requests[place], &bound.requests[place]);
        let (status, error) = match &exchange.outcome {
            Ok(response) => (response.status.as_u16(), None),
            Err(failure) => (0, Some(failure.class)),
        };
        let expected = error.is_none() && plan.expected.contains(status);
        let timings = &exchange.timings;
        self.recorder.http(&HttpSample {
            series: series.ending(Ending { status, error, expected }),
            blocked: timings.blocked,
            connecting: timings.connecting,
            tls: timings.tls_handshaking,
            sending: timings.sending,
            waiting: timings.waiting,
            receiving: timings.receiving,
            sent: exchange.sent,
            received: exchange.received,
            failed: !expected,
        });
        let answer = answer(exchange);
        for (check, series) in plan.checks.iter().zip(&series.checks) {
            let holds = answer.as_ref().is_some_and(|answer| check.holds(answer, &self.context(bound, iteration)));
            self.recorder.check(*series, holds);
        }
        for capture in &plan.captures {
            self.captured[capture.place] = answer.as_ref().and_then(|answer| capture.find(answer));
        }
    }

    /// What is wrong with the exchange, as an error.
    fn judge(
        &self,
        plan: &RequestPlan,
        bound: &Bound,
        iteration: u64,
        exchange: &Exchange,
    ) -> Result<(), IterationError> {
        let wrong = |problem: String| Err(IterationError::new(format!("request {}: {problem}", plan.name)));
        let Response { status, .. } = match &exchange.outcome {
            Ok(response) => response,
            Err(failure) => return wrong(failure.to_string()),
        };
        if !plan.expected.contains(status.as_u16()) {
            return wrong(format!("it was answered {status}, expected was {}", plan.expected));
        }
        let answer = answer(exchange);
        for check in &plan.checks {
            if !answer.as_ref().is_some_and(|answer| check.holds(answer, &self.context(bound, iteration))) {
                return wrong(format!("the check {:?} does not hold", check.name));
            }
        }
        match plan.captures.iter().find(|capture| self.captured[capture.place].is_none()) {
            Some(capture) => wrong(format!("the answer has no value for the capture {}", capture.name)),
            None => Ok(()),
        }
    }
}

fn answer(exchange: &Exchange) -> Option<Answer<'_>> {
    let response = exchange.outcome.as_ref().ok()?;
    let headers: &HeaderMap = &response.headers;
    Some(Answer::new(response.status.as_u16(), headers, &response.body, exchange.timings.duration()))
}

/// Waits for the pause's time.
pub(super) async fn pause(pause: Option<Pause>) {
    if let Some(time) = draw(pause) {
        tokio::time::sleep(time).await;
    }
}

/// The time of a pause; `None` without one.
pub(super) fn draw(pause: Option<Pause>) -> Option<Duration> {
    let Pause { min, max } = pause?;
    let time = if min == max { max } else { rand::random_range(min..=max) };
    (!time.is_zero()).then_some(time)
}
