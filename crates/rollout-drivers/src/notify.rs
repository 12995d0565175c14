//! Tells people: Slack, PagerDuty, webhooks. A receiver that does not answer costs a log line, never a rollout.

mod lane;
mod message;
mod pagerduty;
mod slack;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use spillway_rollout::Plan;
use spillway_rollout::decision::Note;
use spillway_rollout::ports::Notifier;
use spillway_rollout::spec::NotificationKind;
use spillway_rollout::state::State;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::http::HttpClient;
use crate::secrets::Secrets;
use lane::Lane;
use message::Message;

/// Receivers that are told at once.
const MAX_LANES: usize = 256;

/// How people are told.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    /// Where PagerDuty takes events.
    pub pagerduty_url: String,
    /// How often a message is tried.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with each further one.
    pub first_pause: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Messages that wait for one receiver; further ones are dropped with a log line.
    pub queue: usize,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            pagerduty_url: "https://events.pagerduty.com/v2/enqueue".to_owned(),
            attempts: 4,
            first_pause: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            queue: 100,
        }
    }
}

/// Sends notifications in the background: in their order to each receiver, and receivers apart from each other.
pub struct Notices {
    http: HttpClient,
    secrets: Arc<dyn Secrets>,
    settings: Arc<NotifySettings>,
    lanes: Mutex<HashMap<String, mpsc::Sender<Message>>>,
    tasks: TaskTracker,
}

impl Notices {
    /// Nothing is sent before [`Notifier::tell`].
    #[must_use]
    pub fn new(http: HttpClient, secrets: Arc<dyn Secrets>, settings: NotifySettings) -> Self {
        Self { http, secrets, settings: Arc::new(settings), lanes: Mutex::default(), tasks: TaskTracker::new() }
    }

    /// Waits until everything was sent or given up, at most so long. Whatever is told afterwards is sent too.
    pub async fn flush(&self, longest: Duration) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tasks.close();
        if tokio::time::timeout(longest, self.tasks.wait()).await.is_err() {
            warn!("some notifications were not sent in time");
        }
    }

    fn send(&self, kind: NotificationKind, to: &str, message: Message) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{kind:?} {to}");
        if lanes.len() >= MAX_LANES && !lanes.contains_key(&key) {
            // Those that plans no longer name are among them. Their tasks end when all is sent.
            lanes.clear();
        }
        let lane = lanes.entry(key).or_insert_with(|| self.open(kind, to));
        let rollout = message.rollout.clone();
        if lane.try_send(message).is_err() {
            warn!(rollout, ?kind, "notification dropped: too many wait for this receiver");
        }
    }

    fn open(&self, kind: NotificationKind, to: &str) -> mpsc::Sender<Message> {
        let (sender, messages) = mpsc::channel(self.settings.queue.max(1));
        let lane = Lane {
            http: self.http.clone(),
            secrets: Arc::clone(&self.secrets),
            settings: Arc::clone(&self.settings),
            kind,
            to: to.to_owned(),
        };
        self.tasks.spawn(lane.run(messages));
        sender
    }
}

#[async_trait]
impl Notifier for Notices {
    async fn tell(&self, plan: &Plan, state: &State, notes: &[Note]) {
        for notification in &plan.notifications {
            for note in notes {
                // Whether a page is open depends on all notes.
                let is_wanted = !notification.only_problems
                    || note.kind.is_problem()
                    || notification.kind == NotificationKind::PagerDuty;
                if is_wanted {
                    self.send(notification.kind, &notification.to, Message::new(plan, state, note));
                }
            }
        }
    }
}
