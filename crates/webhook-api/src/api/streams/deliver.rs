//! Whole events of one source for one client, none left out.

use std::collections::{HashMap, VecDeque};

use axum::extract::ws::{Message, Utf8Bytes, close_code};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use spillway_model::{Event, EventId, SourceId};
use spillway_store::StoreError;

use super::super::events::{EventView, HeaderView, headers_of, summary_of, view};
use super::session::{Beat, Session};
use super::socket::{Gone, Socket};
use crate::feed::{FeedFilter, FeedSubscription, Follower};

/// Bodies under way without an answer; one event may always be.
const MOST_BYTES: usize = 16 << 20;
/// Ids that are read ahead.
const MOST_AHEAD: usize = 256;

/// What the client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    /// It is done with the event.
    Ack { id: EventId },
}

/// What the client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told<'t> {
    /// It gets events from this id on.
    Ready { mode: &'static str, from: EventId },
    /// An event.
    Event { event: &'t DeliveredEvent },
    /// The event or its payload was there and is not any more: retention removed it.
    Gone { id: EventId },
}

/// An event as it is handed over.
#[derive(Debug, Serialize)]
struct DeliveredEvent {
    #[serde(flatten)]
    summary: EventView,
    headers: Vec<HeaderView>,
    body_base64: String,
}

/// One client's events.
pub(super) struct Deliver {
    session: Session,
    subscription: FeedSubscription,
    begin: EventId,
    follower: Follower,
    /// Whether the store may have something new.
    has_news: bool,
    ahead: VecDeque<EventId>,
    /// Events without an answer, with the size of their bodies.
    under_way: HashMap<EventId, usize>,
    n_bytes: usize,
    window: usize,
}

impl Deliver {
    /// Events of `source` from this one on, or from now.
    pub(super) fn new(session: Session, source: SourceId, from: Option<EventId>, window: usize) -> Self {
        let filter = FeedFilter { source: Some(source), ..FeedFilter::default() };
        let subscription = session.gateway.streams.feed().subscribe(filter);
        let begin = from.unwrap_or_else(|| EventId::first_of(session.gateway.clock.now()));
        Self {
            session,
            subscription,
            begin,
            follower: Follower::new(Some(source), begin),
            has_news: true,
            ahead: VecDeque::new(),
            under_way: HashMap::new(),
            n_bytes: 0,
            window,
        }
    }

    /// Sends events until one of the two has enough.
    pub(super) async fn run(mut self: Box<Self>, mut socket: Socket) {
        let ready = Told::Ready { mode: "deliver", from: self.begin };
        if socket.say(text(&ready)).await.is_err() {
            return;
        }
        loop {
            if self.fill(&mut socket).await.is_err() {
                return;
            }
            tokio::select! {
                beat = self.session.beat() => match beat {
                    // Behind the feed, which may miss something.
                    Beat::Quiet => self.has_news = true,
                    Beat::Alive => {
                        self.has_news = true;
                        if socket.ping().await.is_err() {
                            return;
                        }
                    }
                    Beat::End(ending) => return socket.end(ending).await,
                },
                batch = self.subscription.next() => match batch {
                    Some(_) => self.has_news = true,
                    None => return,
                },
                said = socket.hear() => match said {
                    Some(Message::Text(said)) => match serde_json::from_str(said.as_str()) {
                        Ok(Said::Ack { id }) => self.acknowledge(id),
                        Err(_) => {
                            let reason = "say {\"type\":\"ack\",\"id\":\"evt_…\"} for each event";
                            return socket.close(close_code::POLICY, reason).await;
                        }
                    },
                    Some(Message::Close(_)) | None => return,
                    Some(Message::Binary(_) | Message::Ping(_) | Message::Pong(_)) => {}
                },
            }
        }
    }

    fn acknowledge(&mut self, id: EventId) {
        if let Some(bytes) = self.under_way.remove(&id) {
            self.n_bytes -= bytes;
        }
    }

    /// Sends what there is room for.
    async fn fill(&mut self, socket: &mut Socket) -> Result<(), Gone> {
        while self.under_way.len() < self.window && self.n_bytes < MOST_BYTES {
            match self.next().await {
                Ok(Some((id, event))) => self.hand_over(id, event, socket).await?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "events for a listener cannot be read; they are read again");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next event, or its id alone when it is gone; `None` when there is none now.
    async fn next(&mut self) -> Result<Option<(EventId, Option<Event>)>, StoreError> {
        let gateway = self.session.gateway.clone();
        if self.ahead.is_empty() && self.has_news {
            let look = self.follower.look(gateway.store.as_ref(), gateway.clock.now(), MOST_AHEAD).await?;
            self.follower.keep(&look);
            self.has_news = look.has_more;
            self.ahead.extend(look.ids);
        }
        let Some(id) = self.ahead.front().copied() else { return Ok(None) };
        let event = gateway.store.event(id).await?;
        self.ahead.pop_front();
        Ok(Some((id, event)))
    }

    async fn hand_over(&mut self, id: EventId, event: Option<Event>, socket: &mut Socket) -> Result<(), Gone> {
        let Some(event) = event.filter(|event| !event.payload_is_removed()) else {
            return socket.say(text(&Told::Gone { id })).await;
        };
        let bytes = event.body.len();
        let configuration = self.session.gateway.routing.load().configuration.clone();
        let event = DeliveredEvent {
            summary: view(summary_of(&event), &configuration),
            headers: headers_of(&event),
            body_base64: BASE64.encode(&event.body),
        };
        self.under_way.insert(id, bytes);
        self.n_bytes += bytes;
        self.session.count(1, 0);
        socket.say(text(&Told::Event { event: &event })).await
    }
}

fn text(told: &Told<'_>) -> Utf8Bytes {
    serde_json::to_string(told).unwrap_or_default().into()
}
