//! Rollouts from their start to their end, as people would read them.

mod budgets;
mod capacity;
mod commands;
mod gates;
mod judged;
mod play;
mod recordings;
mod rollouts;
mod wanted;
