//! One run out of those of its shards: progress and the generators' health.

use std::collections::BTreeMap;

use crate::executor::Progress;
use crate::generator::Health;

/// Adds up how the scenarios stand. A scenario runs while it does in one shard, and is over when it is in all.
pub(super) fn progress<'a>(shards: impl Iterator<Item = &'a BTreeMap<String, Progress>>) -> BTreeMap<String, Progress> {
    let mut merged: BTreeMap<String, Progress> = BTreeMap::new();
    for (name, progress) in shards.flatten() {
        match merged.get_mut(name) {
            Some(sum) => sum.add(progress),
            None => _ = merged.insert(name.clone(), progress.clone()),
        }
    }
    merged
}

/// See [`Health::worse`]. One shard that was the bottleneck makes the whole run invalid. `None` without shards.
pub(super) fn health<'a>(shards: impl Iterator<Item = (u32, &'a Health)>) -> Option<Health> {
    let mut merged: Option<Health> = None;
    for (shard, health) in shards {
        let own =
            Health { invalid: health.invalid.as_ref().map(|why| format!("shard {shard}: {why}")), ..health.clone() };
        merged = Some(match merged {
            None => own,
            Some(sum) => sum.worse(&own),
        });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_that_was_the_bottleneck_makes_the_run_invalid() {
        let sound = Health {
            cpu_percent: 40.0,
            cpu_percent_max: 95.0,
            cores: 2,
            lag_p99_ms: 1.0,
            file_descriptors: 100,
            file_descriptor_limit: 1_000,
            memory_bytes: 10,
            invalid: None,
        };
        let slow = Health {
            cpu_percent: 20.0,
            lag_p99_ms: 80.0,
            file_descriptors: 200,
            file_descriptor_limit: 100_000,
            memory_bytes: 20,
            invalid: Some("late".to_owned()),
            ..sound.clone()
        };
        let merged = health([(0, &sound), (1, &slow), (2, &sound)].into_iter()).unwrap();
        let expected = Health {
            cores: 6,
            lag_p99_ms: 80.0,
            memory_bytes: 20,
            invalid: Some("shard 1: late".to_owned()),
            ..sound.clone()
        };
        assert_eq!(merged, expected);
        assert_eq!(health([(0, &sound), (1, &sound)].into_iter()).unwrap().invalid, None);
        assert_eq!(health(std::iter::empty()), None);
    }

    #[test]
    fn a_scenario_is_over_when_it_is_in_all_shards() {
        let shard = |ended: bool, errors: u64| {
            let last_error = (errors > 0).then(|| ("refused".to_owned(), errors));
            let progress =
                Progress { started: 5, completed: 4, running: !ended, ended, last_error, ..Progress::default() };
            BTreeMap::from([("peak".to_owned(), progress)])
        };
        let merged = progress([shard(true, 0), shard(false, 2), shard(true, 3)].iter());
        let peak = &merged["peak"];
        assert_eq!((peak.started, peak.completed, peak.running, peak.ended), (15, 12, true, false));
        assert_eq!(peak.last_error, Some(("refused".to_owned(), 5)));
        assert!(progress([shard(true, 0), shard(true, 0)].iter())["peak"].ended);
    }
}
