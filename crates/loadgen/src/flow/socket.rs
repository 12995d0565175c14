//! WebSocket sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::answer::Answer;
use super::check::Check;
use super::compile::{checks, group, tags};
use super::error::Place;
use super::request::{Destination, Headers, Origins};
use super::run::Bound;
use super::series::SocketSeries;
use super::spec::{FlowSpec, MessageSpec, Pause, WebSocketSpec};
use super::template::{Context, Scope, Template};
use super::text::Escape;
use super::user::draw;
use crate::http::{Failure, Message, Opening, WebSocket};
use crate::metrics::{Metric, Recorder, Series};
use crate::options::Plan;
use crate::user::IterationError;

/// How long the other side has to confirm the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// A session as it was described.
#[derive(Debug)]
pub(super) struct SocketPlan {
    pub(super) name: String,
    pub(super) messages: Box<[MessagePlan]>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) group: String,
    destination: Destination,
    headers: Headers,
    timeout: Duration,
    repeat: u32,
}

#[derive(Debug)]
pub(super) struct MessagePlan {
    pub(super) checks: Box<[Check]>,
    text: Template,
    await_reply: bool,
    repeat: u32,
    pause: Option<Pause>,
}

impl SocketPlan {
    pub(super) fn compile(
        spec: &WebSocketSpec,
        flow: &FlowSpec,
        plan: &Plan,
        timeout: Duration,
        origins: &mut Origins,
        scope: &Scope<'_>,
        place: &Place,
    ) -> Result<Self, super::FlowError> {
        let invalid = |problem: String| place.invalid(problem);
        let (path, url) = (spec.path.as_deref(), spec.url.as_deref());
        let destination =
            Destination::compile(path, url, &spec.query, plan.target.as_ref(), origins, scope).map_err(invalid)?;
        let mut headers = Headers::compile([&flow.headers, &spec.headers], scope).map_err(invalid)?;
        if let Some(agent) = &plan.user_agent {
            let agent =
                HeaderValue::try_from(agent).map_err(|_| place.invalid("userAgent cannot be a header's value"))?;
            headers.or_insert(header::USER_AGENT, agent);
        }
        let message = |(number, message): (usize, &MessageSpec)| {
            let place = place.at(format_args!("message {}", number + 1));
            if !message.checks.is_empty() && !message.await_reply {
                return Err(place.invalid("checks look at the reply: add await_reply = true"));
            }
            if message.checks.values().any(|check| check.status.is_some() || check.header.is_some()) {
                return Err(place.invalid(
                    "a reply has neither status nor headers: check json, equals, contains, matches or max_duration",
                ));
            }
            let text = Template::compile(&message.send, Escape::None, scope);
            Ok(MessagePlan {
                checks: checks(&message.checks, scope, &place)?,
                text: text.map_err(|problem| place.invalid(problem))?,
                await_reply: message.await_reply,
                repeat: message.repeat.unwrap_or(1),
                pause: message.think_time.or(flow.think_time),
            })
        };
        let name = spec.name.as_deref().or(path).or(url).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            messages: spec.messages.iter().enumerate().map(message).collect::<Result<_, _>>()?,
            tags: tags(&flow.tags, &spec.tags, scope, place)?,
            group: group(&spec.group),
            destination,
            headers,
            timeout: spec.timeout.map_or(timeout, Duration::from),
            repeat: spec.repeat.unwrap_or(1),
        })
    }

    /// The names of the values of the flow `setup` that it needs.
    pub(super) fn setup_names(&self) -> impl Iterator<Item = &str> {
        let messages = self.messages.iter().flat_map(|message| message.text.setup_names());
        self.destination.setup_names().chain(self.headers.setup_names()).chain(messages)
    }
}

