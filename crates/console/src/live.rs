//! Pages that are kept up to date: parts drawn on the server each second, and events as they are stored.

mod rows;

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::Markup;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::api::segment;
use crate::pages::{overview, replays};
use crate::visit::Visit;

/// How often the parts of a page are drawn anew.
const EVERY: Duration = Duration::from_secs(1);
/// A line that keeps proxies from cutting a silent stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Message = Result<Event, Infallible>;
/// The id of each part, and what it is now.
type Parts = Vec<(String, Markup)>;

/// Follows a page until the browser leaves, the session ends, or the process stops.
pub(crate) async fn follow(visit: Visit) -> Response {
    let Ok(permit) = visit.console.live.clone().try_acquire_owned() else {
        let wait = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
        return (StatusCode::SERVICE_UNAVAILABLE, wait).into_response();
    };
    let messages: BoxStream<'static, Message> = match visit.form.get("page") {
        "overview" => drawn(visit.clone(), Shown::Overview).boxed(),
        "replay" => drawn(visit.clone(), Shown::Replay(visit.form.get("id").to_owned())).boxed(),
        "events" => rows::follow(visit.clone()).await,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let ended = over(&visit);
    let messages = messages.take_until(ended).map(holding(permit));
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

/// Keeps the permit as long as the stream.
fn holding(permit: OwnedSemaphorePermit) -> impl FnMut(Message) -> Message {
    move |message| {
        let _held = &permit;
        message
    }
}

/// The end of the session or of the process.
fn over(visit: &Visit) -> impl Future<Output = ()> + use<> {
    let stop = visit.console.settings.stop.clone();
    let remaining = Duration::from_millis(u64::try_from(visit.session.remaining(visit.now)).unwrap_or_default());
    async move {
        let _ = tokio::time::timeout(remaining, stop.cancelled()).await;
    }
}

/// A page whose parts are drawn anew each second.
enum Shown {
    Overview,
    Replay(String),
}

impl Shown {
    async fn draw(&self, visit: &Visit) -> Option<Parts> {
        match self {
            Self::Overview => {
                Some(overview::parts(visit).await.into_iter().map(|(id, part)| (id.to_owned(), part)).collect())
            }
            Self::Replay(id) => {
                let replay = visit.api.get(&format!("/api/v1/replays/{}", segment(id))).await.ok()?;
                Some(vec![("replay".to_owned(), replays::draw(visit, &replay))])
            }
        }
    }
}

/// Each part that is another one than before.
fn drawn(visit: Visit, shown: Shown) -> impl Stream<Item = Message> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = (Instant::now(), visit.now);
    let state = (visit, shown, ticks, Vec::<(String, String)>::new());
    stream::unfold(state, move |(visit, shown, mut ticks, mut known)| async move {
        ticks.tick().await;
        let mut now = visit.clone();
        now.now = begun.1 + i64::try_from(begun.0.elapsed().as_millis()).unwrap_or_default();
        let parts = shown.draw(&now).await.unwrap_or_default();
        let mut changed = Vec::new();
        for (id, part) in parts {
            let html = part.into_string();
            match known.iter_mut().find(|(other, _)| *other == id) {
                Some((_, before)) if *before == html => continue,
                Some((_, before)) => before.clone_from(&html),
                None => known.push((id.clone(), html.clone())),
            }
            changed.push(message("part", &json!({"id": id, "html": html})));
        }
        Some((stream::iter(changed), (visit, shown, ticks, known)))
    })
    .flatten()
}

/// A message with its name.
pub(super) fn message(name: &str, data: &serde_json::Value) -> Message {
    Ok(Event::default().event(name).data(data.to_string()))
}
