//! The verdict: one sentence that says how a rollout stands, and one that says what to do.

use spillway_report::terminal::{BAD, DIM, GOOD, WARNING};
use spillway_report::text::plain;
use spillway_rollout::spec::Strategy;
use spillway_rollout::state::{Phase, Stage, Verdict};
use spillway_slo::budget::Budget;

use super::values::span;
use super::view::View;

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// A mark that says it without a colour.
    pub mark: &'static str,
    /// One word or two.
    pub word: &'static str,
    /// What is, and why; without a full stop.
    pub sentence: String,
    /// What to do, when a person is needed.
    pub to_do: Option<String>,
    /// How it is meant.
    pub tone: Tone,
}

/// How a verdict is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// It went wrong.
    Bad,
    /// It waits for somebody.
    Waiting,
    /// Nothing happens.
    Calm,
}

impl Tone {
    pub(super) fn style(self) -> anstyle::Style {
        match self {
            Self::Good => GOOD,
            Self::Bad => BAD,
            Self::Waiting => WARNING,
            Self::Calm => DIM,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good-state",
            Self::Bad => "bad-state",
            Self::Waiting => "wait-state",
            Self::Calm => "calm-state",
        }
    }
}

impl Headline {
    /// The verdict of a rollout.
    #[must_use]
    pub fn of(view: &View) -> Self {
        waits(view).unwrap_or_else(|| goes(view))
    }

    /// Mark, word and sentence in one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}: {}", self.mark, self.word, self.sentence)
    }
}

/// What stops a rollout that is not over.
fn waits(view: &View) -> Option<Headline> {
    let waiting = |mark, word, sentence: String, to_do: &str| {
        Some(Headline {
            mark,
            word,
            sentence,
            to_do: Some(to_do.replace("NAME", &plain(&view.name, 63))),
            tone: Tone::Waiting,
        })
    };
    let under_way = matches!(view.state.phase, Phase::Preparing | Phase::Progressing | Phase::Observing);
    if view.state.paused {
        return waiting("‖", "paused", paused(view), "spillway-rollout resume NAME goes on");
    }
    let place = place(view);
    if let Some(reason) = &view.state.held {
        let reason = plain(reason.trim_end_matches('.'), 400);
        if is_frozen(view) {
            let to_do = "spillway-rollout override NAME --for 2h --reason \"…\" lets it go on";
            return waiting("!", "frozen", format!("{reason}{place}"), to_do);
        }
        let to_do = match (under_way, has_failed(view)) {
            (true, true) => "spillway-rollout abort NAME takes the traffic back; promote NAME goes on all the same",
            (true, false) => "spillway-rollout promote NAME ends the step; abort NAME takes the traffic back",
            (false, _) => "spillway-rollout resume NAME looks again",
        };
        return waiting("!", "held", format!("{reason}{place}"), to_do);
    }
    let stage = view.rollout().map(|rollout| rollout.stage);
    if view.state.phase == Phase::Progressing && stage == Some(Stage::Approval) {
        let to_do = "spillway-rollout approve NAME goes on; abort NAME takes the traffic back";
        return waiting("?", "waiting for approval", subject(view), to_do);
    }
    None
}

