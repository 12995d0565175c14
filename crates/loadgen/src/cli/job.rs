//! What a coordinator hands to its shards: the file as it is, and what its command line makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_slo::threshold::{NoSamples, Threshold};
use url::Url;

use super::Failure;
use crate::distributed::Assignment;
use crate::options::{Format, Options, Overrides, Plan, Stage};
use crate::segment::{Segment, SegmentedIndex};

/// A test on its way to a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// The file's name: errors begin with it, its ending is its format.
    file: PathBuf,
    text: String,
    vus: Option<u32>,
    duration: Option<Duration>,
    iterations: Option<u64>,
    stages: Vec<(Duration, f64)>,
    rps: Option<u32>,
    tags: BTreeMap<String, String>,
    thresholds: Vec<ShippedThreshold>,
    target: Option<String>,
    scale: f64,
    time_scale: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedThreshold {
    selector: String,
    expression: String,
    abort_on_fail: bool,
    delay_abort_eval: Duration,
    passes_without_samples: bool,
}

impl Job {
    /// The test of `file`. The segment of the command line does not count: each shard has its own.
    pub(super) fn new(file: &Path, overrides: &Overrides) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::configuration(format!("{}: {error}", file.display())))?;
        Ok(Self {
            file: file.file_name().unwrap_or(file.as_os_str()).into(),
            text,
            vus: overrides.vus,
            duration: overrides.duration,
            iterations: overrides.iterations,
            stages: overrides.stages.iter().map(|stage| (stage.duration, stage.target)).collect(),
            rps: overrides.rps,
            tags: overrides.tags.clone(),
            thresholds: overrides.thresholds.iter().map(ShippedThreshold::of).collect(),
            target: overrides.target.as_ref().map(ToString::to_string),
            scale: overrides.scale,
            time_scale: overrides.time_scale,
        })
    }

    /// The part of the test that falls to a shard. Of `rps` it has its share, at least one.
    pub(super) fn plan(self, assignment: &Assignment) -> Result<(Options, Plan), String> {
        let Assignment { execution_segment, execution_segment_sequence, .. } = assignment;
        let segment = Segment::parse(Some(execution_segment), Some(execution_segment_sequence));
        let segment = segment.map_err(|error| error.to_string())?;
        let thresholds: Result<Vec<_>, String> = self.thresholds.iter().map(ShippedThreshold::threshold).collect();
        let target = self.target.map(|target| Url::parse(&target)).transpose();
        let overrides = Overrides {
            vus: self.vus,
            duration: self.duration,
            iterations: self.iterations,
            stages: self.stages.iter().map(|&(duration, target)| Stage { duration, target }).collect(),
            rps: self.rps,
            tags: self.tags,
            thresholds: thresholds?,
            target: target.map_err(|error| error.to_string())?,
            scale: self.scale,
            time_scale: self.time_scale,
            segment: Some(segment.clone()),
        };
        let name = self.file.display().to_string();
        let format = Format::of(&self.file).ok_or_else(|| format!("{name} is neither TOML nor YAML nor JSON"))?;
        let options = Options::parse(&self.text, format, &name).map_err(|error| error.to_string())?;
        let built_in = super::prepare::built_in();
        let built_in: Vec<&str> = built_in.iter().map(String::as_str).collect();
        let mut plan = options.plan(&overrides, &built_in).map_err(|error| error.to_string())?;
        let share = |rps: u32| u32::try_from(SegmentedIndex::new(&segment).share(u64::from(rps))).unwrap_or(rps).max(1);
        plan.rps = plan.rps.map(share);
        Ok((options, plan))
    }
}

impl ShippedThreshold {
    fn of(threshold: &Threshold) -> Self {
        Self {
            selector: threshold.selector.to_string(),
            expression: threshold.expression.to_string(),
            abort_on_fail: threshold.abort_on_fail,
            delay_abort_eval: threshold.delay_abort_eval,
            passes_without_samples: threshold.no_samples == NoSamples::Pass,
        }
    }

    fn threshold(&self) -> Result<Threshold, String> {
        let selector = self.selector.parse().map_err(|error| format!("{error}"))?;
        let expression = self.expression.parse().map_err(|error| format!("{error}"))?;
        Ok(Threshold {
            selector,
            expression,
            abort_on_fail: self.abort_on_fail,
            delay_abort_eval: self.delay_abort_eval,
            no_samples: if self.passes_without_samples { NoSamples::Pass } else { NoSamples::Fail },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_plans_its_part_of_what_the_coordinator_plans() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peak.toml");
        let text = "rps = 10\n[scenarios.peak]\nexecutor = \"constant-vus\"\nvus = 7\nduration = \"10s\"\n\
                    [thresholds]\nhttp_req_failed = \"rate<0.5\"\n\
                    [flows.default]\n[[flows.default.requests]]\nurl = \"/\"\n";
        std::fs::write(&file, text).unwrap();
        let threshold = Threshold::new(
            "http_req_duration{name:\"a b\"}".parse().unwrap(),
            "p(99.9)<=1.5 over 30s".parse().unwrap(),
        );
        let overrides = Overrides {
            target: Some("http://127.0.0.1:9/base".parse().unwrap()),
            thresholds: vec![Threshold { abort_on_fail: true, no_samples: NoSamples::Pass, ..threshold }],
            tags: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
            time_scale: 0.5,
            ..Overrides::default()
        };
        let whole = Options::from_file(&file).unwrap().plan(&overrides, &[]).unwrap();
        let job = serde_json::to_value(Job::new(&file, &overrides).unwrap()).unwrap();
        let assignment = |index, segment: &str| Assignment {
            index,
            shards: 3,
            execution_segment: segment.to_owned(),
            execution_segment_sequence: "0,1/3,2/3,1".to_owned(),
            job: job.clone(),
            setup: BTreeMap::new(),
            silence_ms: 10_000,
        };
        let mut vus = 0;
        for (index, segment) in [(0, "0:1/3"), (1, "1/3:2/3"), (2, "2/3:1")] {
            let job: Job = serde_json::from_value(job.clone()).unwrap();
            let (_, plan) = job.plan(&assignment(index, segment)).unwrap();
            assert_eq!((&plan.scenarios, &plan.thresholds), (&whole.scenarios, &whole.thresholds));
            assert_eq!((&plan.target, &plan.tags), (&whole.target, &whole.tags));
            assert!((3..=4).contains(&plan.rps.unwrap()), "{:?}", plan.rps);
            vus += SegmentedIndex::new(&plan.segment).share(7);
        }
        assert_eq!(vus, 7);
    }
}
