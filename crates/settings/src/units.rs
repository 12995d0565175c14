//! Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 5] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1), ("", 1)];

/// A number of bytes, written `64KiB`, `1MiB`, `2GiB` or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, for buffers; the largest `usize` where it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// That many KiB.
    pub(crate) const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// That many MiB.
    pub(crate) const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

/// Text that is not a [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a size is a number of bytes, or a number with KiB, MiB or GiB")]
pub struct InvalidByteSize;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        scaled(text, &SIZE_UNITS).map(Self).ok_or(InvalidByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.into_iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The duration that a text such as `250ms`, `30s`, `5m`, `24h` or `7d` stands for.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// The duration in the largest unit that divides it, as [`parse_duration`] reads it; one day is `24h`. Parts of a
/// millisecond are dropped.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let reads_well = |unit: &str, count: u64| count >= 2 || (count == 1 && unit != "d");
    let fits = |(unit, scale): &&(&str, u64)| ms.is_multiple_of(*scale) && reads_well(unit, ms / scale);
    DURATION_UNITS
        .iter()
        .rev()
        .find(fits)
        .map_or_else(|| "0s".to_owned(), |(unit, scale)| format!("{}{unit}", ms / scale))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_back_in_their_largest_unit() {
        for text in ["1ms", "250ms", "30s", "5m", "24h", "7d", "1500ms", "90s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
        assert_eq!(parse_duration("1d").map(show_duration).as_deref(), Some("24h"));
        assert_eq!(parse_duration("0ms"), Some(Duration::ZERO));
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn durations_need_a_known_unit_and_fit() {
        for text in ["", "30", "s", "-1s", "1.5s", "1 week", "30S", "18446744073709551615d", "1h30m"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_read_plain_and_binary_units_and_nothing_else() {
        let size = |text: &str| text.parse::<ByteSize>().ok().map(ByteSize::bytes);
        assert_eq!(size("1MiB"), Some(1_048_576));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("2GiB"), Some(2_147_483_648));
        assert_eq!(size("1000"), Some(1_000));
        for text in ["1MB", "1mib", "MiB", "", "-1", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
        assert_eq!(ByteSize::new(1_536).to_string(), "1536");
        assert_eq!(ByteSize::kib(64).to_string(), "64KiB");
    }
}