/// How a rollout goes, or went.
fn goes(view: &View) -> Headline {
    let state = &view.state;
    let live = state.live_revision.as_deref().map_or_else(|| "the live version".to_owned(), |live| plain(live, 60));
    let revision = view.rollout().map_or_else(|| "the candidate".to_owned(), |one| plain(&one.revision, 60));
    let failure = view.rollout().and_then(|one| one.failure.as_deref()).map(|failure| plain(failure, 400));
    let because = failure.clone().map_or_else(String::new, |failure| format!("; {failure}"));
    let say = |mark, word, sentence: String, tone| Headline { mark, word, sentence, to_do: None, tone };
    let retry = Some(format!("spillway-rollout retry {} starts it again from the first step", plain(&view.name, 63)));
    match state.phase {
        Phase::Idle if state.live_revision.is_none() => {
            say("–", "idle", "nothing was seen of it yet".to_owned(), Tone::Calm)
        }
        Phase::Idle => {
            say("–", "idle", format!("{live} is live in {}, nothing to roll out", state.live_slot), Tone::Calm)
        }
        Phase::Preparing => {
            let trouble =
                view.troubles.first().map_or_else(String::new, |trouble| format!(": {}", plain(trouble, 300)));
            let tone = if view.troubles.is_empty() { Tone::Good } else { Tone::Waiting };
            say("▶", "preparing", format!("{revision} starts and takes no traffic yet{trouble}"), tone)
        }
        Phase::Progressing => say("▶", "progressing", progress(view), Tone::Good),
        Phase::Observing => {
            let left = view.left_ms().map_or_else(String::new, |left| format!(" for {} more", span(left)));
            say("✓", "promoted", format!("{revision} is live and watched{left}"), Tone::Good)
        }
        Phase::Succeeded if view.strategy == Strategy::Shadow => {
            say("✓", "succeeded", format!("{revision} was as good as {live} on copies of its requests"), Tone::Good)
        }
        Phase::Succeeded => say("✓", "promoted", format!("{revision} is live in {}", state.live_slot), Tone::Good),
        Phase::RollingBack => say("✗", "rolling back", format!("{live} takes all traffic again{because}"), Tone::Bad),
        Phase::RolledBack => {
            let sentence = format!("{live} has all traffic again{because}");
            Headline { to_do: retry, ..say("✗", "rolled back", sentence, Tone::Bad) }
        }
        Phase::Aborted => {
            Headline { to_do: retry, ..say("✗", "aborted", format!("{live} has all traffic{because}"), Tone::Bad) }
        }
    }
}

fn progress(view: &View) -> String {
    let verdicts = || view.guards().into_iter().filter_map(|(_, status)| Some(status?.verdict));
    let failed = verdicts().filter(|verdict| *verdict == Verdict::Failed).count();
    let unknown = verdicts().filter(|verdict| *verdict == Verdict::Inconclusive).count();
    let guards = match (failed, unknown, verdicts().count()) {
        (_, _, 0) => "no guard was looked at yet".to_owned(),
        (0, 0, _) => "every guard is good".to_owned(),
        (0, unknown, all) if unknown == all => "no guard has evidence yet".to_owned(),
        (0, unknown, all) => format!("{unknown} of {all} guards without evidence yet"),
        (failed, _, all) => format!("{failed} of {all} guards failed"),
    };
    format!("{}, {guards}", subject(view))
}

/// The candidate and its share.
fn subject(view: &View) -> String {
    let Some(rollout) = view.rollout() else { return "no candidate".to_owned() };
    let revision = plain(&rollout.revision, 60);
    match (rollout.weight, rollout.mirror) {
        (0, 0) => format!("{revision} has no traffic"),
        (0, mirror) => format!("{revision} gets copies of {mirror} % of the requests"),
        (weight, _) => format!("{revision} has {weight} % of the traffic"),
    }
}

fn paused(view: &View) -> String {
    if view.is_under_way() { subject(view) } else { "no rollout starts".to_owned() }
}

/// Where a held rollout stands, as the end of a sentence.
fn place(view: &View) -> String {
    if view.is_under_way() { format!(" ({})", subject(view)) } else { String::new() }
}

fn is_frozen(view: &View) -> bool {
    let excepted = view.state.override_until.is_some_and(|until| until > view.at);
    !excepted && view.state.budgets.values().any(|budget| matches!(budget, Budget::Frozen | Budget::Emergency))
}

fn has_failed(view: &View) -> bool {
    let rollout = view.rollout();
    rollout.is_some_and(|one| {
        one.failure.is_some()
            || one.guards.values().any(|guard| guard.verdict == Verdict::Failed)
            || one.gates.iter().any(|gate| gate.step == one.step && gate.verdict == Verdict::Failed)
    })
}
