//! One look at one Rollout: observe, measure, decide, remember, act, tell.

use std::time::Duration;

use spillway_model::UnixMillis;
use spillway_rollout::decide::decide;
use spillway_rollout::observed::{Observed, RouterObserved};
use spillway_rollout::ports::{PortError, Target, TargetObserved};
use spillway_rollout::spec::WorkloadTarget;
use spillway_rollout::state::State;
use spillway_rollout::{Plan, Slot};

use super::condition::{
    ADOPTING, INVALID_PLAN, MEMORY_UNREADABLE, Problem, REFUSED, ROUTER_UNREADABLE, WORKLOAD_TAKEN, of_problem,
    of_state,
};
use super::context::Context;
use super::finish::{FINALIZER, Finish, finish};
use super::memory;
use super::resource::{RolloutObject, workload};
use super::session::Session;
use super::status::render;
use super::target::ClusterTarget;
use crate::people::View;

/// Time between two looks while something has to change first that this controller watches.
const WAIT: Duration = Duration::from_secs(5);
/// Time between two looks at what a person has to change.
const WAIT_FOR_PERSON: Duration = Duration::from_secs(60);
/// Bounds of the time between two looks.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(300));

/// Something that keeps the Rollout from being carried out: it is shown, and looked at again after a while.
struct Stuck {
    problem: Problem,
    again: Duration,
}

impl Stuck {
    fn person(reason: &'static str, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(reason, message), again: WAIT_FOR_PERSON }
    }

    fn waits(reason: &'static str, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(reason, message), again: WAIT }
    }
}

/// What a part of a look gives: nothing to go on with is shown as a condition, or tried again.
enum Halt {
    Stuck(Stuck),
    Error(PortError),
}

impl From<PortError> for Halt {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Permanent(message) => Self::Stuck(Stuck::person(REFUSED, message)),
            temporary @ PortError::Temporary(_) => Self::Error(temporary),
        }
    }
}

impl From<Stuck> for Halt {
    fn from(stuck: Stuck) -> Self {
        Self::Stuck(stuck)
    }
}

/// Looks at a Rollout once.
///
/// # Errors
/// When the API server refused or did not answer, in a way that may pass.
pub(crate) async fn look(context: &Context, namespace: &str, name: &str) -> Result<Duration, PortError> {
    let Some(rollout) = context.cluster.get::<RolloutObject>(namespace, name).await? else {
        context.forget(namespace, name).await;
        return Ok(LOOK_AGAIN.1);
    };
    let now = context.parts.clock.now();
    let carried_out = if rollout.metadata.deletion_timestamp.is_some() {
        Box::pin(give_back(context, &rollout)).await
    } else {
        Box::pin(carry_out(context, &rollout, now)).await
    };
    match carried_out {
        Ok(again) => Ok(again),
        Err(Halt::Stuck(stuck)) => {
            show(context, namespace, name, &stuck.problem, now).await?;
            Ok(stuck.again)
        }
        Err(Halt::Error(error)) => Err(error),
    }
}

async fn carry_out(context: &Context, rollout: &RolloutObject, now: UnixMillis) -> Result<Duration, Halt> {
    let plan = rollout.plan().map_err(|message| Stuck::person(INVALID_PLAN, message))?;
    let Some(workload) = workload(&plan).cloned() else {
        let message = "in a cluster give spec.target.workload; other targets are for `spillway-rollout run`";
        return Err(Stuck::person(INVALID_PLAN, message).into());
    };
    if let Some(taken) = context.taken(rollout, &workload.deployment).await? {
        return Err(Stuck::person(WORKLOAD_TAKEN, taken).into());
    }
    let state = memory::load(rollout).map_err(|error| Stuck::person(MEMORY_UNREADABLE, error.to_string()))?;
    let mut target = ClusterTarget::new(context.cluster.clone(), rollout.clone(), workload.clone());
    refuse_what_the_router_cannot(&plan, &target)?;
    let rollout = context.keep_until_given_back(rollout).await?;
    let observed = target.observe(&plan, &state).await?;
    let state = if state.live_revision.is_some() {
        state
    } else {
        Box::pin(adopt(&mut target, state, &workload, &observed)).await?
    };
    let observed = target.observe(&plan, &state).await?;
    if state.live_revision.is_none() && observed.router.is_none() {
        return Err(Stuck::waits(ROUTER_UNREADABLE, observed.troubles.join("; ")).into());
    }
    let session = context.session(&rollout, &plan).await;
    let mut session = session.lock().await;
    Box::pin(decide_and_act(context, &rollout, &plan, &mut target, observed, state, &mut session, now)).await
}

