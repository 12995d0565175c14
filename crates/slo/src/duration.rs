//! Durations as option files write them: milliseconds, or numbers with units such as `1h2m3.5s` and `1d12h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::SyntaxError;
use crate::syntax::excerpt;

/// A duration in the grammar of k6's options, which Go's durations and days make up.
///
/// A bare number counts milliseconds, as a number or as text. Otherwise each number has a unit (`d`, `h`, `m`, `s`, `ms`,
/// `us` or `µs`, `ns`), the largest first and each unit once. Fractions are exact to the nanosecond. Never negative, and at
/// most 2⁶³ − 1 ns, about 292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timespan(pub Duration);

/// What is wrong with the text of a [`Timespan`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationProblem {
    /// Nothing was written.
    #[error("expected a duration such as 30s, 1h2m3.5s or 1d12h")]
    Missing,
    /// Something else stands where a number belongs.
    #[error("expected a number: a duration is written like 30s, 1h2m3.5s or 1d12h")]
    NotANumber,
    /// Less than zero.
    #[error("a duration cannot be negative")]
    Negative,
    /// A number among others has no unit.
    #[error("this number has no unit: write d, h, m, s, ms, us or ns after it")]
    NoUnit,
    /// An unknown unit.
    #[error("`{0}` is no unit of time: write d, h, m, s, ms, us or ns")]
    UnknownUnit(String),
    /// A unit stands twice, or after a smaller one.
    #[error("units go from the largest to the smallest, each once")]
    Order,
    /// More digits than nanoseconds can hold.
    #[error("this is finer than a nanosecond: write fewer digits")]
    TooFine,
    /// More than [`Timespan`] holds.
    #[error("a duration is at most 292 years")]
    TooLong,
}

const LONGEST: u128 = i64::MAX as u128;
const MILLISECOND: u64 = 1_000_000;

/// Names and nanoseconds, the largest first; the first name is the one that is written.
const UNITS: [(&[&str], u64); 7] = [
    (&["d"], 86_400_000_000_000),
    (&["h"], 3_600_000_000_000),
    (&["m"], 60_000_000_000),
    (&["s"], 1_000_000_000),
    (&["ms"], MILLISECOND),
    (&["us", "µs", "μs"], 1_000),
    (&["ns"], 1),
];

impl FromStr for Timespan {
    type Err = SyntaxError<DurationProblem>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem, rest: &str| SyntaxError::new(problem, text, text.len() - rest.len());
        if text.is_empty() {
            return Err(error(DurationProblem::Missing, text));
        }
        let mut total = 0;
        let mut larger_units = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
            let (unit, next) = split_where(after, |c| !c.is_alphabetic());
            let nanoseconds = if number.len() == text.len() {
                MILLISECOND
            } else if number.is_empty() {
                let negative = rest.starts_with('-');
                let problem = if negative { DurationProblem::Negative } else { DurationProblem::NotANumber };
                return Err(error(problem, rest));
            } else if unit.is_empty() {
                return Err(error(DurationProblem::NoUnit, after));
            } else {
                let place = UNITS.iter().position(|(names, _)| names.contains(&unit));
                let place = place.ok_or_else(|| error(DurationProblem::UnknownUnit(excerpt(unit)), after))?;
                if place < larger_units {
                    return Err(error(DurationProblem::Order, after));
                }
                larger_units = place + 1;
                UNITS[place].1
            };
            total += multiply(number, nanoseconds).map_err(|problem| error(problem, rest))?;
            if total > LONGEST {
                return Err(error(DurationProblem::TooLong, rest));
            }
            rest = next;
        }
        Ok(Self(Duration::from_nanos_u128(total)))
    }
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// A decimal number of units, in nanoseconds.
fn multiply(number: &str, nanoseconds: u64) -> Result<u128, DurationProblem> {
    /// No unit has an exact fraction of more digits: a day is 2¹⁶ · 3³ · 5¹¹ ns.
    const MOST_DIGITS: usize = 16;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return Err(DurationProblem::NotANumber);
    }
    let unit = u128::from(nanoseconds);
    let whole: u64 = format!("0{whole}").parse().map_err(|_| DurationProblem::TooLong)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > MOST_DIGITS {
        return Err(DurationProblem::TooFine);
    }
    let scale = fraction.chars().fold(1, |scale: u128, _| scale * 10);
    let numerator: u128 = format!("0{fraction}").parse().map_err(|_| DurationProblem::TooFine)?;
    match numerator * unit % scale {
        0 => Ok(u128::from(whole) * unit + numerator * unit / scale),
        _ => Err(DurationProblem::TooFine),
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (names, nanoseconds) in UNITS {
            let nanoseconds = u128::from(nanoseconds);
            if rest >= nanoseconds {
                write!(f, "{}{}", rest / nanoseconds, names[0])?;
                rest %= nanoseconds;
            }
        }
        Ok(())
    }
}

