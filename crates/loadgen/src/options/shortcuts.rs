//! `vus`, `duration`, `iterations` and `stages`: the shortcuts for one scenario named `default`, in the file or on the command line.

use std::time::Duration;

use super::file::{FileScenario, FileStage};
use super::scenarios::{GRACEFUL_STOP, MAX_DURATION, Source, executor_of};
use super::{ConfigurationError, ExecutorPlan, Options, Overrides, ScenarioPlan};
use spillway_slo::duration::Timespan;

const NAME: &str = "default";

/// Whether one scenario made of shortcuts takes the place of the file's scenarios.
pub(super) fn given(options: &Options, overrides: &Overrides) -> bool {
    on_command_line(overrides) || options.file.scenarios.is_empty()
}

/// As in k6 the users alone decide nothing.
fn on_command_line(overrides: &Overrides) -> bool {
    overrides.duration.is_some() || overrides.iterations.is_some() || !overrides.stages.is_empty()
}

/// The scenario that shortcuts describe; `None` when those of the file count.
pub(super) fn scenario(
    options: &Options,
    overrides: &Overrides,
    warnings: &mut Vec<String>,
) -> Result<Option<ScenarioPlan>, ConfigurationError> {
    let file = &options.file;
    let in_file =
        file.duration.is_some() || file.iterations.is_some() || file.stages.as_ref().is_some_and(|all| !all.is_empty());
    if !file.scenarios.is_empty() && in_file {
        let both =
            ["iterations", "stages", "duration"].into_iter().find(|name| options.document.get(&[name]).is_some());
        let name = both.unwrap_or("scenarios");
        let message =
            "a file has either `scenarios` or the shortcuts for a single one: move this option into its scenario";
        return Err(options.document.refuse(&[name], message));
    }
    if !given(options, overrides) {
        if overrides.vus.is_some() {
            warnings.push(
                "--vus changes nothing: it needs --duration, --iterations or --stage beside it, which take the place of the file's \
                 scenarios; --scale changes the users of all of them"
                    .to_owned(),
            );
        } else if file.vus.is_some() {
            warnings.push(format!("{}: vus changes nothing beside `scenarios`", options.place(&["vus"])));
        }
        return Ok(None);
    }
    let written = if on_command_line(overrides) {
        FileScenario {
            duration: overrides.duration.map(Timespan),
            iterations: overrides.iterations,
            stages: (!overrides.stages.is_empty()).then(|| {
                let stage =
                    |stage: &super::Stage| FileStage { duration: Timespan(stage.duration), target: stage.target };
                overrides.stages.iter().map(stage).collect()
            }),
            ..FileScenario::default()
        }
    } else {
        FileScenario {
            duration: file.duration,
            iterations: file.iterations,
            stages: file.stages.clone().filter(|stages| !stages.is_empty()),
            ..FileScenario::default()
        }
    };
    let written = FileScenario { vus: overrides.vus.or(file.vus), ..written };
    let source = Source::Shortcuts { document: &options.document, overrides };
    let executor = executor(written, &source, warnings)?;
    let sole = match file.scenarios.values().collect::<Vec<_>>().as_slice() {
        [sole] => Some(*sole),
        _ => None,
    };
    Ok(Some(ScenarioPlan {
        name: NAME.to_owned(),
        executor,
        start_time: Duration::ZERO,
        graceful_stop: GRACEFUL_STOP,
        env: sole.map(|sole| sole.env.clone()).unwrap_or_default(),
        tags: sole.map(|sole| sole.tags.clone()).unwrap_or_default(),
        exec: sole.and_then(|sole| sole.exec.clone()).unwrap_or_else(|| NAME.to_owned()),
    }))
}

fn executor(
    written: FileScenario,
    source: &Source<'_>,
    warnings: &mut Vec<String>,
) -> Result<ExecutorPlan, ConfigurationError> {
    let both = |one: &str, other: &str| {
        let message = format!("with `{other}` it is not clear which scenario is meant: leave one of them out");
        Err(source.refuse(&[one], message))
    };
    match (written.iterations, written.duration, &written.stages) {
        (Some(_), _, Some(_)) => both("iterations", "stages"),
        (_, Some(_), Some(_)) => both("duration", "stages"),
        (Some(_), duration, None) => executor_of(
            "shared-iterations",
            &FileScenario { max_duration: duration, duration: None, ..written },
            source,
        ),
        (None, Some(_), None) => executor_of("constant-vus", &written, source),
        (None, None, Some(_)) => {
            executor_of("ramping-vus", &FileScenario { start_vus: written.vus, vus: None, ..written }, source)
        }
        (None, None, None) => {
            if written.vus.is_some_and(|vus| vus > 1) {
                warnings.push(
                    "without duration, iterations or stages one user runs one iteration, whatever vus says".to_owned(),
                );
            }
            Ok(ExecutorPlan::PerVuIterations { vus: 1, iterations: 1, max_duration: MAX_DURATION })
        }
    }
}
