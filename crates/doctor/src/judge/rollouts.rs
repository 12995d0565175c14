//! What was changed last.

use serde::Deserialize;
use spillway_model::UnixMillis;
use spillway_report::text::{instant, plain, span};
use spillway_store::Document;

use crate::{Check, Finding, Verdict};

/// A rollout that ended badly within this time is worth a look.
const RECENT_MS: i64 = 86_400_000;

/// How a gateway keeps what a controller published.
#[derive(Deserialize)]
struct Kept {
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    held: Option<String>,
}

pub(super) fn rollouts(documents: &[Document], now: UnixMillis) -> Finding {
    let mut bad = None;
    let mut lines = Vec::new();
    for document in documents {
        let kept: Option<Kept> = serde_json::from_slice(&document.body).ok();
        let state = kept.map(|kept| kept.content.state).unwrap_or_default();
        let phase = state.phase.unwrap_or_else(|| "published".to_owned());
        let age = now.saturating_sub(document.at).max(0);
        if ["rolledBack", "rollingBack", "aborted"].contains(&phase.as_str()) && age < RECENT_MS && bad.is_none() {
            bad = Some((document.key.as_str(), phase.clone()));
        }
        let held = state.held.map_or(String::new(), |held| format!(": {}", plain(&held, 100)));
        lines.push(format!("{} {} at {}{held}", plain(&document.key, 60), plain(&phase, 30), instant(document.at)));
    }
    let verdict = if bad.is_some() { Verdict::Warning } else { Verdict::Ok };
    let summary = match (&bad, documents.first()) {
        (Some((name, phase)), _) => format!("{} was {} within a day", plain(name, 60), words(phase)),
        (None, None) => "none published here".to_owned(),
        (None, Some(latest)) => {
            format!(
                "{} is the latest, {} ago",
                plain(&latest.key, 60),
                span(now.saturating_sub(latest.at).max(0) as f64)
            )
        }
    };
    let finding =
        Finding::new(Check::Rollouts, verdict, summary).number("published", documents.len() as f64).evidence_of(lines);
    match bad {
        None => finding,
        Some((name, _)) => finding
            .run("See why:", format!("spillway rollouts get {}", plain(name, 60)))
            .advise("Compare the time of other findings with the time of the rollout."),
    }
}

/// `rolledBack` as people write it.
fn words(phase: &str) -> String {
    let spelled = phase.chars().flat_map(|c| c.is_ascii_uppercase().then_some(' ').into_iter().chain(c.to_lowercase()));
    plain(&spelled.collect::<String>(), 30)
}