impl From<Timespan> for Duration {
    fn from(timespan: Timespan) -> Self {
        timespan.0
    }
}

impl Serialize for Timespan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timespan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Timespan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: milliseconds, or text such as \"30s\", \"1h2m3.5s\" or \"1d12h\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timespan, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, milliseconds: u64) -> Result<Timespan, E> {
        self.visit_str(&milliseconds.to_string())
    }

    fn visit_i64<E: de::Error>(self, milliseconds: i64) -> Result<Timespan, E> {
        self.visit_str(&milliseconds.to_string())
    }

    /// The shortest decimal that stands for the number is what was written.
    fn visit_f64<E: de::Error>(self, milliseconds: f64) -> Result<Timespan, E> {
        self.visit_str(&milliseconds.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_days_fractions_and_bare_milliseconds_are_exact() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("1500", 1_500_000_000),
            ("0.5", 500_000),
            ("250ms", 250_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("1d12h", 129_600_000_000_000),
            ("1.5d", 129_600_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("0.100000000000000000000s", 100_000_000),
            ("0.0000152587890625d", 1_318_359_375),
            ("3µs", 3_000),
            ("3μs4ns", 3_004),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            let expected = Timespan(Duration::from_nanos(nanoseconds));
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_problem_and_the_character() {
        let unknown = |unit: &str| DurationProblem::UnknownUnit(unit.to_owned());
        for (text, problem, character) in [
            ("", DurationProblem::Missing, 1),
            ("-5s", DurationProblem::Negative, 1),
            ("+5s", DurationProblem::NotANumber, 1),
            ("soon", DurationProblem::NotANumber, 1),
            ("1h 30m", DurationProblem::NotANumber, 3),
            (".s", DurationProblem::NotANumber, 1),
            ("1.2.3s", DurationProblem::NotANumber, 1),
            ("1h30", DurationProblem::NoUnit, 5),
            ("1h30min", unknown("min"), 5),
            ("3µs4µ", unknown("µ"), 5),
            ("1e3", unknown("e"), 2),
            ("10s1m", DurationProblem::Order, 5),
            ("1m30m", DurationProblem::Order, 5),
            ("1s0.5ns", DurationProblem::TooFine, 3),
            ("0.0000000000000625d", DurationProblem::TooFine, 1),
            ("0.00000000000000001d", DurationProblem::TooFine, 1),
            ("9223372036854775808ns", DurationProblem::TooLong, 1),
            ("99999999999999999999d", DurationProblem::TooLong, 1),
            ("106751d24h", DurationProblem::TooLong, 8),
        ] {
            let error = text.parse::<Timespan>().expect_err(text);
            assert_eq!((error.problem(), error.character()), (&problem, character), "{text}");
        }
    }

    #[test]
    fn files_write_numbers_or_text() {
        let read = |json: &str| serde_json::from_str::<Timespan>(json).map(|timespan| timespan.to_string());
        for (json, text) in [("1500", "1s500ms"), ("0.1", "100us"), ("1e3", "1s"), (r#""1m30s""#, "1m30s")] {
            assert_eq!(read(json).expect(json), text);
        }
        for json in ["-1", "-0.5", "1e300", "1e-7", "true", "null", r#""x""#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in 0..=i64::MAX.unsigned_abs()) {
            let timespan = Timespan(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(timespan.to_string().parse(), Ok(timespan));
        }

        #[test]
        fn no_text_panics(text in "[0-9.]{0,40}(d|h|m|s|ms|µs|ns|\\PC)?[0-9.dhmsun-]{0,40}") {
            let _ = text.parse::<Timespan>();
        }
    }
}
