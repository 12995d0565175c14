//! Keys that are pressed while it listens.

use std::io::{IsTerminal as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Keys that wait to be looked at.
const MOST_WAITING: usize = 16;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Send the last event again.
    Replay,
    /// Enough.
    Leave,
}

/// The keyboard, or what stands in standard input instead.
pub(super) struct Keys {
    pressed: mpsc::Receiver<Key>,
    /// How the terminal was, to be so again.
    before: Option<Termios>,
}

impl Keys {
    /// Reads keys one by one on a terminal, without waiting for the end of a line and without showing them.
    pub(super) fn listen() -> Self {
        let (sender, pressed) = mpsc::channel(MOST_WAITING);
        let is_terminal = std::io::stdin().is_terminal();
        let before = if is_terminal { one_by_one() } else { None };
        // A thread of its own, which ends with the process: a read of standard input cannot be called off.
        std::thread::spawn(move || {
            for byte in std::io::stdin().lock().bytes().map_while(Result::ok) {
                let key = match byte {
                    b'r' | b'R' => Key::Replay,
                    b'q' | b'Q' if is_terminal => Key::Leave,
                    _ => continue,
                };
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        });
        Self { pressed, before }
    }

    pub(super) fn are_of_a_terminal(&self) -> bool {
        self.before.is_some()
    }

    /// The next key; never returns once there can be none. Cancel safe.
    pub(super) async fn next(&mut self) -> Key {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

/// Sets the terminal so that each key is given at once. Signals of Ctrl-C and Ctrl-Z stay. Returns how it was.
fn one_by_one() -> Option<Termios> {
    let before = tcgetattr(std::io::stdin()).ok()?;
    let mut after = before.clone();
    after.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(std::io::stdin(), OptionalActions::Now, &after).ok()?;
    Some(before)
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