/// A plan that needs what its router cannot do is refused whole: no step is left out silently.
fn refuse_what_the_router_cannot(plan: &Plan, target: &ClusterTarget) -> Result<(), Stuck> {
    let can = target.capabilities();
    if !can.mirror && plan.steps.iter().any(|step| step.mirror > 0) {
        let message =
            "the router cannot copy requests: leave `mirror` and the strategy `shadow` out, or use a router that can";
        return Err(Stuck::person(INVALID_PLAN, message));
    }
    if !can.weights && plan.steps.iter().any(|step| step.weight > 0 && step.weight < 100) {
        return Err(Stuck::person(INVALID_PLAN, "the router cannot split by weight: use steps of 0 and 100 only"));
    }
    Ok(())
}

/// The first looks: the live slot is made beside the workload, and nothing goes on until it is ready.
async fn adopt(
    target: &mut ClusterTarget,
    state: State,
    workload: &WorkloadTarget,
    observed: &TargetObserved,
) -> Result<State, Halt> {
    if observed.wanted_revision.is_none() {
        let message = format!(
            "there is no Deployment {}: create it, or correct spec.target.workload.deployment",
            workload.deployment
        );
        return Err(Stuck::person(super::condition::WORKLOAD_MISSING, message).into());
    }
    let live = memory::live_slot_of(observed.router.as_ref());
    match target.adopt(live).await {
        Ok(None) => Ok(State { live_slot: live, ..state }),
        Ok(Some(waits)) => Err(Stuck::waits(ADOPTING, waits).into()),
        Err(PortError::Permanent(message)) => Err(Stuck::person(super::condition::NAME_TAKEN, message).into()),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::too_many_arguments, reason = "everything that one look needs")]
async fn decide_and_act(
    context: &Context,
    rollout: &RolloutObject,
    plan: &Plan,
    target: &mut ClusterTarget,
    seen: TargetObserved,
    state: State,
    session: &mut Session,
    now: UnixMillis,
) -> Result<Duration, Halt> {
    let measured = session.sample(&state, now).await;
    let gates = session.gates(&context.cluster).await?;
    let (commands, wrong_commands) = memory::commands(rollout, &state);
    let router = seen.router;
    let troubles = [seen.troubles, measured.troubles, wrong_commands].concat();
    let observed = Observed {
        wanted_revision: seen.wanted_revision,
        slots: seen.slots,
        router,
        blocks: measured.blocks,
        readings: measured.readings,
        gates,
        commands,
        troubles: troubles.clone(),
    };
    let decision = decide(plan, &state, &observed, now);
    let known: Vec<String> = troubles.iter().cloned().chain(session.trouble.clone()).collect();
    let saved = remember(context, rollout, plan, &decision.state, &known, session.reported(), now).await?;
    context.metrics.record(Some(rollout.namespace()), rollout.name(), &decision.state);
    let acted = act(plan, target, &decision, router.as_ref()).await;
    let acted = acted.and(session.ask(&context.cluster, &decision.desired.gates).await);
    context.tell(rollout, plan, &decision.state, &decision.notes).await;
    let view = View::new(plan, &decision.state, now).seen(&observed);
    session.show(&view);
    let reported = session.report(&context.cluster, rollout, &view).await;
    let trouble = acted.as_ref().err().or(reported.as_ref().err()).map(ToString::to_string);
    if trouble != session.trouble || reported == Ok(true) {
        session.trouble.clone_from(&trouble);
        let known: Vec<String> = troubles.into_iter().chain(trouble).collect();
        remember(context, &saved, plan, &decision.state, &known, session.reported(), now).await?;
    }
    let again = Duration::from_millis(decision.look_again_ms).clamp(LOOK_AGAIN.0, LOOK_AGAIN.1);
    Ok(if acted.is_err() { again.min(WAIT) } else { again })
}

