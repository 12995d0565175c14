//! `simulate`: what would be decided, when and why.

mod show;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use spillway_model::UnixMillis;
use spillway_rollout::simulate::{Event, Look, Recording, RecordingError, Synthetic, replay};
use spillway_rollout::state::State;
use spillway_rollout::{Plan, Rollout};

use super::file::PlanFile;
use super::{Failure, Output, duration, share};
use crate::code::Code;

/// Larger recordings are refused: the looks of some weeks.
const MAX_RECORDING: u64 = 256 << 20;

/// The plan when none is given: all defaults.
const USUAL: &str = include_str!("simulate/usual.yaml");

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The plan; `run` takes the same [default: the defaults, or the recording's own plan]
    #[arg(long, short = 'f', visible_alias = "plan", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Decide again on what `run --record` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = MADE_UP)]
    recording: Option<PathBuf>,
    #[command(flatten)]
    made_up: MadeUp,
    /// How it is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

/// Arguments that say nothing about a recording.
const MADE_UP: [&str; 9] = [
    "requests_per_second",
    "live_errors",
    "candidate_errors",
    "latency",
    "latency_factor",
    "crash_after",
    "seed",
    "runs",
    "save",
];

#[derive(Debug, Args)]
#[command(next_help_heading = "A made-up rollout")]
struct MadeUp {
    /// Requests per second to both versions together
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = positive)]
    requests_per_second: f64,
    /// Share of requests that fail on the live version, such as 0.1%
    #[arg(long, value_name = "SHARE", default_value = "0.1%", value_parser = share)]
    live_errors: f64,
    /// Share of requests that fail on the candidate [default: as on the live version]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    candidate_errors: Option<f64>,
    /// Median latency of the live version
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    latency: Duration,
    /// The candidate's latency as a multiple of the live version's
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive)]
    latency_factor: f64,
    /// The candidate crashes this long after the rollout began
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    crash_after: Option<Duration>,
    /// Another seed gives other requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Roll out this often, each with the next seed, and count how it ended
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "save")]
    runs: u16,
    /// Write the made-up observations to this file, for --recording
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// What was decided, however it came about.
struct Story {
    plan: Plan,
    started_at: UnixMillis,
    ended_at: UnixMillis,
    events: Vec<Event>,
    end: State,
}

pub(super) fn run(arguments: &SimulateArgs) -> Result<u8, Failure> {
    let file = arguments.file.as_deref().map(PlanFile::read).transpose()?;
    if let Some(path) = &arguments.recording {
        return show::one(&replayed(path, file)?, arguments.output);
    }
    let file = file.map_or_else(|| PlanFile::parse("the usual plan", USUAL.to_owned()), Ok)?;
    let synthetic = arguments.made_up.synthetic();
    if arguments.made_up.runs > 1 {
        let ends = (0..u64::from(arguments.made_up.runs)).map(|n| {
            let timeline = Synthetic { seed: synthetic.seed.wrapping_add(n), ..synthetic.clone() }.run(&file.plan);
            let last = timeline.looks.last().map_or(timeline.started_at, |look| look.now);
            (timeline.end.phase, crate::people::view::since(timeline.started_at, last))
        });
        return show::many(&ends.collect::<Vec<_>>(), arguments.output);
    }
    let timeline = synthetic.run(&file.plan);
    if let Some(path) = &arguments.made_up.save {
        let recording =
            Recording { rollout: file.rollout, start: timeline.before.clone(), looks: timeline.looks.clone() };
        let text = recording.to_text().map_err(Failure::internal)?;
        std::fs::write(path, text)
            .map_err(|error| Failure::new(Code::FileUnwritable, format!("cannot write {}: {error}", path.display())))?;
    }
    let story = Story {
        started_at: timeline.started_at,
        ended_at: timeline.looks.last().map_or(timeline.started_at, |look| look.now),
        events: timeline.events,
        end: timeline.end,
        plan: file.plan,
    };
    show::one(&story, arguments.output)
}

impl MadeUp {
    fn synthetic(&self) -> Synthetic {
        let latency = self.latency.as_secs_f64();
        Synthetic {
            requests_per_second: self.requests_per_second,
            live_error_ratio: self.live_errors,
            candidate_error_ratio: self.candidate_errors.unwrap_or(self.live_errors),
            live_latency: latency,
            candidate_latency: latency * self.latency_factor,
            crashes_after: self.crash_after,
            seed: self.seed,
            ..Synthetic::default()
        }
    }
}

/// Decides again on a recording, by its own plan or another one.
fn replayed(path: &Path, file: Option<PlanFile>) -> Result<Story, Failure> {
    let name = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_RECORDING + 1).read_to_string(&mut text));
    read.map_err(|error| Failure::new(Code::RecordingInvalid, format!("cannot read {name}: {error}")))?;
    if text.len() as u64 > MAX_RECORDING {
        return Err(Failure::new(
            Code::RecordingInvalid,
            format!("{name} is larger than {} MiB: keep its first lines", MAX_RECORDING >> 20),
        ));
    }
    let (rollout, start, looks) = match Recording::parse(&text) {
        Ok(recording) => (Some(recording.rollout), recording.start, recording.looks),
        // The second file of a long recording has looks only.
        Err(RecordingError::Line { line: 1, .. }) if file.is_some() => (None, State::default(), looks_of(&text, path)?),
        Err(error) => return Err(Failure::new(Code::RecordingInvalid, format!("{name}: {error}"))),
    };
    let plan = match (file, rollout) {
        (Some(file), _) => file.plan,
        (None, Some(rollout)) => plan_of(&rollout, path)?,
        (None, None) => return Err(Failure::new(Code::RecordingInvalid, format!("{name} has no plan: give --plan"))),
    };
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else {
        return Err(Failure::new(Code::RecordingInvalid, format!("{name} has no looks: nothing was recorded")));
    };
    let (started_at, ended_at) = (first.now, last.now);
    let mut story = Story { started_at, ended_at, events: Vec::new(), end: start.clone(), plan: plan.clone() };
    for (_, decision) in replay(&plan, start, &looks) {
        let (phase, weight) = (decision.state.phase, decision.state.rollout.as_ref().map_or(0, |one| one.weight));
        let events = decision.notes.into_iter();
        story.events.extend(events.map(|note| Event { at: note.at, kind: note.kind, text: note.text, phase, weight }));
        story.end = decision.state;
    }
    Ok(story)
}

fn plan_of(rollout: &Rollout, path: &Path) -> Result<Plan, Failure> {
    Plan::new(rollout).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Failure::new(
            Code::RecordingInvalid,
            format!("the plan of {} is not valid any more: {first}; give --plan", path.display()),
        )
    })
}

fn looks_of(text: &str, path: &Path) -> Result<Vec<Look>, Failure> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let looks = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| {
            Failure::new(
                Code::RecordingInvalid,
                format!("line {} of {} is no look: {error}", number + 1, path.display()),
            )
        })
    });
    looks.collect()
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "write a number".to_owned())?;
    if number > 0.0 && number <= 1e6 { Ok(number) } else { Err("above 0, and at most 1000000".to_owned()) }
}
