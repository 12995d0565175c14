//! What a load test shall do: files in k6's grammar, the command line over them, and the plan that comes of both.
//!
//! Beside k6's options a file has the base URL `target`, the limit `rps`, and `[flows.NAME]` tables that say what an iteration does. The
//! flows `setup` and `teardown` run once, before and after the test. Arrival-rate scenarios have `spacing = "poisson"` and `seed`.

mod describe;
mod document;
mod file;
mod k6;
mod limits;
mod plan;
mod resolve;
mod scale;
mod scenarios;
mod shortcuts;
mod thresholds;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use spillway_slo::duration::Timespan;
use spillway_slo::threshold::Threshold;
use url::Url;

use crate::flow::FlowSpec;
use crate::segment::Segment;
use document::Document;
use file::FileOptions;
pub use plan::{Description, ExecutorPlan, Plan, ScenarioDescription, ScenarioPlan, Spacing, Stage, TimeUnit};

/// The flow that runs once before all scenarios.
pub const SETUP: &str = "setup";

/// The flow that runs once after all scenarios.
pub const TEARDOWN: &str = "teardown";

/// Largest file that is read.
const MOST_BYTES: u64 = 8 << 20;

/// The options of a file: its grammar is checked, what its options mean together is not yet.
#[derive(Debug, Clone)]
pub struct Options {
    document: Document,
    file: FileOptions,
    /// Where the flows stand, when that is another file.
    flows: Option<Box<Options>>,
    /// What was left out while reading.
    warnings: Vec<String>,
}

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.yaml` and `.yml`
    Yaml,
    /// `.json`
    Json,
}

/// What a command line says beside the file. The default changes nothing.
#[derive(Debug, Clone)]
pub struct Overrides {
    /// Users of the default scenario.
    pub vus: Option<u32>,
    /// How long the default scenario runs. Like `iterations` and `stages` it takes the place of all scenarios of the file.
    pub duration: Option<Duration>,
    /// Iterations of the default scenario, shared by its users.
    pub iterations: Option<u64>,
    /// Stages of the default scenario; empty is not given.
    pub stages: Vec<Stage>,
    /// Most requests per second; not scaled.
    pub rps: Option<u32>,
    /// Tags of every sample, over those of the file.
    pub tags: BTreeMap<String, String>,
    /// Conditions beside those of the file.
    pub thresholds: Vec<Threshold>,
    /// Base URL, instead of the file's.
    pub target: Option<Url>,
    /// Multiplies users, shared iterations, rates and the file's `rps`.
    pub scale: f64,
    /// Multiplies durations and start times, but no grace.
    pub time_scale: f64,
    /// The part of the test to run, instead of the file's.
    pub segment: Option<Segment>,
}

impl Default for Overrides {
    fn default() -> Self {
        Self {
            vus: None,
            duration: None,
            iterations: None,
            stages: Vec::new(),
            rps: None,
            tags: BTreeMap::new(),
            thresholds: Vec::new(),
            target: None,
            scale: 1.0,
            time_scale: 1.0,
            segment: None,
        }
    }
}

/// Options that cannot be run. It says where, what is wrong and what is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationError {
    /// `FILE:LINE`, or `FILE` where the line is not known; `None` for the command line.
    pub place: Option<String>,
    /// Which option, and what is wrong with it.
    pub message: String,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ConfigurationError {}

impl ConfigurationError {
    /// Of an option of the command line.
    fn command_line(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }
}

impl Options {
    /// Reads a file, in the format that its name ends with.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 8 MiB, or breaks the grammar.
    pub fn from_file(path: &Path) -> Result<Self, ConfigurationError> {
        let name = path.display().to_string();
        let format = Format::of(path).ok_or_else(|| ConfigurationError {
            place: Some(name.clone()),
            message: "the name ends with none of .toml, .yaml, .yml, .json".to_owned(),
        })?;
        Self::parse(&text_of(path, MOST_BYTES)?, format, &name)
    }

    /// Reads the `options` of a k6 script, without running it. What iterations do comes from another file, by [`Options::with_flows`].
    ///
    /// # Errors
    /// When the file cannot be read, is larger than 256 KiB, exports no options, or one of them is no literal.
    pub fn from_k6_script(path: &Path) -> Result<Self, ConfigurationError> {
        k6_options(&text_of(path, k6::MOST_BYTES as u64)?, &path.display().to_string())
    }

    /// Reads a text; errors call it `name`.
    ///
    /// # Errors
    /// When it breaks the grammar: its format's, or by an unknown option or a value that does not fit.
    pub fn parse(text: &str, format: Format, name: &str) -> Result<Self, ConfigurationError> {
        let document = Document::parse(text, format, name)?;
        file::refuse_options_of_k6_alone(&document)?;
        let file = document.read(&[])?.unwrap_or_default();
        Ok(Self { document, file, flows: None, warnings: Vec::new() })
    }

    /// The same options with the flows of another file.
    #[must_use]
    pub fn with_flows(self, other: Self) -> Self {
        Self { flows: Some(Box::new(other)), ..self }
    }

    /// What iterations do, by name.
    #[must_use]
    pub fn flows(&self) -> &BTreeMap<String, FlowSpec> {
        self.flows.as_ref().map_or(&self.file.flows, |other| other.flows())
    }

    /// `FILE:LINE` of a path of keys, such as `["flows", "login"]`, or of the part of it that the file has.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> String {
        match (&self.flows, path) {
            (Some(other), ["flows", ..]) => other.place(path),
            _ => self.document.place(path),
        }
    }

    /// What the file and the command line mean together. `built_in` are workloads that an `exec` may name beside the file's flows.
    ///
    /// # Errors
    /// When options contradict each other, one is missing, or one is out of its range.
    pub fn plan(&self, overrides: &Overrides, built_in: &[&str]) -> Result<Plan, ConfigurationError> {
        resolve::plan(self, overrides, built_in)
    }
}

/// Reads the `options` object that a k6 script exports. Errors call the script `name`; one that ends with `.ts` is TypeScript.
///
/// The script's code is not run. Options are literals, arithmetic on them, and top-level constants made of them; anything else is refused
/// with its line. Options that have no counterpart here are left out with a warning.
///
/// # Errors
/// When the script breaks its syntax, exports no options, or an option cannot be read.
pub fn k6_options(text: &str, name: &str) -> Result<Options, ConfigurationError> {
    let mut document = k6::document(text, name)?;
    let warnings = file::leave_out_options_of_k6_alone(&mut document);
    let file = document.read(&[])?.unwrap_or_default();
    Ok(Options { document, file, flows: None, warnings })
}

fn text_of(path: &Path, most: u64) -> Result<String, ConfigurationError> {
    let problem = |message: String| ConfigurationError { place: Some(path.display().to_string()), message };
    let size = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
    if size > most {
        return Err(problem(format!("at most {most} bytes are read, this file has {size}")));
    }
    std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))
}

impl Format {
    /// By the ending of a file's name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A text that is no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write DURATION:USERS, such as 30s:10{}", .0.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default())]
pub struct StageError(Option<String>);

/// Reads `DURATION:USERS`.
impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        let (duration, target) = text.split_once(':').ok_or(StageError(None))?;
        let Timespan(duration) = duration.trim().parse().map_err(|error| StageError(Some(format!("{error}"))))?;
        let target: u32 =
            target.trim().parse().map_err(|_| StageError(Some(format!("`{target}` is no number of users"))))?;
        Ok(Self { duration, target: f64::from(target) })
    }
}

#[cfg(test)]
mod tests;
