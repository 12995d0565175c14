//! The decision.
//!
//! One look, in this order: adopt what runs, notice drift, weigh budgets, take windows and readings, carry out commands, follow the wanted
//! revision, go on. What follows is decided once and here:
//!
//! **Green needs evidence.** A step with traffic ends well only when every guard that applies to it is [`Good`](crate::state::Verdict::Good)
//! by data of this step: a comparison when the judge has proven the candidate no worse than tolerated, a threshold when its last whole window
//! had requests and was within the limit, a reading when it is fresh and within the limit. At the end of the bake everything else is
//! inconclusive, and `onInconclusive` says what follows; so is a comparison that is still open, as it is at a few requests per second.
//! Then it holds until the evidence comes, or a person promotes. A comparison does not apply where only one version has requests (weight 0
//! without copies, weight 100).
//!
//! **Paused moves nothing**: neither up nor down, whatever guards say; aborting is always possible.
//!
//! **A failure acts at once**, in every stage of a step; going back to the live slot is never held.

mod adopt;
mod blocks;
mod budgets;
mod commands;
mod compare;
mod desired;
mod drift;
mod failure;
mod gates;
mod guards;
mod histogram;
mod look;
mod observation;
mod rest;
mod rollback;
mod steps;
mod text;
mod thresholds;

use spillway_model::UnixMillis;

use crate::decision::Decision;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::state::{Phase, State};

use look::Look;

/// Decides what happens next. Pure and total: the same plan, state, observation and time always give the same decision.
#[must_use]
pub fn decide(plan: &Plan, state: &State, observed: &Observed, now: UnixMillis) -> Decision {
    let mut look = Look::new(plan, state, observed, now);
    look.mend();
    look.adopt();
    look.notice_drift();
    look.mark_pause();
    look.weigh_budgets();
    look.take_blocks();
    look.read_guards();
    look.carry_out_commands();
    look.follow_wanted();
    match look.state.phase {
        Phase::Idle | Phase::Succeeded | Phase::RolledBack | Phase::Aborted => look.rest(),
        Phase::Preparing => look.prepare(),
        Phase::Progressing => look.progress(),
        Phase::Observing => look.observe(),
        Phase::RollingBack => look.go_back(),
    }
    look.finish()
}
