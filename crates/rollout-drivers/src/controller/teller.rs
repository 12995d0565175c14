//! People are told beside the loop, so that a slow chat never delays a rollback.

use std::sync::Arc;
use std::time::Duration;

use spillway_rollout::Plan;
use spillway_rollout::decision::Note;
use spillway_rollout::ports::Notifier;
use spillway_rollout::state::State;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

/// Decisions with notes that wait to be told; more are dropped and logged.
const QUEUE: usize = 64;
/// How long the last notes may take when the controller ends.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// Tells notes in their order.
pub(super) struct Teller {
    queue: mpsc::Sender<Told>,
    task: JoinHandle<()>,
}

struct Told {
    plan: Arc<Plan>,
    state: State,
    notes: Vec<Note>,
}

impl Teller {
    pub(super) fn new(notifier: Arc<dyn Notifier>) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Told>(QUEUE);
        let task = tokio::spawn(async move {
            while let Some(Told { plan, state, notes }) = waiting.recv().await {
                notifier.tell(&plan, &state, &notes).await;
            }
        });
        Self { queue, task }
    }

    pub(super) fn tell(&self, plan: &Arc<Plan>, state: &State, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let told = Told { plan: Arc::clone(plan), state: state.clone(), notes: notes.to_vec() };
        if self.queue.try_send(told).is_err() {
            warn!(
                rollout = plan.name,
                n_notes = notes.len(),
                "people are told too slowly: these notes are in the log only"
            );
        }
    }

    /// Returns when all was told, or it took too long.
    pub(super) async fn finish(self) {
        drop(self.queue);
        if tokio::time::timeout(LAST_WORDS, self.task).await.is_err() {
            warn!("people were not told everything within {} s", LAST_WORDS.as_secs());
        }
    }
}
