//! Conditions: what is true of a Rollout now, and since when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::Plan;
use spillway_rollout::state::{Phase, State};

use super::status::time;
use crate::code::Code;

/// Something that is true of a Rollout, or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about: `Ready`, `Progressing`, `Held`, `Degraded` or `InvalidPlan`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it is true: `True`, `False` or `Unknown`.
    pub status: String,
    /// One word for programs; each of a problem has a page under `runbooks/errors`.
    pub reason: String,
    /// One sentence for people, which says what to do where something is to be done.
    pub message: String,
    /// When its `status` changed last.
    pub last_transition_time: String,
    /// The generation of the spec that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Something that keeps a Rollout from being carried out at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// One word for programs.
    pub(crate) reason: &'static str,
    /// One sentence that says what to do.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Its code, which names its page under `runbooks/errors`; none for what is no error.
    pub(crate) fn code(&self) -> Option<Code> {
        Some(match self.reason {
            INVALID_PLAN => Code::PlanInvalid,
            WORKLOAD_TAKEN => Code::WorkloadTaken,
            WORKLOAD_MISSING => Code::WorkloadMissing,
            ROUTER_UNREADABLE => Code::RouterUnreadable,
            NAME_TAKEN => Code::NameTaken,
            REFUSED => Code::ClusterRefused,
            MEMORY_UNREADABLE => Code::StateDamaged,
            _ => return None,
        })
    }

    /// The message with its code.
    pub(crate) fn text(&self) -> String {
        match self.code() {
            Some(code) => format!("{} ({code})", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether it is the plan itself that is wrong.
    fn is_plan(&self) -> bool {
        self.reason == INVALID_PLAN
    }
}

/// The plan is not understood, not consistent, or asks for what its router cannot do.
pub(crate) const INVALID_PLAN: &str = "InvalidPlan";
/// Another Rollout has the workload.
pub(crate) const WORKLOAD_TAKEN: &str = "WorkloadTaken";
/// The named Deployment is not there.
pub(crate) const WORKLOAD_MISSING: &str = "WorkloadMissing";
/// The live slot is being made from the workload.
pub(crate) const ADOPTING: &str = "Adopting";
/// The router cannot be read.
pub(crate) const ROUTER_UNREADABLE: &str = "RouterUnreadable";
/// An object has the name that a slot needs.
pub(crate) const NAME_TAKEN: &str = "NameTaken";
/// The API server, or an object in it, does not allow what has to be done.
pub(crate) const REFUSED: &str = "Refused";
/// What was remembered cannot be read.
pub(crate) const MEMORY_UNREADABLE: &str = "MemoryUnreadable";

/// Messages are cut here; the API allows 32 KiB.
const MAX_MESSAGE_BYTES: usize = 4096;

/// What is to be said now, to be merged with what was said before.
struct Said {
    type_: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

/// Conditions of a Rollout that is being carried out. `troubles` is what could not be observed or done at this look.
pub(crate) fn of_state(
    previous: &[Condition],
    plan: &Plan,
    state: &State,
    troubles: &[String],
    generation: Option<i64>,
    now: UnixMillis,
) -> Vec<Condition> {
    let progress = state.rollout.as_ref();
    let failure = progress.and_then(|progress| progress.failure.clone());
    let held = state.held.clone().or_else(|| {
        (state.paused || plan.paused).then(|| "it is paused: say resume, or set spec.paused to false".to_owned())
    });
    let said = vec![
        match state.phase {
            Phase::Idle | Phase::Succeeded => said("Ready", true, "Live", "the wanted revision is live"),
            Phase::RolledBack | Phase::Aborted => {
                said("Ready", true, "PreviousLive", "the live revision serves; the wanted one does not")
            }
            _ => said("Ready", true, "RollingOut", "the live revision serves while another one is rolled out"),
        },
        match state.phase {
            Phase::Preparing => said("Progressing", true, "Preparing", "the candidate starts"),
            Phase::Progressing => said("Progressing", true, "Stepping", "traffic moves to the candidate by steps"),
            Phase::Observing => said("Progressing", true, "Observing", "the new version is live and watched"),
            Phase::RollingBack => said("Progressing", true, "RollingBack", "traffic goes back to the live version"),
            _ => said("Progressing", false, "Idle", "nothing is under way"),
        },
        match held {
            Some(why) => said("Held", true, "Held", why),
            None => said("Held", false, "GoesOn", "nothing holds it"),
        },
        match (state.phase, failure) {
            (Phase::RolledBack | Phase::RollingBack, failure) => {
                said("Degraded", true, "RolledBack", failure.unwrap_or_else(|| "it was rolled back".to_owned()))
            }
            (Phase::Aborted, _) => {
                said("Degraded", true, "Aborted", "a person stopped it; say retry to start it again")
            }
            _ if !troubles.is_empty() => {
                said("Degraded", true, "Trouble", format!("{} ({})", troubles.join("; "), Code::Trouble))
            }
            _ => said("Degraded", false, "Well", "no trouble"),
        },
        said(INVALID_PLAN, false, "Valid", "the plan is understood"),
    ];
    merge(previous, said, generation, now)
}

/// Conditions of a Rollout that cannot be carried out: what was said of its progress stays, because traffic stays where it was.
pub(crate) fn of_problem(
    previous: &[Condition],
    problem: &Problem,
    generation: Option<i64>,
    now: UnixMillis,
) -> Vec<Condition> {
    let mut said_now = vec![
        said("Ready", false, problem.reason, problem.text()),
        if problem.reason == ADOPTING {
            said("Degraded", false, "Well", "no trouble")
        } else {
            said("Degraded", true, problem.reason, problem.text())
        },
    ];
    if problem.is_plan() {
        said_now.push(said(INVALID_PLAN, true, problem.reason, problem.text()));
    }
    let mut merged = merge(previous, said_now, generation, now);
    let kept = previous.iter().filter(|old| merged.iter().all(|new| new.type_ != old.type_)).cloned();
    let kept: Vec<Condition> = kept.collect();
    merged.extend(kept);
    merged
}

fn said(type_: &'static str, status: bool, reason: &'static str, message: impl Into<String>) -> Said {
    Said { type_, status, reason, message: message.into() }
}

fn merge(previous: &[Condition], said: Vec<Said>, generation: Option<i64>, now: UnixMillis) -> Vec<Condition> {
    let merged = said.into_iter().map(|said| {
        let status = if said.status { "True" } else { "False" };
        let before = previous.iter().find(|old| old.type_ == said.type_ && old.status == status);
        Condition {
            type_: said.type_.to_owned(),
            status: status.to_owned(),
            reason: said.reason.to_owned(),
            message: cut(said.message),
            last_transition_time: before.map_or_else(|| time(now), |before| before.last_transition_time.clone()),
            observed_generation: generation,
        }
    });
    merged.collect()
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
        conditions.iter().find(|condition| condition.type_ == type_).expect("the condition is there")
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change() {
        let missing = Problem::new(WORKLOAD_MISSING, "create it");
        let first = of_problem(&[], &missing, Some(1), 1_000_000);
        let second = of_problem(&first, &Problem::new(ADOPTING, "it starts"), Some(2), 2_000_000);
        let (ready, degraded) = (find(&second, "Ready"), find(&second, "Degraded"));
        assert_eq!(ready.last_transition_time, time(1_000_000), "it was not ready before");
        assert_eq!((ready.reason.as_str(), ready.observed_generation), (ADOPTING, Some(2)));
        assert_eq!(degraded.last_transition_time, time(2_000_000), "it was degraded before");
    }

    #[test]
    fn a_wrong_plan_says_so_and_leaves_what_is_known_of_progress() {
        let progressing =
            Condition { type_: "Progressing".to_owned(), status: "True".to_owned(), ..Condition::default() };
        let conditions =
            of_problem(std::slice::from_ref(&progressing), &Problem::new(INVALID_PLAN, "weights fall"), None, 0);
        assert_eq!(find(&conditions, INVALID_PLAN).status, "True");
        assert_eq!(find(&conditions, "Progressing"), &progressing);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert!(cut("é".repeat(5000)).len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
    }
}
