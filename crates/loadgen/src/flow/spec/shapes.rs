//! Fields that are written as a text or as a table.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use spillway_slo::duration::Timespan;

use crate::http::Network;

/// A pause: always the same, or drawn evenly between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

/// A link, by one of the names in [`Network::NAMED`] or by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkSpec(pub Network);

/// Where a captured value is in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureSpec {
    /// At this JSON pointer (RFC 6901) of the body. A text goes on without its quotation marks, anything else as JSON.
    Json(String),
    /// In this header.
    Header(String),
    /// What the first group of this regular expression matches in the body; without groups, the whole match.
    Regex(String),
}

/// What may be written as a text, a number or a table.
trait Shape: Sized {
    type Table: DeserializeOwned;
    const EXPECTED: &'static str;

    fn of_text(text: &str) -> Result<Self, String>;
    fn of_table(table: Self::Table) -> Result<Self, String>;
}

struct Written<S>(PhantomData<S>);

impl<'de, S: Shape> Visitor<'de> for Written<S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<S, E> {
        S::of_text(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<S, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<S, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<S, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<S, A::Error> {
        let table = S::Table::deserialize(MapAccessDeserializer::new(map))?;
        S::of_table(table).map_err(de::Error::custom)
    }
}

macro_rules! read_as_shape {
    ($($shape:ty),+) => {$(
        impl<'de> Deserialize<'de> for $shape {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Written::<Self>(PhantomData))
            }
        }
    )+};
}

read_as_shape!(Pause, NetworkSpec, CaptureSpec);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseTable {
    min: Timespan,
    max: Timespan,
}

impl Shape for Pause {
    type Table = PauseTable;
    const EXPECTED: &'static str = "a pause such as \"2s\", or { min = \"1s\", max = \"3s\" }";

    fn of_text(text: &str) -> Result<Self, String> {
        let Timespan(pause) = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { min: pause, max: pause })
    }

    fn of_table(table: PauseTable) -> Result<Self, String> {
        let PauseTable { min: Timespan(min), max: Timespan(max) } = table;
        if min > max {
            return Err("the pause's min is longer than its max".to_owned());
        }
        Ok(Self { min, max })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkTable {
    down_kbit: Option<u64>,
    up_kbit: Option<u64>,
    #[serde(default)]
    latency_ms: u64,
}

impl Shape for NetworkSpec {
    type Table = NetworkTable;
    const EXPECTED: &'static str = "a network such as \"3g\", or { down_kbit = 1600, up_kbit = 768, latency_ms = 300 }";

    fn of_text(text: &str) -> Result<Self, String> {
        let known = || Network::NAMED.map(|(name, _)| name).join(", ");
        let network = Network::named(text);
        network.map(Self).ok_or_else(|| {
            format!(
                "there is no network {text:?}: it is one of {}, or a table with down_kbit, up_kbit and latency_ms",
                known()
            )
        })
    }

    fn of_table(table: NetworkTable) -> Result<Self, String> {
        let bits = |kbit: Option<u64>| match kbit {
            Some(0) => Err("a network lets at least 1 kbit/s through: leave the field out for no limit".to_owned()),
            Some(kbit) => Ok(Some(kbit.saturating_mul(1_000))),
            None => Ok(None),
        };
        let latency = Duration::from_millis(table.latency_ms);
        Ok(Self(Network { down: bits(table.down_kbit)?, up: bits(table.up_kbit)?, latency }))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptureTable {
    json: Option<String>,
    header: Option<String>,
    regex: Option<String>,
}

impl Shape for CaptureSpec {
    type Table = CaptureTable;
    const EXPECTED: &'static str =
        "a JSON pointer such as \"/id\", { json = \"/id\" }, { header = \"location\" } or { regex = \"id=(\\\\d+)\" }";

    fn of_text(text: &str) -> Result<Self, String> {
        Ok(Self::Json(text.to_owned()))
    }

    fn of_table(table: CaptureTable) -> Result<Self, String> {
        match (table.json, table.header, table.regex) {
            (Some(pointer), None, None) => Ok(Self::Json(pointer)),
            (None, Some(header), None) => Ok(Self::Header(header)),
            (None, None, Some(regex)) => Ok(Self::Regex(regex)),
            _ => Err("a capture has exactly one of json, header and regex".to_owned()),
        }
    }
}
