//! How a rollout stands, told from the status that its controller puts here.

use serde_json::Value;
use spillway_report::text::plain;

use crate::look::parts::Tone;
use crate::read::Read as _;

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) sentence: String,
    pub(super) strategy: String,
    /// Share of the traffic that the new version has, percent.
    pub(super) weight: Option<u64>,
    /// Whether traffic moves, or is about to.
    pub(super) is_under_way: bool,
    /// Milliseconds until the step ends by itself.
    pub(super) left_ms: Option<f64>,
    /// Milliseconds until the new version is live, when every step takes its whole time.
    pub(super) eta_ms: Option<f64>,
    step: Option<usize>,
    is_paused: bool,
    is_held: bool,
    is_approval: bool,
    /// It ended badly, so that it can be started again.
    has_failed: bool,
    has_succeeded: bool,
}

impl Verdict {
    pub(super) fn of(status: &Value) -> Self {
        let phase = status.text("/state/phase");
        let is_under_way = matches!(phase, "preparing" | "progressing" | "observing" | "rollingBack");
        let is_paused = status.is_set("/state/paused");
        let held = status.some_text("/state/held").map(|held| plain(held, 400));
        let is_approval = phase == "progressing" && status.text("/state/rollout/stage") == "approval";
        let (tone, word) = match phase {
            "" => (Tone::Off, "not known"),
            _ if is_paused => (Tone::Wait, "paused"),
            _ if held.is_some() => (Tone::Wait, "held"),
            _ if is_approval => (Tone::Wait, "waits for approval"),
            "idle" => (Tone::Off, "idle"),
            "preparing" => (Tone::Good, "preparing"),
            "progressing" => (Tone::Good, "progressing"),
            "observing" => (Tone::Good, "promoted"),
            "succeeded" => (Tone::Good, "succeeded"),
            "rollingBack" => (Tone::Bad, "rolling back"),
            "rolledBack" => (Tone::Bad, "rolled back"),
            "aborted" => (Tone::Bad, "aborted"),
            _ => (Tone::Off, "not known"),
        };
        Self {
            tone,
            word,
            sentence: sentence(status, phase, is_paused, held.as_deref(), is_approval),
            strategy: status.some_text("/strategy").unwrap_or("rollout").to_owned(),
            weight: weight(status),
            is_under_way,
            left_ms: left(status, phase, is_paused || held.is_some()),
            eta_ms: eta(status, phase, is_paused || held.is_some() || is_approval),
            step: status.count("/state/rollout/step").and_then(|step| usize::try_from(step).ok()),
            is_paused,
            is_held: held.is_some(),
            is_approval,
            has_failed: matches!(phase, "rolledBack" | "aborted"),
            has_succeeded: matches!(phase, "observing" | "succeeded"),
        }
    }

    /// Whether a command makes sense now. What was not seen yet allows all: the controller refuses what does not fit.
    pub(super) fn allows(&self, verb: &str) -> bool {
        let moves = self.is_under_way && self.word != "rolling back";
        match verb {
            "promote" => moves && !self.has_succeeded,
            "approve" => self.is_approval,
            "pause" => moves && !self.is_paused && !self.has_succeeded,
            "resume" => self.is_paused || self.is_held,
            "abort" => moves,
            "retry" => self.has_failed,
            _ => false,
        }
    }

    pub(super) fn step_tone(&self, place: usize) -> Tone {
        match self.step {
            _ if self.has_succeeded => Tone::Good,
            Some(step) if place < step => Tone::Good,
            Some(step) if place == step && self.has_failed => Tone::Bad,
            Some(step) if place == step && self.is_under_way => Tone::Wait,
            _ => Tone::Off,
        }
    }

    pub(super) fn step_word(&self, place: usize) -> &'static str {
        match self.step_tone(place) {
            Tone::Good => "done",
            Tone::Bad => "failed",
            Tone::Wait => "under way",
            Tone::Off => "to come",
        }
    }
}

fn sentence(status: &Value, phase: &str, is_paused: bool, held: Option<&str>, is_approval: bool) -> String {
    let name = |pointer: &str, default: &str| {
        status.some_text(pointer).map_or_else(|| default.to_owned(), |text| plain(text, 60))
    };
    let revision = name("/state/rollout/revision", "the new version");
    let live = name("/state/liveRevision", "the live version");
    let failure =
        status.some_text("/state/rollout/failure").map(|text| format!(": {}", plain(text.trim_end_matches('.'), 400)));
    let because = failure.unwrap_or_default();
    let share = weight(status).map(|weight| format!(" at {weight} %")).unwrap_or_default();
    match phase {
        "" => "Nothing was seen of it yet".to_owned(),
        _ if is_paused => format!("{revision} is paused{share}"),
        _ if held.is_some() => format!("{revision} is held{share}: {}", held.unwrap_or_default().trim_end_matches('.')),
        _ if is_approval => format!("{revision} waits for approval{share}"),
        "idle" => format!("{live} is live, nothing to roll out"),
        "preparing" => format!("{revision} starts and takes no traffic yet"),
        "progressing" => format!(
            "{revision} has {} of the traffic, {}",
            weight(status).map_or_else(|| "a part".to_owned(), |weight| format!("{weight} %")),
            guards(status)
        ),
        "observing" => format!("{revision} is live and watched"),
        "succeeded" => format!("{revision} is live"),
        "rollingBack" => format!("{live} takes all traffic again{because}"),
        "rolledBack" => format!("{live} has all traffic again{because}"),
        _ => format!("{live} has all traffic{because}"),
    }
}

