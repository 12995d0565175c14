//! Reads the command line, runs the rollout, exits with its verdict.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    spillway_rollout_drivers::cli::main()
}
