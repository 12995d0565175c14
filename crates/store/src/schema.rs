//! Which programs may work on which schema.
//!
//! Migrations only add within one major version, so a program works on a database that a newer one has migrated: it ignores what it does not
//! know, and a deployment can be taken back. A migration that takes something away, or changes what something means, sets `schema_needs` to
//! its own number, and older programs refuse the database from then on.

use sqlx::migrate::MigrateError;

use crate::{StoreError, StoreErrorKind};

/// Refuses a database that needs a program that knows at least migration `needed`.
pub(crate) fn check_needs<const N: usize>(needed: i64, known: [i64; N]) -> Result<(), StoreError> {
    let newest = known.into_iter().max().unwrap_or_default();
    if needed <= newest {
        return Ok(());
    }
    let text = format!(
        "the database needs a version of Spillway that knows schema {needed}, and this one knows schemas up to {newest}; install a \
         newer one"
    );
    Err(StoreError::new(StoreErrorKind::Incompatible, text))
}

pub(crate) fn from_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => {
            StoreError::new(StoreErrorKind::Incompatible, format!("the schema cannot be brought up to date: {other}"))
        }
    }
}