fn guards(status: &Value) -> String {
    let guards = status.pointer("/state/rollout/guards").and_then(Value::as_object);
    let n = |verdict: &str| guards.into_iter().flatten().filter(|(_, guard)| guard.text("/verdict") == verdict).count();
    let all = guards.map_or(0, serde_json::Map::len);
    match (n("failed"), n("inconclusive"), all) {
        (_, _, 0) => "no guard was looked at yet".to_owned(),
        (0, 0, _) => "every guard is good".to_owned(),
        (0, unknown, all) if unknown == all => "no guard has evidence yet".to_owned(),
        (0, unknown, all) => format!("{unknown} of {all} guards have no evidence yet"),
        (failed, _, all) => format!("{failed} of {all} guards failed"),
    }
}

/// As seen at the router, else as decided.
fn weight(status: &Value) -> Option<u64> {
    let slot = status.some_text("/state/rollout/slot");
    let seen = slot.and_then(|slot| status.count(&format!("/router/weights/{slot}")));
    seen.or_else(|| status.count("/state/rollout/weight"))
}

fn stage_ms(status: &Value) -> Option<f64> {
    let paused = status.number("/state/rollout/pausedMs").unwrap_or_default();
    Some((status.number("/at")? - status.number("/state/rollout/stageSince")? - paused).max(0.0))
}

fn bake_ms(status: &Value, step: u64) -> Option<f64> {
    status.number(&format!("/steps/{step}/bakeMs"))
}

fn left(status: &Value, phase: &str, waits: bool) -> Option<f64> {
    let planned = match phase {
        "observing" => status.number("/observationMs"),
        "progressing" if status.text("/state/rollout/stage") == "baking" => {
            bake_ms(status, status.count("/state/rollout/step")?)
        }
        _ => None,
    };
    planned.filter(|_| !waits).and_then(|planned| Some((planned - stage_ms(status)?).max(0.0)))
}

fn eta(status: &Value, phase: &str, waits: bool) -> Option<f64> {
    if waits || !matches!(phase, "preparing" | "progressing") {
        return None;
    }
    let step = status.count("/state/rollout/step")?;
    let present = left(status, phase, false).or_else(|| bake_ms(status, step))?;
    let later = status.list("/steps").iter().skip(usize::try_from(step).ok()? + 1);
    Some(later.filter_map(|step| step.number("/bakeMs")).fold(present, |sum, bake| sum + bake))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(phase: &str, more: Value) -> Value {
        let mut status = json!({
            "at": 1_000_000, "strategy": "canary", "steps": [{"weight": 10, "bakeMs": 600_000}, {"weight": 50, "bakeMs": 600_000}, {"weight": 100, "bakeMs": 0}],
            "router": {"weights": {"blue": 90, "green": 10}},
            "state": {"phase": phase, "liveRevision": "v1", "rollout": {"revision": "v2", "slot": "green", "step": 0, "stage": "baking",
                "stageSince": 700_000, "pausedMs": 0, "weight": 10, "guards": {"errors": {"verdict": "good"}, "p99": {"verdict": "inconclusive"}}}},
        });
        merge(&mut status, more);
        status
    }

    fn merge(into: &mut Value, more: Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                more.into_iter().for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value))
            }
            (into, more) => *into = more,
        }
    }

    #[test]
    fn it_says_how_it_goes_and_when_it_is_over() {
        let verdict = Verdict::of(&status("progressing", json!({})));
        assert_eq!(verdict.sentence, "v2 has 10 % of the traffic, 1 of 2 guards have no evidence yet");
        assert_eq!((verdict.left_ms, verdict.eta_ms, verdict.weight), (Some(300_000.0), Some(900_000.0), Some(10)));
        assert_eq!([0, 1].map(|place| verdict.step_word(place)), ["under way", "to come"]);
    }

    #[test]
    fn only_what_makes_sense_is_offered() {
        let offered = |status: &Value| {
            let verdict = Verdict::of(status);
            ["promote", "approve", "pause", "resume", "abort", "retry"]
                .into_iter()
                .filter(|verb| verdict.allows(verb))
                .collect::<Vec<_>>()
        };
        assert_eq!(offered(&status("progressing", json!({}))), ["promote", "pause", "abort"]);
        assert_eq!(offered(&status("progressing", json!({"state": {"paused": true}}))), ["promote", "resume", "abort"]);
        assert_eq!(
            offered(&status("progressing", json!({"state": {"rollout": {"stage": "approval"}}}))),
            ["promote", "approve", "pause", "abort"]
        );
        assert_eq!(offered(&status("rolledBack", json!({}))), ["retry"]);
        assert_eq!(offered(&status("rollingBack", json!({}))), Vec::<&str>::new());
        assert_eq!(offered(&status("succeeded", json!({}))), Vec::<&str>::new());
        assert_eq!(offered(&Value::Null), Vec::<&str>::new());
    }

    #[test]
    fn why_it_went_back_is_said_first() {
        let failed = status("rolledBack", json!({"state": {"rollout": {"failure": "errors of v2 are proven worse."}}}));
        let verdict = Verdict::of(&failed);
        assert_eq!(
            (verdict.tone, verdict.sentence.as_str()),
            (Tone::Bad, "v1 has all traffic again: errors of v2 are proven worse")
        );
    }
}
