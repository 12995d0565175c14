//! Scenarios: which options an executor has and needs, and what their values may be.

use std::fmt::Display;
use std::time::Duration;

use spillway_slo::duration::Timespan;

use super::document::{Document, hint};
use super::file::{FileScenario, FileSpacing};
use super::{ConfigurationError, ExecutorPlan, Options, Overrides, ScenarioPlan, Spacing, Stage};

pub(super) const GRACEFUL_STOP: Duration = Duration::from_secs(30);
pub(super) const MAX_DURATION: Duration = Duration::from_secs(600);
const GRACEFUL_RAMP_DOWN: Duration = Duration::from_secs(30);
const TIME_UNIT: Duration = Duration::from_secs(1);

/// Options that every scenario has.
const BASE: &[&str] = &["executor", "startTime", "gracefulStop", "env", "tags", "exec"];

/// The options that each executor has beside those.
const EXECUTORS: &[(&str, &[&str])] = &[
    ("shared-iterations", &["vus", "iterations", "maxDuration"]),
    ("per-vu-iterations", &["vus", "iterations", "maxDuration"]),
    ("constant-vus", &["vus", "duration"]),
    ("ramping-vus", &["startVUs", "stages", "gracefulRampDown"]),
    ("constant-arrival-rate", &["rate", "timeUnit", "duration", "preAllocatedVUs", "maxVUs", "spacing", "seed"]),
    ("ramping-arrival-rate", &["startRate", "timeUnit", "stages", "preAllocatedVUs", "maxVUs", "spacing", "seed"]),
    ("externally-controlled", &["vus", "maxVUs", "duration"]),
];

/// Where a scenario's options stand, for errors about them.
pub(super) enum Source<'a> {
    /// In a table of the file.
    Scenario { document: &'a Document, name: &'a str },
    /// At the top of the file, or on the command line.
    Shortcuts { document: &'a Document, overrides: &'a Overrides },
}

impl Source<'_> {
    /// An error about an option, or a part of it.
    pub(super) fn refuse(&self, path: &[&str], message: impl Display) -> ConfigurationError {
        match self {
            Self::Scenario { document, name } => document.refuse(&[&["scenarios", *name], path].concat(), message),
            Self::Shortcuts { document, overrides } => {
                let shortcut = match path.first() {
                    Some(&"maxDuration") => "duration",
                    Some(&"startVUs") => "vus",
                    Some(name) => name,
                    None => "",
                };
                match (shortcut, *overrides) {
                    ("vus", Overrides { vus: Some(_), .. })
                    | ("duration", Overrides { duration: Some(_), .. })
                    | ("iterations", Overrides { iterations: Some(_), .. }) => {
                        ConfigurationError::command_line(format!("--{shortcut}: {message}"))
                    }
                    ("stages", Overrides { stages, .. }) if !stages.is_empty() => {
                        ConfigurationError::command_line(format!("--stage: {message}"))
                    }
                    _ => document.refuse(&[&[shortcut], path.get(1..).unwrap_or_default()].concat(), message),
                }
            }
        }
    }
}

/// The scenarios of a file, in the order of their names.
pub(super) fn of_file(options: &Options) -> Result<Vec<ScenarioPlan>, ConfigurationError> {
    options.file.scenarios.iter().map(|(name, written)| scenario(options, name, written)).collect()
}

