//! Work that the writer does on its connection, within the transaction that everything else shares.
//!
//! The hot path has operations of its own, which the writer puts together into few statements. Whatever is done seldom is a [`Work`]: it
//! runs its statements one after another.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::operation::Operation;
use crate::{StoreError, StoreErrorKind};

/// A piece of work and what it comes to.
#[async_trait]
pub(super) trait Work: fmt::Debug + Send + Sync + 'static {
    type Output: fmt::Debug + Send + 'static;

    /// Does it. Is called again when the transaction had to be given up for another's sake, so it must change nothing but the database.
    async fn perform(&self, connection: &mut SqliteConnection) -> Result<Done<Self::Output>, StoreError>;
}

/// What a piece of work came to.
pub(super) struct Done<T> {
    pub(super) output: T,
    /// Statements that it took.
    pub(super) statements: u32,
    /// About what they add to the log.
    pub(super) written_bytes: usize,
}

impl<T> Done<T> {
    /// A few rows were written by so many statements.
    pub(super) const fn few(output: T, statements: u32) -> Self {
        Self { output, statements, written_bytes: 4_096 }
    }
}

/// [`Done`] of some work, whichever.
pub(super) type AnyDone = Done<Box<dyn Any + Send>>;

/// Some work and who waits for it.
#[async_trait]
pub(super) trait Task: fmt::Debug + Send + Sync {
    async fn run(&self, connection: &mut SqliteConnection) -> Result<AnyDone, StoreError>;

    /// Tells what it came to, once the transaction is flushed or has failed.
    fn answer(self: Box<Self>, result: Result<Box<dyn Any + Send>, StoreError>);
}

#[derive(Debug)]
struct Asked<W: Work> {
    work: W,
    answer: oneshot::Sender<Result<W::Output, StoreError>>,
}

/// The operation that does `work` and answers.
pub(super) fn ask<W: Work>(work: W, answer: oneshot::Sender<Result<W::Output, StoreError>>) -> Operation {
    Operation::Task(Box::new(Asked { work, answer }))
}

#[async_trait]
impl<W: Work> Task for Asked<W> {
    async fn run(&self, connection: &mut SqliteConnection) -> Result<AnyDone, StoreError> {
        let Done { output, statements, written_bytes } = self.work.perform(connection).await?;
        Ok(Done { output: Box::new(output), statements, written_bytes })
    }

    fn answer(self: Box<Self>, result: Result<Box<dyn Any + Send>, StoreError>) {
        let result = result.and_then(|output| match output.downcast::<W::Output>() {
            Ok(output) => Ok(*output),
            Err(_) => Err(StoreError::new(StoreErrorKind::Internal, "a task got another one's outcome")),
        });
        // Whoever gave up waiting needs no answer.
        drop(self.answer.send(result));
    }
}
