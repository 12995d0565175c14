//! Budgets of all lanes: who has to ask the store for more, and what the store must be told.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use spillway_model::DestinationId;

use super::Lanes;
use crate::budget::{Books, Correction, Grant, Granted, Limits, Spent, Wish};
use crate::lane::Lane;

/// What is to be asked of the store for one lane.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) destination: DestinationId,
    pub(crate) hour: i64,
    pub(crate) limits: Limits,
    pub(crate) wish: Wish,
}

/// What lanes with a budget have in common. Empty, and never looked at, while no destination has one.
#[derive(Debug, Default)]
pub(super) struct Desk {
    hour: i64,
    /// Lanes with a budget.
    lanes: HashSet<DestinationId>,
    /// Those of them that must ask before they can go on.
    wanting: HashSet<DestinationId>,
    books: Books,
}

impl Desk {
    pub(super) fn hour(&self) -> i64 {
        self.hour
    }

    pub(super) fn keep(&mut self, id: DestinationId) {
        self.lanes.insert(id);
    }

    pub(super) fn want(&mut self, id: DestinationId) {
        self.wanting.insert(id);
    }

    /// Before a lane takes other limits, or none, it gives back what it has in hand.
    pub(super) fn change_limits(&mut self, id: DestinationId, lane: &mut Lane, to: Option<&Limits>) {
        if lane.budget().is_some_and(|budget| Some(budget.limits()) != to) {
            let (requests, each) = lane.give_up();
            self.books.give_back(id, self.hour, requests, each);
        }
        if to.is_some() {
            self.lanes.insert(id);
        }
    }
}

impl Lanes {
    /// Whether a destination has a budget, or had one about which the store must be told something.
    pub(crate) fn has_budgets(&self) -> bool {
        !self.desk.lanes.is_empty() || !self.desk.books.is_empty()
    }

    /// Whether a lane cannot go on before the store was asked.
    pub(crate) fn wants_budget(&self) -> bool {
        !self.desk.wanting.is_empty()
    }

    /// Says which clock hour it is. When it is another one, requests in hand belong to the hour before and go back, and lanes whose budget
    /// was used up go on.
    pub(crate) fn set_hour(&mut self, hour: i64) {
        let before = std::mem::replace(&mut self.desk.hour, hour);
        if before == hour || self.desk.lanes.is_empty() {
            return;
        }
        for id in self.desk.lanes.clone() {
            self.give_up(id, before);
            if let Some(budget) = self.lanes.get_mut(&id).and_then(|entry| entry.lane.budget()) {
                budget.forget_refusals();
            }
            self.queue_turn(id);
        }
        self.desk.books.forget_before(hour);
        self.count_over_budget();
    }

    fn give_up(&mut self, id: DestinationId, hour: i64) {
        let Some(entry) = self.lanes.get_mut(&id) else { return };
        let (requests, each) = entry.lane.give_up();
        self.desk.books.give_back(id, hour, requests, each);
    }

    /// What to ask the store: for the lanes that cannot go on, and, when `all` are looked at, to keep places and give back what is idle.
    pub(crate) fn questions(&mut self, all: bool, now: Instant) -> Vec<Question> {
        let wanting = std::mem::take(&mut self.desk.wanting);
        let ids: Vec<_> = if all { self.desk.lanes.iter().copied().collect() } else { wanting.into_iter().collect() };
        let mut questions = Vec::new();
        for destination in ids {
            let hour = self.desk.hour;
            let lane = self.lanes.get_mut(&destination).map(|entry| &mut entry.lane);
            let Some(lane) = lane.filter(|lane| lane.has_budget()) else {
                self.desk.lanes.remove(&destination);
                continue;
            };
            if all {
                let (requests, each) = lane.give_up_surplus();
                self.desk.books.give_back(destination, hour, requests, each);
            }
            if let Some(wish) = lane.wish(now)
                && let Some(limits) = lane.budget().map(|budget| budget.limits().clone())
            {
                questions.push(Question { destination, hour, limits, wish });
            }
        }
        questions
    }

    /// The store's answer to a question; `None` when it could not be asked.
    pub(crate) fn answered(&mut self, question: &Question, granted: Option<Granted>, now: Instant) {
        let (id, hour) = (question.destination, question.hour);
        let Some(entry) = self.lanes.get_mut(&id) else { return };
        let is_late = hour != self.desk.hour || entry.lane.budget().is_none_or(|of| *of.limits() != question.limits);
        if is_late && let Some(granted) = granted {
            self.desk.books.give_back(id, hour, granted.requests, question.limits.cost_micros_each);
        }
        let granted =
            granted.map(|granted| Granted { requests: if is_late { 0 } else { granted.requests }, ..granted });
        entry.lane.granted(granted, now);
        if is_late && let Some(budget) = entry.lane.budget() {
            budget.forget_refusals();
        }
        self.queue_turn(id);
        self.count_over_budget();
    }

    /// Books what an attempt used of its grant. Returns whether to say that its answer's cost could not be read.
    pub(crate) fn spent(&mut self, id: DestinationId, grant: Grant, spent: &Spent) -> bool {
        let hour = self.desk.hour;
        let budget = self.lanes.get_mut(&id).and_then(|entry| entry.lane.budget());
        match (spent, budget) {
            (Spent::Expected, _) | (Spent::Unreadable(_), None) => false,
            (Spent::Unreadable(_), Some(budget)) => budget.warns_in(hour),
            (Spent::Said(micros), _) => {
                self.desk.books.cost(id, grant.hour, grant.cost_micros, *micros);
                false
            }
            (Spent::Nothing, Some(budget))
                if grant.hour == hour && grant.cost_micros == budget.limits().cost_micros_each =>
            {
                budget.take_back();
                false
            }
            (Spent::Nothing, _) => {
                self.desk.books.give_back(id, grant.hour, 1, grant.cost_micros);
                false
            }
        }
    }

    /// What the store must be told. What it does not take comes back by [`Lanes::not_told`].
    pub(crate) fn corrections(&mut self) -> Vec<Correction> {
        self.desk.books.take()
    }

    pub(crate) fn not_told(&mut self, corrections: Vec<Correction>) {
        corrections.into_iter().for_each(|correction| self.desk.books.add(correction));
    }

    /// Gives up every request and place in hand. Returns where places were held.
    pub(crate) fn leave(&mut self) -> Vec<DestinationId> {
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.desk.lanes) {
            self.give_up(id, self.desk.hour);
            let budget = self.lanes.get_mut(&id).and_then(|entry| entry.lane.budget());
            if budget.is_some_and(|budget| budget.leave_places() > 0) {
                left.push(id);
            }
        }
        left
    }

    pub(super) fn count_over_budget(&self) {
        let lanes = self.desk.lanes.iter().filter_map(|id| self.lanes.get(id));
        let waiting = lanes.filter(|entry| entry.lane.is_over_budget()).count();
        self.counts.over_budget.store(waiting, Ordering::Relaxed);
    }
}