fn scenario(options: &Options, name: &str, written: &FileScenario) -> Result<ScenarioPlan, ConfigurationError> {
    let source = Source::Scenario { document: &options.document, name };
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(source.refuse(&[], "a scenario's name has letters, digits, `_` and `-`"));
    }
    let Some(executor) = &written.executor else {
        return Err(source.refuse(&[], format_args!("`executor` is missing: it is one of {}", names().join(", "))));
    };
    let Some((_, own)) = EXECUTORS.iter().find(|(known, _)| known == executor) else {
        return Err(
            source.refuse(&["executor"], format_args!("there is no executor `{executor}`{}", hint(executor, names())))
        );
    };
    for (option, _) in options.document.entries(&["scenarios", name]) {
        let option = option.as_str();
        if !BASE.contains(&option) && !own.contains(&option) {
            let message = format!("{executor} has no such option, it has {}", own.join(", "));
            return Err(source.refuse(&[option], message));
        }
    }
    Ok(ScenarioPlan {
        name: name.to_owned(),
        executor: executor_of(executor, written, &source)?,
        start_time: written.start_time.map_or(Duration::ZERO, Duration::from),
        graceful_stop: written.graceful_stop.map_or(GRACEFUL_STOP, Duration::from),
        env: written.env.clone(),
        tags: written.tags.clone(),
        exec: written.exec.clone().unwrap_or_else(|| "default".to_owned()),
    })
}

fn names() -> Vec<&'static str> {
    EXECUTORS.iter().map(|(name, _)| *name).collect()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The executor of a known name, with its defaults.
pub(super) fn executor_of(
    name: &str,
    written: &FileScenario,
    source: &Source<'_>,
) -> Result<ExecutorPlan, ConfigurationError> {
    let read = Read { name, written, source };
    Ok(match name {
        "shared-iterations" => {
            let (vus, iterations) = (read.vus()?, read.iterations()?);
            if iterations < u64::from(vus) {
                let message = format!("{iterations} iterations are not enough for {vus} users: each of them needs one");
                return Err(source.refuse(&["iterations"], message));
            }
            ExecutorPlan::SharedIterations { vus, iterations, max_duration: read.max_duration()? }
        }
        "per-vu-iterations" => ExecutorPlan::PerVuIterations {
            vus: read.vus()?,
            iterations: read.iterations()?,
            max_duration: read.max_duration()?,
        },
        "constant-vus" => ExecutorPlan::ConstantVus { vus: read.vus()?, duration: read.duration()? },
        "ramping-vus" => ExecutorPlan::RampingVus {
            start_vus: written.start_vus.unwrap_or(1),
            stages: read.stages(true)?,
            graceful_ramp_down: written.graceful_ramp_down.map_or(GRACEFUL_RAMP_DOWN, Duration::from),
        },
        "constant-arrival-rate" => {
            let (pre_allocated_vus, max_vus) = read.arrival_vus()?;
            ExecutorPlan::ConstantArrivalRate {
                rate: read.rate()?,
                time_unit: read.time_unit()?,
                duration: read.duration()?,
                pre_allocated_vus,
                max_vus,
                spacing: read.spacing(),
            }
        }
        "ramping-arrival-rate" => {
            let (pre_allocated_vus, max_vus) = read.arrival_vus()?;
            ExecutorPlan::RampingArrivalRate {
                start_rate: read.start_rate()?,
                time_unit: read.time_unit()?,
                stages: read.stages(false)?,
                pre_allocated_vus,
                max_vus,
                spacing: read.spacing(),
            }
        }
        _ => {
            let Some(Timespan(duration)) = written.duration else { return Err(read.missing("duration")) };
            let (vus, max_vus) = (written.vus.unwrap_or(1), written.max_vus.or(written.vus).unwrap_or(1));
            if max_vus < vus || max_vus == 0 {
                return Err(
                    source.refuse(&["maxVUs"], format_args!("{max_vus} is less than one, or than vus, which is {vus}"))
                );
            }
            ExecutorPlan::ExternallyControlled { vus, max_vus, duration: (!duration.is_zero()).then_some(duration) }
        }
    })
}

/// Options of one scenario, read one by one.
struct Read<'a> {
    name: &'a str,
    written: &'a FileScenario,
    source: &'a Source<'a>,
}

