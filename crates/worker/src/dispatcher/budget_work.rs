//! What the dispatcher asks of the store about budgets, and tells it. One such conversation is under way at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use spillway_model::DestinationId;
use spillway_store::{BudgetRequest, PlacesRequest, Store, StoreError, StoreErrorKind};

use super::{Dispatcher, Report};
use crate::attempt_task::Outcome;
use crate::budget::{Correction, Grant, Granted, Spent};
use crate::lanes::Question;
use crate::lease::milliseconds;

/// How often places are kept, idle requests given back and costs told.
const EVERY: Duration = Duration::from_millis(500);
/// Questions that the store answers at once.
const AT_ONCE: usize = 8;

impl Dispatcher {
    /// Asks for what lanes need to go on, and once in a while does the rest: see [`EVERY`].
    pub(super) fn start_budgets(&mut self) {
        if self.asking_budgets || !self.lanes.has_budgets() {
            return;
        }
        let now = Instant::now();
        let all = now >= self.budgets_at;
        if !all && !self.lanes.wants_budget() {
            return;
        }
        if all {
            self.budgets_at = now + EVERY;
        }
        let questions = self.lanes.questions(all, now);
        self.converse(questions);
    }

    /// Gives back every request and place in hand.
    pub(super) fn leave_budgets(&mut self) {
        for destination in self.lanes.leave() {
            let (store, holder, now) = (self.worker.store.clone(), self.holder, self.worker.clock.now());
            let nothing = PlacesRequest { destination, holder, wanted: 0, max: u32::MAX, now, lease_until: now };
            self.tasks.spawn(async move {
                if let Err(error) = store.hold_places(nothing).await {
                    tracing::warn!(destination.id = %destination, code = error.code(), %error, "places could not be given back; they are free when their lease ends");
                }
            });
        }
        self.converse(Vec::new());
    }

    fn converse(&mut self, questions: Vec<Question>) {
        let corrections = self.lanes.corrections();
        if questions.is_empty() && corrections.is_empty() {
            return;
        }
        self.asking_budgets = true;
        let unanswered = questions.iter().map(|question| (question.clone(), None)).collect();
        let panicked = StoreError::new(StoreErrorKind::Internal, "the question panicked");
        // What the store was told before a panic is not known, and is not told again: use is then counted too high.
        let otherwise = Report::Budgets { answers: unanswered, untold: Vec::new(), problem: Some(panicked) };
        let desk = Desk { store: self.worker.store.clone(), holder: self.holder, now: self.worker.clock.now() };
        self.start(otherwise, desk.converse(questions, corrections));
    }

    pub(super) fn take_budgets(
        &mut self,
        answers: Vec<(Question, Option<Granted>)>,
        untold: Vec<Correction>,
        problem: Option<StoreError>,
    ) {
        self.asking_budgets = false;
        match problem {
            Some(error) if !self.budgets_are_away => {
                self.budgets_are_away = true;
                tracing::warn!(code = error.code(), %error, "budgets cannot be asked for; destinations that have one wait");
            }
            None if self.budgets_are_away => {
                self.budgets_are_away = false;
                tracing::info!("budgets can be asked for again");
            }
            _ => {}
        }
        self.lanes.not_told(untold);
        let now = Instant::now();
        for (question, granted) in answers {
            self.lanes.answered(&question, granted, now);
        }
    }

    /// Books what an attempt used of its destination's budget.
    pub(super) fn book(&mut self, destination: DestinationId, grant: Option<Grant>, outcome: &Outcome) {
        let Some(grant) = grant else { return };
        let spent = match outcome {
            Outcome::Ended { spent, .. } => spent,
            Outcome::RateLimited { .. } | Outcome::PlaceEnded { .. } | Outcome::LeaseLost => &Spent::Nothing,
            Outcome::Lost => &Spent::Expected,
        };
        if self.lanes.spent(destination, grant, spent)
            && let Spent::Unreadable(text) = spent
        {
            let name = self.destinations.get(destination).map(|to| to.destination.name.as_str());
            tracing::warn!(
                destination = name,
                text = &**text,
                "the cost in an answer is no amount; its request counts as expected (said once an hour)"
            );
        }
    }

    /// A grant whose attempt was never begun.
    pub(super) fn not_spent(&mut self, destination: DestinationId, grant: Option<Grant>) {
        if let Some(grant) = grant {
            self.lanes.spent(destination, grant, &Spent::Nothing);
        }
    }
}

/// The other side of the conversation.
#[derive(Clone)]
struct Desk {
    store: Arc<dyn Store>,
    holder: i64,
    now: i64,
}

impl Desk {
    /// Corrections first, so that what is asked for is what is left.
    async fn converse(self, questions: Vec<Question>, corrections: Vec<Correction>) -> Report {
        let (mut untold, mut problem) = (Vec::new(), None);
        let mut told =
            stream::iter(corrections.into_iter().map(|correction| self.tell(correction))).buffer_unordered(AT_ONCE);
        while let Some(result) = told.next().await {
            if let Err((correction, error)) = result {
                untold.push(correction);
                problem = Some(error);
            }
        }
        let mut answers = Vec::with_capacity(questions.len());
        let mut asked =
            stream::iter(questions.into_iter().map(|question| self.ask(question))).buffer_unordered(AT_ONCE);
        while let Some((question, result)) = asked.next().await {
            let granted = result.map_err(|error| problem = Some(error)).ok();
            answers.push((question, granted));
        }
        drop((told, asked));
        Report::Budgets { answers, untold, problem }
    }

    async fn tell(&self, correction: Correction) -> Result<(), (Correction, StoreError)> {
        let Correction { destination, hour, requests, cost_micros } = correction;
        let told = self.store.correct_budget(destination, hour, requests, cost_micros).await;
        told.map_err(|error| (correction, error))
    }

    async fn ask(&self, question: Question) -> (Question, Result<Granted, StoreError>) {
        let granted = self.grant(&question).await;
        (question, granted)
    }

    /// Places first: without one, requests would only be held.
    async fn grant(&self, question: &Question) -> Result<Granted, StoreError> {
        let Question { destination, hour, ref limits, wish } = *question;
        let mut granted = Granted { requests: 0, places: None };
        if let (Some(wanted), Some(max)) = (wish.places, limits.max_places) {
            let lease_until = self.now + milliseconds(wish.hold);
            let places = PlacesRequest { destination, holder: self.holder, wanted, max, now: self.now, lease_until };
            granted.places = Some(self.store.hold_places(places).await?);
        }
        if wish.requests > 0 {
            let request = BudgetRequest {
                destination,
                hour,
                requests: wish.requests,
                cost_micros_each: limits.cost_micros_each,
                max_requests: limits.max_requests,
                max_cost_micros: limits.max_cost_micros,
            };
            granted.requests = self.store.take_budget(request).await?;
        }
        Ok(granted)
    }
}
