//! `spillway-devtools`, which `cargo xtask` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    spillway_devtools::main()
}