impl Read<'_> {
    fn missing(&self, option: &str) -> ConfigurationError {
        self.source.refuse(&[], format_args!("`{option}` is missing: {} needs it", self.name))
    }

    fn positive<T: PartialEq + Default>(&self, option: &str, value: T) -> Result<T, ConfigurationError> {
        if value == T::default() {
            return Err(self.source.refuse(&[option], "give more than 0"));
        }
        Ok(value)
    }

    fn vus(&self) -> Result<u32, ConfigurationError> {
        self.positive("vus", self.written.vus.unwrap_or(1))
    }

    fn iterations(&self) -> Result<u64, ConfigurationError> {
        self.positive("iterations", self.written.iterations.unwrap_or(1))
    }

    fn max_duration(&self) -> Result<Duration, ConfigurationError> {
        self.positive("maxDuration", self.written.max_duration.map_or(MAX_DURATION, Duration::from))
    }

    fn duration(&self) -> Result<Duration, ConfigurationError> {
        let Some(Timespan(duration)) = self.written.duration else { return Err(self.missing("duration")) };
        self.positive("duration", duration)
    }

    fn time_unit(&self) -> Result<Duration, ConfigurationError> {
        self.positive("timeUnit", self.written.time_unit.map_or(TIME_UNIT, Duration::from))
    }

    fn rate(&self) -> Result<f64, ConfigurationError> {
        let Some(rate) = self.written.rate else { return Err(self.missing("rate")) };
        if !(rate.is_finite() && rate > 0.0) {
            return Err(self.source.refuse(&["rate"], format_args!("a rate is a number greater than 0, not {rate}")));
        }
        Ok(rate)
    }

    fn start_rate(&self) -> Result<f64, ConfigurationError> {
        let rate = self.written.start_rate.unwrap_or(0.0);
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(self
                .source
                .refuse(&["startRate"], format_args!("a rate is a number of at least 0, not {rate}")));
        }
        Ok(rate)
    }

    /// Stages whose targets are users, or rates.
    fn stages(&self, of_users: bool) -> Result<Vec<Stage>, ConfigurationError> {
        let Some(stages) = &self.written.stages else { return Err(self.missing("stages")) };
        if stages.is_empty() {
            return Err(self
                .source
                .refuse(&["stages"], "give at least one stage, such as { duration = \"30s\", target = 10 }"));
        }
        for (place, stage) in stages.iter().enumerate() {
            let refuse = |message: &str| self.source.refuse(&["stages", &place.to_string(), "target"], message);
            if !(stage.target.is_finite() && stage.target >= 0.0) {
                return Err(refuse(&format!("a target is a number of at least 0, not {}", stage.target)));
            }
            if of_users && (stage.target.fract() != 0.0 || stage.target > f64::from(u32::MAX)) {
                return Err(refuse(&format!("users are whole numbers, not {}", stage.target)));
            }
        }
        let stages: Vec<Stage> = stages.iter().copied().map(Stage::from).collect();
        if stages.iter().all(|stage| stage.duration.is_zero()) {
            return Err(self
                .source
                .refuse(&["stages"], "all stages together have no length: give one of them a duration"));
        }
        Ok(stages)
    }

    fn arrival_vus(&self) -> Result<(u32, u32), ConfigurationError> {
        let Some(pre_allocated) = self.written.pre_allocated_vus else { return Err(self.missing("preAllocatedVUs")) };
        let max = self.written.max_vus.unwrap_or(pre_allocated);
        if max < pre_allocated {
            return Err(self
                .source
                .refuse(&["maxVUs"], format_args!("{max} is less than preAllocatedVUs, which is {pre_allocated}")));
        }
        self.positive(if self.written.max_vus.is_some() { "maxVUs" } else { "preAllocatedVUs" }, max)?;
        Ok((pre_allocated, max))
    }

    fn spacing(&self) -> Spacing {
        match self.written.spacing {
            Some(FileSpacing::Poisson) => Spacing::Poisson { seed: self.written.seed.unwrap_or(0) },
            Some(FileSpacing::Even) | None => Spacing::Even,
        }
    }
}
