//! The pages. Each one opens on the answer to one question.

pub(crate) mod configured;
pub(crate) mod connections;
pub(crate) mod dead_letters;
pub(crate) mod destinations;
pub(crate) mod dry_run;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod frame;
pub(crate) mod load_tests;
pub(crate) mod login;
pub(crate) mod overview;
pub(crate) mod performance;
pub(crate) mod replays;
pub(crate) mod rollouts;
pub(crate) mod slos;
pub(crate) mod sources;
pub(crate) mod testing;
