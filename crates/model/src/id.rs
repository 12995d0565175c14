//! Identifiers: a kind prefix and a UUIDv7 in base32, so that text order is time order.
//!
//! The ids of an event's deliveries and attempts are derived from the event's id, so that a child names its parents:
//!
//! ```text
//! | 48 bit ms | ver | 12 bit counter | var | 30 bit process | 16 bit delivery | 16 bit attempt |
//! ```
//!
//! Both fields at the end are zero in an event's id. Millisecond and counter are unique within one process and the process
//! number is random, so no coordination is needed between nodes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Clock, UnixMillis};

const VERSION_7: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const PROCESS_MASK: u64 = (1 << 30) - 1;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LENGTH: usize = 26;

/// Text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an identifier of the form {prefix}… with 26 characters of base32 is expected")]
pub struct InvalidId {
    /// The prefix that the wanted kind has, with its underscore.
    pub prefix: &'static str,
}

macro_rules! identifiers {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The identifier with exactly these bits; the inverse of [`Self::to_u128`].
            #[must_use]
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits of the UUID.
            #[must_use]
            pub const fn to_u128(self) -> u128 {
                self.0
            }

            /// The UUID's bytes, most significant first: byte order is time order.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identifier in `bytes`, or `None` unless there are exactly 16.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
            }

            /// When the identifier was made.
            #[must_use]
            pub const fn timestamp(self) -> UnixMillis {
                (self.0 >> 80) as i64
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix).and_then(read_base32).map(Self).ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

identifiers! {
    /// One received or published event.
    EventId = "evt_";
    /// One event on its way to one destination.
    DeliveryId = "dlv_";
    /// One request made for a delivery.
    AttemptId = "att_";
    /// A source: where events come from.
    SourceId = "src_";
    /// A destination: where deliveries go.
    DestinationId = "dst_";
    /// A connection from a source to a destination.
    ConnectionId = "con_";
    /// A replay job.
    ReplayId = "rpl_";
    /// A key of the management API.
    KeyId = "key_";
}

impl EventId {
    /// Millisecond and counter as one number: unique among the ids of one process, and in their order.
    #[must_use]
    pub const fn sequence(self) -> i64 {
        let milliseconds = (self.0 >> 80) as i64;
        let counter = ((self.0 >> 64) & 0xfff) as i64;
        milliseconds << 12 | counter
    }

    /// The smallest id of a millisecond, for range bounds. Times before the epoch count as the epoch.
    #[must_use]
    pub const fn first_of(at: UnixMillis) -> Self {
        let at = if at < 0 { 0 } else { at as u128 };
        Self(at << 80)
    }

    /// The id of this event's delivery with the number `ordinal`.
    #[must_use]
    pub const fn delivery(self, ordinal: u16) -> DeliveryId {
        DeliveryId(self.0 | (ordinal as u128) << 16)
    }
}

impl DeliveryId {
    /// The event that is delivered.
    #[must_use]
    pub const fn event(self) -> EventId {
        EventId(self.0 & !0xffff_ffff)
    }

    /// Which of the event's deliveries this is.
    #[must_use]
    pub const fn ordinal(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Which hundredth of all deliveries this is, 0 to 99: always the same for one delivery, evenly spread, and unrelated for
    /// the deliveries of one event.
    ///
    /// The low 36 bits of [`EventId::sequence`] and the ordinal are multiplied, and the middle of their square is taken. Every number stays
    /// below 2^63, and the stores compute the same in SQL: never change it.
    #[must_use]
    pub const fn bucket(self) -> u8 {
        let sequence = self.event().sequence() & ((1 << 36) - 1);
        let product = sequence * 60_493_313 + self.ordinal() as i64 * 2_654_435_761;
        let mixed = product >> 20 & 0x7fff_ffff;
        (((mixed * mixed) >> 20) % 100) as u8
    }

    /// The id of this delivery's attempt with the number `number`, counted from one.
    #[must_use]
    pub const fn attempt(self, number: u16) -> AttemptId {
        AttemptId(self.0 | number as u128)
    }
}

impl AttemptId {
    /// The delivery that was attempted.
    #[must_use]
    pub const fn delivery(self) -> DeliveryId {
        DeliveryId(self.0 & !0xffff)
    }

    /// The attempt's number, counted from one.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 as u16
    }
}

/// Makes identifiers that never repeat and never run backwards within this process, even when the clock does.
///
/// More than 4096 ids in one millisecond borrow from the next one.
pub struct IdGenerator {
    clock: Arc<dyn Clock>,
    /// Millisecond and counter of the last id, as in [`EventId::sequence`].
    last: AtomicU64,
    process: u64,
}

impl fmt::Debug for IdGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdGenerator").field("process", &self.process).finish_non_exhaustive()
    }
}

