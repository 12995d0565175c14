//! The worker on a real store, with real requests to scripted destinations.

mod address_guard;
mod budgets;
mod failures;
mod fairness;
mod faulty_store;
mod leases;
mod order;
mod programs;
mod requests;
mod shares;
mod stopping;
mod support;
mod tls;
