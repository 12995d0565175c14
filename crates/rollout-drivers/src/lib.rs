//! What observes and moves a rollout. Nothing here decides: [`spillway_rollout::decide`] does.

// Each module has one owner.
pub mod cli; // the command line, and people
pub mod controller; // the loop: observe, decide, remember, act, tell
pub mod gates; // smoke, webhooks, load tests
pub mod host; // processes and nginx on one host
pub mod http; // one small client
pub mod kubernetes; // the cluster
pub mod memory; // state and commands in a directory
pub mod meter; // metrics, alerts, budgets
pub mod notify; // Slack, PagerDuty, webhooks
pub mod people; // status, reports
pub mod secrets; // tokens and addresses by reference
pub mod workers; // shares of deliveries through the gateway's API
