//! Programs of others that find things: what they say matters when they have found something.

use xshell::Cmd;

use crate::failure::{Failure, Result};

/// Runs one, and prints what it found.
pub(super) fn run(name: &str, command: Cmd<'_>) -> Result<()> {
    let output = command.quiet().ignore_status().output()?;
    if output.status.success() {
        return Ok(());
    }
    for said in [output.stdout, output.stderr] {
        let text = String::from_utf8_lossy(&said).trim().to_owned();
        if !text.is_empty() {
            eprintln!("{text}");
        }
    }
    Err(Failure::new(format!("{name} has found something, see above")))
}