/// Writes state and status. It comes before everything that is done.
async fn remember(
    context: &Context,
    rollout: &RolloutObject,
    plan: &Plan,
    state: &State,
    troubles: &[String],
    report: Option<&str>,
    now: UnixMillis,
) -> Result<RolloutObject, Halt> {
    let previous = rollout.status();
    let generation = rollout.metadata.generation;
    let mut status = render(plan, state);
    status.observed_generation = generation;
    status.conditions = of_state(&previous.conditions, plan, state, troubles, generation, now);
    status.report = report.map(str::to_owned);
    status.state = Some(memory::written(state)?);
    Ok(memory::save(&context.cluster, rollout, &status).await?)
}

/// Brings about what was decided; the workload's own pods go only when the live slot had its traffic at the look before.
async fn act(
    plan: &Plan,
    target: &mut ClusterTarget,
    decision: &spillway_rollout::decision::Decision,
    before: Option<&RouterObserved>,
) -> Result<(), PortError> {
    target.apply(plan, &decision.desired).await?;
    if before == Some(&decision.desired.router) {
        target.retire_workload(decision.state.live_slot).await?;
    }
    match target.trouble() {
        Some(trouble) => Err(PortError::Permanent(trouble.to_owned())),
        None => Ok(()),
    }
}

/// Gives everything back to the workload, and lets the Rollout go.
async fn give_back(context: &Context, rollout: &RolloutObject) -> Result<Duration, Halt> {
    if !rollout.has_finalizer(FINALIZER) {
        context.forget(rollout.namespace(), rollout.name()).await;
        return Ok(LOOK_AGAIN.1);
    }
    let live = memory::load(rollout).map_or(Slot::Blue, |state| state.live_slot);
    // A plan that cannot be understood any more still names its workload.
    let named = rollout.spec.pointer("/target/workload").cloned();
    let workload: Option<WorkloadTarget> = named.and_then(|named| serde_json::from_value(named).ok());
    let finished = match workload {
        Some(workload) => finish(&context.cluster, rollout, &workload, live).await?,
        None => Finish::Done,
    };
    match finished {
        Finish::Waits(what) => {
            tracing::info!(
                namespace = rollout.namespace(),
                rollout = rollout.name(),
                what,
                "the Rollout is given back"
            );
            Ok(Duration::from_secs(1))
        }
        Finish::Done => {
            context.let_go(rollout).await?;
            context.forget(rollout.namespace(), rollout.name()).await;
            Ok(LOOK_AGAIN.1)
        }
    }
}

/// Shows what keeps a Rollout from being carried out. What was remembered and what is known of its progress stay.
async fn show(
    context: &Context,
    namespace: &str,
    name: &str,
    problem: &Problem,
    now: UnixMillis,
) -> Result<(), PortError> {
    let Some(rollout) = context.cluster.get::<RolloutObject>(namespace, name).await? else { return Ok(()) };
    let mut status = rollout.status();
    let generation = rollout.metadata.generation;
    let is_new = !status.conditions.iter().any(|known| known.type_ == "Ready" && known.reason == problem.reason);
    status.observed_generation = generation;
    status.conditions = of_problem(&status.conditions, problem, generation, now);
    memory::save(&context.cluster, &rollout, &status).await?;
    if is_new && problem.reason != ADOPTING {
        tracing::warn!(namespace, rollout = name, reason = problem.reason, "{}", problem.message);
        context.warn(&rollout, problem).await;
    }
    Ok(())
}
