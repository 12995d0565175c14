//! `cargo xtask stack --local`, as its user has it: the commands, the dashboards' queries, and alerts when parts die.

mod commands;
mod containers;
mod kills;
mod panels;
mod routing;
mod sender;
mod support;
