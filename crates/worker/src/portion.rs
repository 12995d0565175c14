//! Which deliveries a worker takes, while worker slots share them.

use std::ops::Range;
use std::time::Duration;

use spillway_model::{Configuration, DeliveryId, Slot, UnixMillis, WorkerShares};
use spillway_store::ClaimShare;

use crate::lease::milliseconds;

/// Which deliveries a worker takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Portion {
    /// Any: the deliveries are not shared.
    All,
    /// Those in its slot's buckets, none if that is empty.
    Own(Range<u8>),
    /// Only what the slots left lying, because it belongs to none.
    Leftovers,
}

impl Portion {
    /// What a worker of this slot takes by this configuration.
    pub(crate) fn of(configuration: &Configuration, slot: Option<Slot>) -> Self {
        match (configuration.worker_shares, slot) {
            (None, _) => Self::All,
            (Some(shares), Some(slot)) => Self::Own(shares.buckets(slot)),
            (Some(_), None) => Self::Leftovers,
        }
    }

    /// Whether the delivery is this worker's own.
    pub(crate) fn has(&self, delivery: DeliveryId) -> bool {
        match self {
            Self::All => true,
            Self::Own(buckets) => buckets.contains(&delivery.bucket()),
            Self::Leftovers => false,
        }
    }

    /// Whether nothing at all may be taken: a slot that was given no share must not send anything, whoever else does not.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Own(buckets) if buckets.is_empty())
    }

    /// What a claim may take besides being due; `None` when any delivery will do. What has been due for longer than `grace` is anybody's.
    pub(crate) fn claim_share(&self, now: UnixMillis, grace: Duration) -> Option<ClaimShare> {
        let overdue_before = now - milliseconds(grace);
        match self {
            Self::All => None,
            Self::Own(buckets) => Some(ClaimShare { buckets: buckets.clone(), overdue_before }),
            Self::Leftovers => Some(ClaimShare { buckets: 0..0, overdue_before }),
        }
    }

    /// Share of all deliveries, 0 to 1.
    pub(crate) fn ratio(&self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Own(buckets) => buckets.len() as f64 / f64::from(WorkerShares::BUCKETS),
            Self::Leftovers => 0.0,
        }
    }

    /// Tells an operator what the worker takes from now on.
    pub(crate) fn announce(&self, slot: Option<Slot>) {
        let slot = slot.map(Slot::name);
        match self {
            Self::All => tracing::info!(slot, "the deliveries are not shared: this worker takes any of them"),
            Self::Own(buckets) => {
                tracing::info!(slot, percent = buckets.len(), "this worker takes its slot's share of the deliveries");
            }
            Self::Leftovers => tracing::warn!(
                "worker slots share all deliveries and this worker has none: it takes only what they leave lying; start it with --slot"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portion(shares: Option<(u8, u8)>, slot: Option<Slot>) -> Portion {
        let worker_shares = shares.map(|(blue, green)| WorkerShares::new(blue, green).expect("shares"));
        Portion::of(&Configuration { worker_shares, ..Configuration::default() }, slot)
    }

    #[test]
    fn without_shares_a_slot_means_nothing() {
        for slot in [None, Some(Slot::Blue), Some(Slot::Green)] {
            let all = portion(None, slot);
            assert_eq!((all.claim_share(9, Duration::ZERO), all.ratio()), (None, 1.0));
            assert!((0..100).all(|n| all.has(DeliveryId::from_u128(n << 80))) && !all.is_nothing());
        }
    }

    #[test]
    fn each_delivery_is_one_slots_and_a_worker_without_a_slot_has_what_was_left_lying() {
        let [blue, green, none] = [Some(Slot::Blue), Some(Slot::Green), None].map(|slot| portion(Some((70, 30)), slot));
        for n in 0..1_000 {
            let id = DeliveryId::from_u128(n << 80);
            assert!(blue.has(id) != green.has(id) && !none.has(id));
        }
        assert_eq!([blue.ratio(), green.ratio(), none.ratio()], [0.7, 0.3, 0.0]);
        let claims = |portion: &Portion| portion.claim_share(100_000, Duration::from_secs(60));
        assert_eq!(claims(&green), Some(ClaimShare { buckets: 70..100, overdue_before: 40_000 }));
        assert_eq!(claims(&none), Some(ClaimShare { buckets: 0..0, overdue_before: 40_000 }));
    }

    #[test]
    fn a_share_of_nothing_is_nothing_at_all() {
        assert!(portion(Some((100, 0)), Some(Slot::Green)).is_nothing());
        assert!(!portion(Some((99, 1)), Some(Slot::Green)).is_nothing());
        assert!(!portion(Some((100, 0)), None).is_nothing());
    }
}
