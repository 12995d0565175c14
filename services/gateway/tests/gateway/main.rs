//! The real program, from outside: how it starts, stops, reloads, works on several nodes, and survives faults.

mod budgets;
mod chaos;
mod doctor;
mod listen;
mod nginx;
mod nodes;
mod order;
mod programs;
mod reload;
mod retention;
mod rollout;
mod runbooks;
mod shares;
mod shutdown;
mod startup;
mod support;
mod synchronous;
mod traces;
