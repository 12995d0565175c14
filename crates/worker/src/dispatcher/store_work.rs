//! What the dispatcher asks of the store: claims, renewals, and changes of destinations. Each is under way at most once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use spillway_model::{
    Claimed, Configuration, ConfigurationChange, DeliveryId, Destination, DestinationId, DestinationState, Lease,
    UnixMillis,
};
use spillway_store::{ClaimRequest, Store, StoreError, StoreErrorKind, amend_configuration};

use super::{Dispatcher, Report};
use crate::lane::size;
use crate::lease::milliseconds;
use crate::portion::Portion;

/// A backlog leaves the store and the processors to new events for so many times as long as each claim took: it drains at tens of
/// thousands a second otherwise, and every acknowledgement waits meanwhile.
const REST_PER_CLAIM: u32 = 2;
/// How soon the store is asked again after it had something due.
const AGAIN: Duration = Duration::from_millis(10);
/// How long a store that is away is left alone.
const AWAY: Duration = Duration::from_millis(500);
/// How often it is looked whether settlements are written again, before anything is claimed.
const STUCK: Duration = Duration::from_millis(20);
/// A destination that answered 410 and could not be disabled is left alone for this time.
const DISABLE_AGAIN: Duration = Duration::from_secs(5);
/// Deleted destinations that are remembered. When there are more, all are looked up again.
const MAX_DELETED: usize = 10_000;

impl Dispatcher {
    /// Something became due in the store that nobody handed over: the store is asked at once, or as soon as it has answered. It gets as much
    /// rest between two such claims as the last one took.
    pub(super) fn claim_soon(&mut self) {
        self.claim_again = self.claiming;
        if !self.claiming {
            self.claim_at = self.claim_at.min(self.claim_begun + self.claim_took * 2);
        }
    }

    /// Asks the store for due deliveries when it is time and there is room, one question at a time.
    pub(super) fn start_claim(&mut self) {
        let now = Instant::now();
        let room = self.lanes.room();
        if self.claiming || now < self.claim_at || room == 0 || !self.outbox.is_empty() {
            return;
        }
        if self.portion.is_nothing() {
            self.claim_at = now + self.worker.settings.poll;
            return;
        }
        if self.attempts.settle.is_stuck() {
            self.claim_at = now + STUCK;
            return;
        }
        let mut limits = self.destinations.claim_limits().clone();
        limits.extend(self.lanes.wants(now));
        let at = self.worker.clock.now();
        let by_bytes = self.lanes.free_bytes() / self.claimed_bytes.max(1);
        let wanted = self.worker.settings.claim_batch.min(room).min(by_bytes.max(1));
        let request = ClaimRequest {
            now: at,
            lease_until: at + milliseconds(self.worker.settings.lease),
            max: wanted,
            max_per_destination: self.defaults.claim_limit(),
            limits,
            share: self.portion.claim_share(at, self.worker.settings.share_grace),
        };
        self.claiming = true;
        self.claim_begun = now;
        let store = self.worker.store.clone();
        let panicked = StoreError::new(StoreErrorKind::Internal, "the claim panicked");
        let (portion, otherwise) = (self.portion.clone(), self.portion.clone());
        self.start(Report::Claimed { result: Err(panicked), wanted, portion: otherwise }, async move {
            Report::Claimed { result: store.claim(request).await, wanted, portion }
        });
    }

    /// `portion` is what was in force when the store was asked.
    pub(super) fn take_claimed(&mut self, result: Result<Vec<Claimed>, StoreError>, wanted: usize, portion: &Portion) {
        self.claiming = false;
        let now = Instant::now();
        self.claim_took = now.duration_since(self.claim_begun);
        match result {
            Ok(batch) => {
                if self.store_is_away {
                    self.store_is_away = false;
                    tracing::info!("due deliveries can be claimed again");
                }
                if !batch.is_empty() {
                    self.claimed_bytes = batch.iter().map(size).sum::<usize>() / batch.len();
                }
                // A full batch means that more is due; a smaller one that more may be, once its lanes have room again.
                let is_full = !batch.is_empty() && batch.len() >= wanted / 2;
                let wait = match batch.len() {
                    0 => self.worker.settings.poll,
                    _ if is_full => self.claim_took * REST_PER_CLAIM,
                    _ => AGAIN.min(self.worker.settings.poll),
                };
                self.claim_at = now + wait;
                if std::mem::take(&mut self.claim_again) {
                    self.claim_soon();
                }
                // What was overdue may be another slot's, unless the shares changed meanwhile.
                if *portion == self.portion { self.take_deliveries(batch) } else { self.take_own(batch) }
            }
            Err(error) => {
                if !self.store_is_away {
                    self.store_is_away = true;
                    tracing::warn!(code = error.code(), %error, "due deliveries cannot be claimed");
                }
                self.claim_at = now + self.worker.settings.poll.max(AWAY);
            }
        }
    }

