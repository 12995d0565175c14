//! Files that state a service's objectives for load tests, and the thresholds they stand for.
//!
//! ```toml
//! p50_ms = 100
//! p95_ms = 250
//! p99_ms = 400
//! error_rate_percent = 0.5
//! throughput_rps = 1000
//!
//! [environments.staging]
//! p95_ms = 400
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::syntax::excerpt;
use crate::threshold::{Aggregation, Comparison, Expression, Selector, Threshold};

/// The objectives of a file, and what environments state otherwise. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    objectives: Objectives,
    environments: BTreeMap<String, Objectives>,
}

/// Why a [`Gate`] has no thresholds to give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The file has no table for the environment.
    #[error(
        "the objectives have no environment `{wanted}` ({}): choose one of them, or add [environments.{wanted}], which may be empty",
        listed(known)
    )]
    UnknownEnvironment {
        /// The environment asked for.
        wanted: String,
        /// Those of the file.
        known: Vec<String>,
    },
    /// Nothing is stated, so that every run would pass.
    #[error("no objective is stated: give at least one of {}", known_keys())]
    Nothing,
}

impl Gate {
    /// Thresholds for an environment: its own objectives, and those of the file where it states none. Without an
    /// environment those of the file.
    ///
    /// A limit itself still passes. Without samples a threshold fails.
    ///
    /// # Errors
    /// When the environment is not in the file, or nothing is stated for it.
    pub fn thresholds(&self, environment: Option<&str>) -> Result<Vec<Threshold>, GateError> {
        let mut objectives = self.objectives.clone();
        if let Some(wanted) = environment {
            objectives.extend(self.environments.get(wanted).ok_or_else(|| GateError::UnknownEnvironment {
                wanted: excerpt(wanted),
                known: self.environments.keys().cloned().collect(),
            })?);
        }
        if objectives.is_empty() {
            return Err(GateError::Nothing);
        }
        Ok(objectives.into_iter().map(|(objective, limit)| objective.threshold(limit)).collect())
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}

type Objectives = BTreeMap<Objective, f64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Objective {
    P50,
    P95,
    P99,
    ErrorRate,
    Throughput,
}

const KEYS: [(&str, Objective); 5] = [
    ("p50_ms", Objective::P50),
    ("p95_ms", Objective::P95),
    ("p99_ms", Objective::P99),
    ("error_rate_percent", Objective::ErrorRate),
    ("throughput_rps", Objective::Throughput),
];
const ENVIRONMENTS: &str = "environments";

impl Objective {
    fn threshold(self, limit: f64) -> Threshold {
        let latency = |percent| ("http_req_duration", Aggregation::Percentile(percent), Comparison::LessOrEqual, limit);
        let (metric, aggregation, comparison, limit) = match self {
            Self::P50 => latency(50.0),
            Self::P95 => latency(95.0),
            Self::P99 => latency(99.0),
            Self::ErrorRate => ("http_req_failed", Aggregation::Rate, Comparison::LessOrEqual, share(limit)),
            Self::Throughput => ("http_reqs", Aggregation::Rate, Comparison::GreaterOrEqual, limit),
        };
        let selector = Selector { metric: metric.to_owned(), tags: Vec::new() };
        Threshold::new(selector, Expression { aggregation, comparison, limit, window: None })
    }
}

/// Percent as a share from 0 to 1. Moving the decimal point keeps 0.7 % at 0.007, where a division gives 0.006999….
fn share(percent: f64) -> f64 {
    format!("{percent}e-2").parse().unwrap_or(percent / 100.0)
}

/// Reads the limit of the objective.
impl<'de> DeserializeSeed<'de> for Objective {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        let limit = f64::deserialize(deserializer)?;
        match self {
            Self::ErrorRate if !(0.0..=100.0).contains(&limit) => {
                Err(D::Error::custom(format_args!("an error rate is from 0 to 100 percent, not {limit}")))
            }
            Self::P50 | Self::P95 | Self::P99 | Self::Throughput if !(limit.is_finite() && limit > 0.0) => {
                Err(D::Error::custom(format_args!("a limit is a number greater than zero, not {limit}")))
            }
            _ => Ok(limit),
        }
    }
}

enum Key {
    Objective(Objective),
    Environments,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Cow::<'de, str>::deserialize(deserializer)?;
        if written == ENVIRONMENTS {
            return Ok(Self::Environments);
        }
        if let Some((_, objective)) = KEYS.into_iter().find(|(key, _)| *key == written) {
            return Ok(Self::Objective(objective));
        }
        let written = excerpt(&written);
        let likeness = |key: &&str| strsim::jaro_winkler(&written, key);
        let keys = KEYS.into_iter().map(|(key, _)| key).chain([ENVIRONMENTS]);
        let nearest = keys.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(ENVIRONMENTS);
        let known = known_keys();
        Err(D::Error::custom(format_args!(
            "unknown objective `{written}`, the nearest name is `{nearest}`: objectives are {known}"
        )))
    }
}

fn known_keys() -> String {
    KEYS.map(|(key, _)| key).join(", ")
}

impl<'de> Deserialize<'de> for Gate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(GateVisitor)
    }
}

struct GateVisitor;

impl<'de> Visitor<'de> for GateVisitor {
    type Value = Gate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objectives ({}) and environments", known_keys())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Gate, A::Error> {
        let mut gate = Gate { objectives: Objectives::new(), environments: BTreeMap::new() };
        while let Some(key) = map.next_key()? {
            match key {
                Key::Objective(objective) => {
                    gate.objectives.insert(objective, map.next_value_seed(objective)?);
                }
                Key::Environments => {
                    let environments: BTreeMap<String, Overrides> = map.next_value()?;
                    gate.environments =
                        environments.into_iter().map(|(name, Overrides(stated))| (name, stated)).collect();
                }
            }
        }
        Ok(gate)
    }
}

/// What one environment states.
struct Overrides(Objectives);

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Gate { objectives, environments } = Gate::deserialize(deserializer)?;
        if environments.is_empty() {
            return Ok(Self(objectives));
        }
        Err(D::Error::custom("an environment has no environments of its own"))
    }
}
