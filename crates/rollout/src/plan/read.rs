//! Reads a Rollout from YAML, which JSON is a part of.

use serde::de::Deserialize;

use super::PlanProblem;
use crate::spec::Rollout;

/// Longer texts are refused: a Kubernetes object is at most 1.5 MiB.
const MAX_BYTES: usize = 2 << 20;
/// Names that are less alike are no help.
const ALIKE: f64 = 0.7;

impl Rollout {
    /// Reads a file. What it means is checked by [`Plan::new`](crate::Plan::new).
    ///
    /// # Errors
    /// When it is no YAML, or not of the Rollout's shape: with the path and line of what does not fit, and the nearest known name.
    pub fn from_yaml(text: &str) -> Result<Self, PlanProblem> {
        let problem = |path: String, problem: String| PlanProblem { path, problem };
        if text.len() > MAX_BYTES {
            return Err(problem(
                String::new(),
                format!("this is longer than {} MiB: a Rollout is not", MAX_BYTES >> 20),
            ));
        }
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Err(problem(String::new(), "the file is empty: write a Rollout".to_owned()));
        }
        let mut path = String::new();
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
            let mut track = serde_path_to_error::Track::new();
            Self::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track)).inspect_err(|_| {
                path = track.path().to_string();
            })
        })
        .map_err(|error| {
            let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
            let mut message = sentence(&error.to_string());
            if let Some(nearest) = nearest(&message) {
                message = format!("{message}; did you mean `{nearest}`?");
            }
            if let Some(line) = line {
                message = format!("{message} (line {line})");
            }
            let path = if path == "." { String::new() } else { std::mem::take(&mut path) };
            problem(path, message)
        })
    }
}

/// The parser puts the place at the end of its sentence, and sometimes at its beginning.
fn sentence(text: &str) -> String {
    let text =
        text.split_once("error: ").filter(|(before, _)| before.starts_with("line ")).map_or(text, |(_, after)| after);
    let end = [" at line ", " (line "].iter().filter_map(|place| text.rfind(place)).min();
    match text[..end.unwrap_or(text.len())].trim_end_matches([':', ',']) {
        "expected mapping start" => "expected names with values, such as `spec:`".to_owned(),
        "invalid u8" | "invalid u16" | "invalid u32" | "invalid u64" => "expected a whole number, 0 or more".to_owned(),
        text => text.to_owned(),
    }
}

/// The known name that is most like the unknown one of a message such as "unknown field `wieght`, expected one of weight, bake".
fn nearest(message: &str) -> Option<&str> {
    let (unknown, known) = message.split_once(", expected one of ")?;
    let written = unknown.strip_suffix('`')?.rsplit('`').next()?.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&written, &name.to_lowercase());
    let known = known.split(", ").map(|name| name.trim_matches('`'));
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(best)
}