    /// Keeps the leases of what waits in lanes: a slow destination does not make its deliveries somebody else's.
    pub(super) fn start_renewal(&mut self) {
        let now = Instant::now();
        if self.renewing || now < self.renew_at {
            return;
        }
        let lease = self.worker.settings.lease;
        let every = lease / 4;
        self.renew_at = now + every;
        let at = self.worker.clock.now();
        let until = at + milliseconds(lease);
        let leases = self.lanes.ending_leases(at, lease, every);
        if leases.is_empty() {
            return;
        }
        self.renewing = true;
        let store = self.worker.store.clone();
        self.start(Report::Renewed { leases: Vec::new(), lost: None, until }, async move {
            // When the store is away nothing is sent either: each attempt looks at its lease first.
            let lost = match store.renew(leases.clone(), until).await {
                Ok(lost) => Some(lost),
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "leases could not be renewed");
                    None
                }
            };
            Report::Renewed { leases, lost, until }
        });
    }

    pub(super) fn take_renewed(&mut self, leases: &[Lease], lost: Option<Vec<DeliveryId>>, until: UnixMillis) {
        self.renewing = false;
        if let Some(lost) = lost {
            let renewed: HashSet<_> = leases.iter().map(|lease| (lease.delivery, lease.generation)).collect();
            self.lanes.renewed(&renewed, &lost.into_iter().collect(), until);
        }
    }

    /// The destination answered 410: its lane stops at once, and it is disabled for everybody until an operator enables it again.
    pub(super) fn disable(&mut self, id: DestinationId) {
        let Some(to) = self.destinations.get(id).filter(|to| to.is_served()) else { return };
        if !self.disabling.insert(id) {
            return;
        }
        let url = to.destination.url.clone();
        self.lanes.hold(id, true, None, Instant::now());
        let (store, changes) = (self.worker.store.clone(), self.worker.coordination.changes.clone());
        self.start(Report::Disabled { destination: id, disabled: false }, async move {
            let disabled = match disable(store.as_ref(), id, url.as_str()).await {
                Ok(Some(version)) => {
                    tracing::warn!(destination.id = %id, "the destination answered 410 Gone and was disabled");
                    changes.announce(version).await;
                    true
                }
                Ok(None) => false,
                Err(error) => {
                    tracing::error!(destination.id = %id, code = error.code(), %error, "a destination that answered 410 Gone could not be disabled");
                    false
                }
            };
            Report::Disabled { destination: id, disabled }
        });
    }

    pub(super) fn take_disabled(&mut self, id: DestinationId, disabled: bool) {
        self.disabling.remove(&id);
        if !disabled {
            self.lanes.hold(id, false, Some(DISABLE_AGAIN), Instant::now());
        }
    }

    /// Asks the store which of the unknown destinations are only new. A delivery's destination existed before the delivery, so one
    /// that the store does not know now was deleted.
    pub(super) fn start_lookup(&mut self) {
        if self.looking_up || self.unknown.is_empty() {
            return;
        }
        self.looking_up = true;
        let asked = std::mem::take(&mut self.unknown);
        let store = self.worker.store.clone();
        self.start(Report::LookedUp { deleted: Vec::new() }, async move {
            let deleted = match store.configuration().await {
                Ok(configuration) => {
                    let known: HashSet<_> = configuration.destinations.iter().map(|one| one.id).collect();
                    asked.difference(&known).copied().collect()
                }
                // Their deliveries come up again, and so does the question.
                Err(_) => Vec::new(),
            };
            Report::LookedUp { deleted }
        });
    }

    pub(super) fn take_deleted(&mut self, deleted: Vec<DestinationId>) {
        self.looking_up = false;
        if self.deleted.len() + deleted.len() > MAX_DELETED {
            self.deleted.clear();
        }
        self.deleted.extend(deleted);
    }
}

/// Disables the destination as it is stored now, unless somebody changed its URL or state meanwhile. Returns the configuration's
/// new version.
async fn disable(store: &dyn Store, id: DestinationId, url: &str) -> Result<Option<u64>, StoreError> {
    let disabled = |current: &Configuration| {
        let is_meant =
            |one: &&Destination| one.id == id && one.url.as_str() == url && one.state == DestinationState::Active;
        let stored = current.destinations.iter().find(is_meant);
        let disabled = stored.map(|one| Destination { state: DestinationState::Disabled, ..one.clone() });
        Ok::<_, StoreError>((disabled.map(ConfigurationChange::PutDestination).into_iter().collect(), ()))
    };
    amend_configuration(store, disabled).await.map(|(version, ())| version)
}
