//! `stack down --local`: ends exactly what was started, the last part first.

use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;

use super::parts::Part;
use super::state::{self, State};
use crate::Failure;
use crate::report::duration;

/// Ends every part that is still the process that was started.
pub(super) async fn down(folder: &Path) -> Result<(), Failure> {
    if !folder.is_dir() {
        say!("No stack runs in {}.", folder.display());
        return Ok(());
    }
    let _lock = state::lock(folder)?;
    let Some(mut state) = State::load(folder)? else {
        say!("No stack runs in {}.", folder.display());
        return Ok(());
    };
    for part in Part::ALL.into_iter().rev() {
        let begun = Instant::now();
        let Some(process) = state.process(part) else { continue };
        let (pid, was_alive) = (process.pid, process.is_alive());
        let by_itself = end(&mut state, part).await;
        state.save(folder)?;
        let how = match (was_alive, by_itself) {
            (false, _) => "had ended before".to_owned(),
            (true, true) => format!("ended in {}", duration(begun.elapsed())),
            (true, false) => "did not end when it was asked to, and was killed".to_owned(),
        };
        say!("✓ {part:<13} {pid:<8} {how}");
    }
    State::remove(folder)?;
    say!("\nData and logs stay in {}.", folder.display());
    Ok(())
}

/// Ends a part and strikes it from the state. Returns whether it ended by itself.
pub(super) async fn end(state: &mut State, part: Part) -> bool {
    let Some(process) = state.process(part).cloned() else { return true };
    // PostgreSQL would wait for its clients at SIGTERM, and rolls their transactions back at SIGINT.
    let signal = if part == Part::Postgres { Signal::INT } else { Signal::TERM };
    let by_itself = process.end(signal).await;
    state.ended(part);
    by_itself
}
