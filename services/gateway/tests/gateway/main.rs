//! The real program, from outside: how it starts, stops, reloads, works on several nodes, and survives faults.

mod chaos;
mod nodes;
mod reload;
mod rollout;
mod shares;
mod shutdown;
mod startup;
mod support;
mod traces;