impl IdGenerator {
    /// A generator on `clock`. `process` tells this process from others; only its low 30 bits count, and they should be random.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, process: u32) -> Self {
        Self { clock, last: AtomicU64::new(0), process: u64::from(process) & PROCESS_MASK }
    }

    /// A generator with a random process number.
    #[must_use]
    pub fn random(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, rand::rng().random())
    }

    /// From now on makes only ids after `latest`, the newest id in the store: a clock that stepped back between two
    /// starts cannot repeat one.
    pub fn resume_after(&self, latest: EventId) {
        self.last.fetch_max(latest.sequence().cast_unsigned(), Ordering::Relaxed);
    }

    /// A new event id.
    #[must_use]
    pub fn event(&self) -> EventId {
        let floor = (self.clock.now().max(0).cast_unsigned()) << 12;
        let step = |last: u64| Some(floor.max(last + 1));
        let previous = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        let sequence = u128::from(floor.max(previous + 1));
        let bits =
            (sequence >> 12) << 80 | VERSION_7 | (sequence & 0xfff) << 64 | VARIANT | u128::from(self.process) << 32;
        EventId(bits)
    }

    /// The bits of a new identifier of any other kind: 62 random bits behind the time.
    fn plain(&self) -> u128 {
        let milliseconds = self.clock.now().max(0).cast_unsigned();
        let random: u128 = rand::rng().random();
        u128::from(milliseconds) << 80 | VERSION_7 | (random >> 64 & 0xfff) << 64 | VARIANT | random & ((1 << 62) - 1)
    }

    /// A new source id.
    #[must_use]
    pub fn source(&self) -> SourceId {
        SourceId(self.plain())
    }

    /// A new destination id.
    #[must_use]
    pub fn destination(&self) -> DestinationId {
        DestinationId(self.plain())
    }

    /// A new connection id.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        ConnectionId(self.plain())
    }

    /// A new replay id.
    #[must_use]
    pub fn replay(&self) -> ReplayId {
        ReplayId(self.plain())
    }

    /// A new key id.
    #[must_use]
    pub fn key(&self) -> KeyId {
        KeyId(self.plain())
    }
}

fn write_base32(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; TEXT_LENGTH];
    for (i, character) in text.iter_mut().enumerate() {
        *character = ALPHABET[(bits >> (5 * (TEXT_LENGTH - 1 - i)) & 31) as usize];
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn read_base32(text: &str) -> Option<u128> {
    if text.len() != TEXT_LENGTH || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0, |bits: u128, character| {
        let digit = ALPHABET.iter().position(|known| *known == character)?;
        Some(bits << 5 | digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use proptest::prelude::*;

    fn generator(clock: &Arc<ManualClock>) -> IdGenerator {
        IdGenerator::new(clock.clone(), 0xffff_ffff)
    }

    #[test]
    fn ids_are_uuid_version_7_and_carry_their_time() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_123));
        let id = generator(&clock).event();
        assert_eq!(id.timestamp(), 1_700_000_000_123);
        assert_eq!(id.to_bytes()[6] >> 4, 7);
        assert_eq!(id.to_bytes()[8] >> 6, 0b10);
    }

    #[test]
    fn ids_go_on_rising_when_the_clock_steps_back_or_a_millisecond_is_full() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let ids = generator(&clock);
        let mut last = ids.event();
        for n in 0..10_000 {
            if n == 5_000 {
                clock.advance(-60_000);
            }
            let next = ids.event();
            assert!(next > last && next.sequence() > last.sequence());
            last = next;
        }
    }

    #[test]
    fn a_restarted_process_continues_after_the_newest_stored_id() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let before = generator(&clock).event();
        clock.advance(-3_600_000);
        let after = generator(&clock);
        after.resume_after(before);
        assert!(after.event().sequence() > before.sequence());
    }

    #[test]
    fn a_child_names_its_parents() {
        let event = generator(&Arc::new(ManualClock::at(1_700_000_000_000))).event();
        let attempt = event.delivery(513).attempt(7);
        assert_eq!((attempt.number(), attempt.delivery().ordinal()), (7, 513));
        assert_eq!(attempt.delivery(), event.delivery(513));
        assert_eq!(attempt.delivery().event(), event);
    }

    #[test]
    fn another_kind_or_a_damaged_text_is_refused() {
        let event = generator(&Arc::new(ManualClock::at(1))).event();
        let text = event.to_string();
        assert_eq!(text.parse::<DeliveryId>(), Err(InvalidId { prefix: "dlv_" }));
        for bad in [
            "",
            "evt_",
            &text[..29],
            &format!("{text}0"),
            "evt_zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_ä1234567890123456789012345",
        ] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip_and_keep_the_order(a: u128, b: u128) {
            let (a, b) = (EventId::from_u128(a), EventId::from_u128(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(EventId::from_slice(&a.to_bytes()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
