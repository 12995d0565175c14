//! The coordinator's side of HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::time::Instant;

use super::message::{Answer, Refusal};
use super::state::{Moment, Refused, Run};
use crate::executor::Wanted;

/// The run, and the news that something in it changed.
pub(super) struct Shared {
    pub(super) run: Mutex<Run>,
    pub(super) changed: watch::Sender<()>,
    pub(super) token: Option<String>,
    /// Longest time for which an answer is held back.
    pub(super) poll: Duration,
    pub(super) wanted: Option<watch::Receiver<Wanted>>,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/join", post(join))
        .route("/v1/ready", post(ready))
        .route("/v1/report", post(report))
        .layer(middleware::from_fn_with_state(shared.clone(), authorize))
        .with_state(shared)
}

/// Looks at the token before anything of the body is read.
async fn authorize(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(token) = &shared.token else { return next.run(request).await };
    let given =
        request.headers().get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
        return next.run(request).await;
    }
    let message = "the coordinator asks for a token: give the shard the same --token (SPILLWAY_LOAD_TOKEN)";
    refuse(StatusCode::UNAUTHORIZED, "unauthorized", message.to_owned())
}

async fn join(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    hold(&shared, &body, Run::join).await
}

async fn ready(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    hold(&shared, &body, Run::ready).await
}

async fn report(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let report = match parse(&body) {
        Ok(report) => report,
        Err(refusal) => return *refusal,
    };
    let answer = {
        let mut run = shared.run.lock();
        run.wanted = shared.wanted.as_ref().map(|wanted| (*wanted.borrow()).into());
        run.report(report, Instant::now())
    };
    shared.changed.send_replace(());
    answer.map_or_else(|refused| refused.into_response(), |answer| Json(answer).into_response())
}

/// Answers when there is something to say, and all who wait for it at once.
async fn hold<Message: DeserializeOwned>(
    shared: &Shared,
    body: &Bytes,
    ask: impl Fn(&mut Run, &Message, Moment) -> Result<Option<Answer>, Refused>,
) -> Response {
    let message: Message = match parse(body) {
        Ok(message) => message,
        Err(refusal) => return *refusal,
    };
    let mut changes = shared.changed.subscribe();
    let arrived = Instant::now();
    let deadline = arrived + shared.poll;
    let mut first = true;
    loop {
        let answer = ask(&mut shared.run.lock(), &message, Moment { arrived, now: Instant::now() });
        if std::mem::take(&mut first) {
            shared.changed.send_replace(());
        }
        match answer {
            Err(refused) => return refused.into_response(),
            Ok(Some(answer)) => return Json(answer).into_response(),
            Ok(None) => {}
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Json(Answer::Wait).into_response() },
            () = tokio::time::sleep_until(deadline) => return Json(Answer::Wait).into_response(),
        }
    }
}

fn parse<Message: DeserializeOwned>(body: &Bytes) -> Result<Message, Box<Response>> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let problem = match serde_json::from_slice(body) {
        Ok(message) => return Ok(message),
        Err(problem) => problem,
    };
    // The messages of another version may look different, but each `join` has its number.
    let refusal = match serde_json::from_slice(body) {
        Ok(Versioned { version }) if version != super::PROTOCOL_VERSION => {
            Refused::WrongVersion(version).into_response()
        }
        _ => refuse(StatusCode::BAD_REQUEST, "bad_message", format!("the message cannot be read: {problem}")),
    };
    Err(Box::new(refusal))
}

fn refuse(status: StatusCode, code: &str, message: String) -> Response {
    (status, Json(Refusal { code: code.to_owned(), message })).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::WrongVersion(_) => (StatusCode::CONFLICT, "wrong_version"),
            Self::NoSuchPlace { .. } => (StatusCode::BAD_REQUEST, "no_such_shard"),
            Self::Taken(_) => (StatusCode::CONFLICT, "shard_taken"),
            Self::Full(_) => (StatusCode::CONFLICT, "run_full"),
            Self::Unknown => (StatusCode::NOT_FOUND, "unknown_shard"),
            Self::TooEarly => (StatusCode::CONFLICT, "not_started"),
            Self::Incomplete => (StatusCode::BAD_REQUEST, "bad_message"),
        };
        refuse(status, code, self.to_string())
    }
}
