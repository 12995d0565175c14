//! Ends claims in batches: one transaction serves every attempt that ended meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use spillway_model::{DeliveryId, Settlement};
use spillway_store::{Store, StoreErrorKind};
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{Notify, mpsc};

use crate::lease::moves_its_key;

/// Settlements in one transaction at most.
const BATCH: usize = 512;
/// Settlements that may wait; above it attempts wait before they report, and so no new ones begin.
const QUEUE: usize = 8_192;

/// Is told of each settlement that is written, on the settler's task: it must not block.
pub type SettlementObserver = Arc<dyn Fn(&Settlement) + Send + Sync>;

/// Hands settlements to the settler.
#[derive(Debug, Clone)]
pub(crate) struct SettlerHandle {
    queue: mpsc::Sender<Settlement>,
    stuck: Arc<AtomicBool>,
}

impl SettlerHandle {
    /// Queues the settlement; waits while the queue is full.
    pub(crate) async fn settle(&self, settlement: Settlement) {
        if self.queue.send(settlement).await.is_err() {
            warn_stopped();
        }
    }

    /// Queues the settlement without waiting. Returns it when the queue is full.
    pub(crate) fn try_settle(&self, settlement: Settlement) -> Option<Settlement> {
        match self.queue.try_send(settlement) {
            Ok(()) => None,
            Err(TrySendError::Full(settlement)) => Some(settlement),
            Err(TrySendError::Closed(_)) => {
                warn_stopped();
                None
            }
        }
    }

    /// Waits until the queue has room for one settlement. The permit holds it.
    pub(crate) async fn room(&self) -> Result<mpsc::Permit<'_, Settlement>, SendError<()>> {
        self.queue.reserve().await
    }

    /// Whether a batch was refused by the store and is being tried again. Until it is written, deliveries that were sent may
    /// look as if they were due: nothing should be claimed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

/// Only at a hard stop. The lease ends by itself, so the delivery is attempted again, not lost.
fn warn_stopped() {
    tracing::warn!("a settlement came after the settler had stopped");
}

/// The settler's task and its handle. The task ends when the last handle is dropped and everything is settled. It notifies `due` when
/// ordered deliveries have ended: those behind them are due then.
pub(crate) fn start(
    store: Arc<dyn Store>,
    due: Arc<Notify>,
    observer: Option<SettlementObserver>,
) -> (tokio::task::JoinHandle<()>, SettlerHandle) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let stuck = Arc::new(AtomicBool::new(false));
    let settler = Settler { store, stuck: stuck.clone(), observer };
    let task = tokio::spawn(settler.run(queue, due));
    (task, SettlerHandle { queue: sender, stuck })
}

struct Settler {
    store: Arc<dyn Store>,
    stuck: Arc<AtomicBool>,
    observer: Option<SettlementObserver>,
}

impl Settler {
    async fn run(self, mut queue: mpsc::Receiver<Settlement>, due: Arc<Notify>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let settlements = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            let keys_move = settlements.iter().any(moves_its_key);
            self.settle(settlements).await;
            if keys_move {
                due.notify_one();
            }
        }
    }

    /// Writes all of it. A batch that the store refuses for good is halved until what it refuses stands alone, so that one bad
    /// settlement does not take others with it.
    async fn settle(&self, settlements: Vec<Settlement>) {
        let mut parts = vec![settlements];
        while let Some(mut part) = parts.pop() {
            match self.settle_part(&part).await {
                Ok(()) => {}
                Err(StoreErrorKind::Closed) => return,
                Err(_) if part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(_) => {}
            }
        }
    }

    /// Tries until the store takes the part or says that it never will. Meanwhile the queue fills, attempts wait and intake of
    /// new work stops: that is the backpressure of a store that is away.
    async fn settle_part(&self, part: &[Settlement]) -> Result<(), StoreErrorKind> {
        let mut wait = Duration::from_millis(20);
        let result = loop {
            match self.store.settle(part.to_vec()).await {
                Ok(stale) => {
                    warn_stale(part, &stale);
                    self.tell(part, &stale);
                    break Ok(());
                }
                Err(error) if error.is_transient() => {
                    if !self.stuck.swap(true, Ordering::Relaxed) {
                        tracing::warn!(code = error.code(), %error, "attempts cannot be recorded yet");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                Err(error) => {
                    let settlements = part.len();
                    tracing::error!(code = error.code(), %error, settlements, "attempts could not be recorded");
                    break Err(error.kind());
                }
            }
        };
        if self.stuck.swap(false, Ordering::Relaxed) && result.is_ok() {
            tracing::info!("attempts can be recorded again");
        }
        result
    }

    fn tell(&self, part: &[Settlement], stale: &[DeliveryId]) {
        let Some(observer) = &self.observer else { return };
        part.iter().filter(|settlement| !stale.contains(&settlement.lease.delivery)).for_each(|one| observer(one));
    }
}

fn warn_stale(part: &[Settlement], stale: &[DeliveryId]) {
    let attempted = |id: &&DeliveryId| part.iter().any(|one| one.lease.delivery == **id && one.attempt.is_some());
    for delivery in stale.iter().filter(attempted) {
        tracing::warn!(
            delivery.id = %delivery,
            "the claim had ended before the attempt was recorded; the delivery is attempted again"
        );
    }
}
