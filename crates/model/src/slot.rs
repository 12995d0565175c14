//! Worker slots: two groups of workers that share the deliveries, so that a new version can be given a part of them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DeliveryId;

/// One of the two groups of workers. A worker may belong to one of them, or to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// `blue`.
    Blue,
    /// `green`.
    Green,
}

impl Slot {
    /// Both, in the order in which they are listed.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// `blue` or `green`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a worker slot is blue or green")]
pub struct InvalidSlot;

impl FromStr for Slot {
    type Err = InvalidSlot;

    fn from_str(text: &str) -> Result<Self, InvalidSlot> {
        Self::BOTH.into_iter().find(|slot| slot.name() == text).ok_or(InvalidSlot)
    }
}

/// How the deliveries are shared between the slots, in percent. Both shares together are 100.
///
/// A delivery belongs to the slot whose part of 0 to 99 its [`DeliveryId::bucket`] lies in: blue has the lower part. So a share that
/// grows keeps what it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Percentages", into = "Percentages")]
pub struct WorkerShares {
    blue: u8,
}

/// The written form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Percentages {
    blue: u8,
    green: u8,
}

/// Shares that are not 100 together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shares of both slots must be 100 together; blue {blue} and green {green} are {}", u16::from(*blue) + u16::from(*green))]
pub struct InvalidWorkerShares {
    /// Blue's.
    pub blue: u8,
    /// Green's.
    pub green: u8,
}

impl WorkerShares {
    /// Parts that all deliveries are divided into.
    pub const BUCKETS: u8 = 100;

    /// These shares.
    ///
    /// # Errors
    /// When they are not 100 together.
    pub fn new(blue: u8, green: u8) -> Result<Self, InvalidWorkerShares> {
        let is_whole = u16::from(blue) + u16::from(green) == u16::from(Self::BUCKETS);
        if is_whole { Ok(Self { blue }) } else { Err(InvalidWorkerShares { blue, green }) }
    }

    /// The slot's share, 0 to 100.
    #[must_use]
    pub const fn of(self, slot: Slot) -> u8 {
        match slot {
            Slot::Blue => self.blue,
            Slot::Green => Self::BUCKETS - self.blue,
        }
    }

    /// The slot's part of the buckets; empty when its share is 0.
    #[must_use]
    pub const fn buckets(self, slot: Slot) -> Range<u8> {
        match slot {
            Slot::Blue => 0..self.blue,
            Slot::Green => self.blue..Self::BUCKETS,
        }
    }

    /// The slot that the delivery belongs to.
    #[must_use]
    pub const fn owner(self, delivery: DeliveryId) -> Slot {
        if delivery.bucket() < self.blue { Slot::Blue } else { Slot::Green }
    }
}

impl TryFrom<Percentages> for WorkerShares {
    type Error = InvalidWorkerShares;

    fn try_from(Percentages { blue, green }: Percentages) -> Result<Self, InvalidWorkerShares> {
        Self::new(blue, green)
    }
}

impl From<WorkerShares> for Percentages {
    fn from(shares: WorkerShares) -> Self {
        Self { blue: shares.of(Slot::Blue), green: shares.of(Slot::Green) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventId;

    /// The delivery of an event that was the `counter`th of that millisecond.
    fn delivery(at: u64, counter: u64, ordinal: u16) -> DeliveryId {
        EventId::from_u128(u128::from(at) << 80 | u128::from(counter) << 64).delivery(ordinal)
    }

    #[test]
    fn shares_are_100_together_and_read_back() {
        assert_eq!(WorkerShares::new(90, 20), Err(InvalidWorkerShares { blue: 90, green: 20 }));
        assert!(WorkerShares::new(200, 156).is_err());
        let shares = WorkerShares::new(90, 10).expect("shares");
        assert_eq!(serde_json::to_value(shares).expect("JSON"), serde_json::json!({"blue": 90, "green": 10}));
        assert_eq!(serde_json::from_str::<WorkerShares>(r#"{"blue":90,"green":10}"#).expect("shares"), shares);
        for bad in [r#"{"blue":90}"#, r#"{"blue":90,"green":9}"#, r#"{"blue":90,"green":10,"red":0}"#] {
            assert!(serde_json::from_str::<WorkerShares>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_bucket_belongs_to_one_slot_and_a_growing_share_keeps_what_it_had() {
        let mut greens = Vec::new();
        for green in 0..=100 {
            let shares = WorkerShares::new(100 - green, green).expect("shares");
            let (blue, green) = (shares.buckets(Slot::Blue), shares.buckets(Slot::Green));
            assert!((0..100).all(|bucket| blue.contains(&bucket) != green.contains(&bucket)));
            assert_eq!((blue.len(), green.len()), (shares.of(Slot::Blue).into(), shares.of(Slot::Green).into()));
            assert!(greens.iter().all(|bucket| green.contains(bucket)));
            greens = green.collect();
        }
    }

    /// Steady senders, bursts and fans are what a bad mix of the bits would show in.
    #[test]
    fn whatever_the_rhythm_of_the_events_the_share_of_two_thousand_is_kept() {
        const N: u64 = 2_000;
        const START: u64 = 1_767_225_600_000;
        let shares = WorkerShares::new(90, 10).expect("shares");
        let mut rhythms: Vec<(String, Vec<DeliveryId>)> = Vec::new();
        for step in [1, 2, 5, 10, 20, 25, 40, 50, 64, 100, 128, 200, 250, 500, 512, 1_000, 1_024, 4_096, 60_000] {
            rhythms.push((format!("every {step} ms"), (0..N).map(|n| delivery(START + n * step, 0, 0)).collect()));
        }
        for burst in [2, 7, 50, 500] {
            let in_bursts = (0..N).map(|n| delivery(START + n / burst * 10, n % burst, 0)).collect();
            rhythms.push((format!("bursts of {burst}"), in_bursts));
        }
        for fan in [2, 3, 10, 100] {
            let fanned = (0..N).map(|n| delivery(START + n / fan * 10, 0, (n % fan) as u16)).collect();
            rhythms.push((format!("{fan} deliveries each"), fanned));
        }
        for (rhythm, deliveries) in rhythms {
            let green = deliveries.iter().filter(|id| shares.owner(**id) == Slot::Green).count();
            let percent = green as f64 * 100.0 / N as f64;
            assert!((7.0..=13.0).contains(&percent), "{rhythm}: {percent} % instead of 10 %");
        }
    }

    #[test]
    fn an_attempt_or_another_process_does_not_change_the_bucket() {
        let id = delivery(1_767_225_600_123, 7, 3);
        let elsewhere = DeliveryId::from_u128(id.to_u128() | 0x1234_5678 << 32);
        assert_eq!(id.bucket(), elsewhere.bucket());
        assert_eq!(id.bucket(), id.attempt(9).delivery().bucket());
    }
}