/// Opens a session, exchanges its messages, closes it, and records what came of it.
pub(super) async fn session(
    plan: &SocketPlan,
    series: &SocketSeries,
    bound: &Bound,
    context: &Context<'_>,
    recorder: &Recorder,
) -> Result<(), IterationError> {
    let error = |problem: &dyn std::fmt::Display| IterationError::new(format!("websocket {}: {problem}", plan.name));
    let opening = Opening {
        origin: Arc::clone(&plan.destination.origin),
        path: plan.destination.render("", context).map_err(|problem| error(&problem))?,
        headers: plan.headers.render(context).map_err(|problem| error(&problem))?,
        network: bound.settings.network,
    };
    let begun = Instant::now();
    let opened = Box::pin(WebSocket::open(&bound.transport, opening));
    let opened = within(plan.timeout, opened).await.map_err(|failure| {
        recorder.check(series.whole, false);
        error(&failure)
    })?;
    recorder.add(Metric::WsSessions, series.session, 1);
    recorder.add(Metric::WsConnecting, series.session, micros(begun.elapsed()));
    let mut session = Session { socket: opened, recorder, series: series.session, begun };
    let outcome = session.run(plan, series, context).await;
    recorder.check(series.whole, outcome.is_ok());
    outcome.map_err(|failure| error(&failure))
}

/// An open session. Its length and its bytes are recorded when it goes, however it ends.
struct Session<'a> {
    socket: WebSocket,
    recorder: &'a Recorder,
    series: Series,
    begun: Instant,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let (sent, received) = self.socket.bytes();
        self.recorder.add(Metric::DataSent, self.series, sent);
        self.recorder.add(Metric::DataReceived, self.series, received);
        self.recorder.add(Metric::WsSessionDuration, self.series, micros(self.begun.elapsed()));
    }
}

impl Session<'_> {
    async fn run(&mut self, plan: &SocketPlan, series: &SocketSeries, context: &Context<'_>) -> Result<(), Failure> {
        for _ in 0..plan.repeat {
            for (message, checks) in plan.messages.iter().zip(&series.checks) {
                for _ in 0..message.repeat {
                    self.message(plan, message, checks, context).await?;
                    if let Some(pause) = draw(message.pause) {
                        self.listen(pause).await?;
                    }
                }
            }
        }
        // The messages went well: a server that says no goodbye does not undo that.
        let goodbye = async {
            self.socket.close().await?;
            while self.next().await?.is_some() {}
            Ok(())
        };
        let _: Result<(), Failure> = within(GOODBYE, goodbye).await;
        Ok(())
    }

    async fn message(
        &mut self,
        plan: &SocketPlan,
        message: &MessagePlan,
        checks: &[Series],
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let mut text = Vec::new();
        let missing = |missing| Failure::new(crate::http::ErrorClass::Other, format!("{missing}"));
        message.text.render(context, &mut text).map_err(missing)?;
        let begun = Instant::now();
        within(plan.timeout, self.socket.send(text.into())).await?;
        self.recorder.add(Metric::WsMsgsSent, self.series, 1);
        if !message.await_reply {
            return Ok(());
        }
        let reply = within(plan.timeout, self.next()).await;
        let took = begun.elapsed();
        let none = HeaderMap::new();
        let answer = reply.as_ref().ok().and_then(Option::as_ref).map(|reply| Answer::new(0, &none, reply, took));
        for (check, series) in message.checks.iter().zip(checks) {
            self.recorder.check(*series, answer.as_ref().is_some_and(|answer| check.holds(answer, context)));
        }
        if reply?.is_none() {
            return Err(closed());
        }
        self.recorder.add(Metric::WsMessageDuration, self.series, micros(took));
        Ok(())
    }

    /// Takes what the other side says on its own, for `time`.
    async fn listen(&mut self, time: Duration) -> Result<(), Failure> {
        let all = async {
            while self.next().await?.is_some() {}
            Err(closed())
        };
        tokio::time::timeout(time, all).await.unwrap_or(Ok(()))
    }

    /// The next message; `None` when the other side ends the session.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.socket.next().await? {
                Message::Data(data) => {
                    self.recorder.add(Metric::WsMsgsReceived, self.series, 1);
                    return Ok(Some(data));
                }
                Message::Pong => {}
                Message::Close => return Ok(None),
            }
        }
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| Err(Failure::timeout()))
}

fn closed() -> Failure {
    Failure::new(crate::http::ErrorClass::Closed, "the other side ended the session")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
