//! The end: nothing new begins, and nothing that this worker holds stays claimed.

use futures_util::FutureExt;
use spillway_model::Claimed;

use super::{Dispatcher, READY_BATCH, Report};
use crate::attempt_task::Outcome;
use crate::lease::Claim;
use crate::stop::StopTimes;

impl Dispatcher {
    /// What waits becomes due at once for somebody else; what is under way finishes, or is cut off and given back.
    pub(super) async fn drain(mut self, times: StopTimes) {
        let waiting = self.lanes.clear();
        if !waiting.is_empty() {
            tracing::info!(deliveries = waiting.len(), "deliveries that wait are given back");
        }
        self.give_back(waiting);
        self.give_back_ready();
        self.tasks.close();
        if tokio::time::timeout_at(times.attempts, self.finish()).await.is_err() {
            tracing::warn!(
                attempts = self.running.0.len(),
                "attempts that did not end in time are cut off; their deliveries are made again"
            );
            for task in self.running.0.values() {
                task.abort();
            }
        }
        self.leave_budgets();
        // Once more for what was handed over meanwhile, and for the reports of those that ended last.
        self.give_back_ready();
        if tokio::time::timeout_at(times.end, self.finish()).await.is_err() {
            tracing::warn!(
                deliveries = self.outbox.len(),
                "deliveries that could not be given back wait until their leases end"
            );
        }
    }

    /// Waits until every task has ended, every report is taken and everything is handed to the settler.
    async fn finish(&mut self) {
        let (tasks, settle) = (self.tasks.clone(), self.attempts.settle.clone());
        loop {
            while let Ok(report) = self.inbox.try_recv() {
                self.take_late(report);
            }
            if self.outbox.is_empty() && tasks.is_empty() {
                return;
            }
            tokio::select! {
                () = tasks.wait(), if self.outbox.is_empty() => {}
                Some(report) = self.inbox.recv() => self.take_late(report),
                permit = settle.room(), if !self.outbox.is_empty() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(settlement)) => permit.send(settlement),
                    // The settler is gone, and with it the way back.
                    _ => return,
                },
            }
        }
    }

    fn take_late(&mut self, report: Report) {
        match report {
            Report::Attempt { task, destination, grant, outcome, .. } => {
                self.running.0.remove(&task);
                self.book(destination, grant, &outcome);
                if let Outcome::RateLimited { claimed, .. } | Outcome::PlaceEnded { claimed } = outcome {
                    self.give_back([*claimed]);
                }
            }
            Report::Claimed { result: Ok(batch), .. } => self.give_back(batch),
            Report::Budgets { answers, untold, problem } => self.take_budgets(answers, untold, problem),
            Report::Claimed { .. } | Report::Renewed { .. } | Report::Disabled { .. } | Report::LookedUp { .. } => {}
        }
    }

    /// Gives back what lies in the ready queue of this process. What a shared queue has on its server is for others to take.
    fn give_back_ready(&mut self) {
        let queues = [Some(self.worker.coordination.ready.clone()), self.ready_of_slot.clone()];
        for queue in queues.into_iter().flatten() {
            while let Some(batch) = queue.pop(READY_BATCH).now_or_never() {
                self.give_back(batch);
            }
        }
    }

    pub(super) fn give_back(&mut self, deliveries: impl IntoIterator<Item = Claimed>) {
        let now = self.worker.clock.now();
        for claimed in deliveries {
            self.settle_later(Claim::of(&claimed).released(now));
        }
    }
}
