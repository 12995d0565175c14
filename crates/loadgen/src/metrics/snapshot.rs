use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_slo::threshold::Threshold;

use super::metric::Metric;
use super::tags::Tags;
use super::values::Values;

/// Version of a snapshot's JSON. Another version is refused.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything measured from a run's start until now, without loss. Snapshots of shards add up, see [`Shards`](super::Shards).
///
/// As JSON it holds what has samples only; each histogram is a list of the buckets in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Snapshot {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which part of a distributed run this is; `None` when it is the whole run.
    pub shard: Option<u32>,
    /// Number of this snapshot among those of its shard, from 1; a later one contains the earlier ones.
    pub sequence: u64,
    /// Whether the shard has ended and sends no later one. Whoever ends the run sets it.
    pub last: bool,
    /// The series, in the order of their tags. The phases of requests are kept by scenario, except where a threshold names more.
    pub series: Vec<SeriesValues>,
}

/// The values of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesValues {
    /// What they are about.
    pub tags: Tags,
    /// Metrics that have samples.
    pub values: BTreeMap<Metric, Values>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema_version: u32,
    shard: Option<u32>,
    sequence: u64,
    last: bool,
    series: Vec<SeriesValues>,
}

impl TryFrom<Wire> for Snapshot {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let Wire { schema_version, shard, sequence, last, series } = wire;
        if schema_version != SCHEMA_VERSION {
            return Err(format!(
                "the snapshot has version {schema_version} and this program reads version {SCHEMA_VERSION}: \
                 run the same version of the load generator everywhere"
            ));
        }
        for (metric, values) in series.iter().flat_map(|series| &series.values) {
            if metric.kind() != values.kind() {
                return Err(format!("the values of {metric} are not those of a {}", metric.kind()));
            }
        }
        Ok(Self { schema_version, shard, sequence, last, series })
    }
}

impl Snapshot {
    pub(crate) fn new(shard: Option<u32>, sequence: u64, series: Vec<SeriesValues>) -> Self {
        Self { schema_version: SCHEMA_VERSION, shard, sequence, last: false, series }
    }

    /// The sum of some snapshots, in any order.
    pub(crate) fn sum<'a>(snapshots: impl Iterator<Item = &'a Self>) -> Vec<SeriesValues> {
        let mut sum: BTreeMap<&Tags, BTreeMap<Metric, Values>> = BTreeMap::new();
        for series in snapshots.flat_map(|snapshot| &snapshot.series) {
            let values = sum.entry(&series.tags).or_default();
            for (metric, more) in &series.values {
                match values.get_mut(metric) {
                    Some(values) => values.merge(more),
                    None => _ = values.insert(*metric, more.clone()),
                }
            }
        }
        sum.into_iter().map(|(tags, values)| SeriesValues { tags: tags.clone(), values }).collect()
    }

    /// A metric over all series that have these tags; no tags mean all series. `None` without samples, but a counter is zero then.
    pub fn total(&self, metric: Metric, tags: &[(String, String)]) -> Option<Values> {
        let matching = self.series.iter().filter(|series| series.tags.matches(tags));
        Values::total(metric.kind(), matching.filter_map(|series| series.values.get(&metric)))
    }

    /// A metric by the values of one tag, in their order; series without the tag are left out.
    pub fn by_tag(&self, metric: Metric, tag: &str) -> BTreeMap<String, Values> {
        let mut groups: BTreeMap<String, Values> = BTreeMap::new();
        for series in &self.series {
            if let (Some(value), Some(values)) = (series.tags.get(tag), series.values.get(&metric)) {
                match groups.get_mut(value.as_ref()) {
                    Some(group) => group.merge(values),
                    None => _ = groups.insert(value.into_owned(), values.clone()),
                }
            }
        }
        groups
    }

    /// What a threshold shall be compared with over a whole run that took `elapsed`; `None` without samples, and for a threshold with a
    /// window, which [`Registry::value`](super::Registry::value) knows while the run goes on.
    pub fn value(&self, threshold: &Threshold, elapsed: Duration) -> Option<f64> {
        let Threshold { selector, expression, .. } = threshold;
        if expression.window.is_some() {
            return None;
        }
        let metric = Metric::from_str(&selector.metric).ok()?;
        self.total(metric, &selector.tags)?.aggregate(expression.aggregation, elapsed)
    }

    /// Whether there were more sets of tags than the registry keeps, so that some samples count under [`OTHER`](super::OTHER) only.
    pub fn has_overflowed(&self) -> bool {
        self.series.iter().any(|series| series.tags == Tags::other())
    }
}
