//! `stack logs --local`.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use super::LogsArgs;
use super::parts::Part;
use crate::Failure;

/// Becomes `tail`, so that Ctrl-C is its own.
pub(super) fn show(arguments: &LogsArgs) -> Result<ExitCode, Failure> {
    let parts = match &arguments.part {
        None => Part::ALL.to_vec(),
        Some(name) => vec![Part::named(name).ok_or_else(|| {
            let names: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
            format!("there is no part {name:?}: {}", names.join(", "))
        })?],
    };
    let folder = arguments.place.folder.join("logs");
    let files: Vec<PathBuf> =
        parts.iter().map(|part| folder.join(format!("{part}.log"))).filter(|file| file.is_file()).collect();
    if files.is_empty() {
        return Err(
            format!("{} has no log yet: `cargo xtask stack up --local` starts the stack", folder.display()).into()
        );
    }
    let mut tail = Command::new("tail");
    tail.arg("-n").arg(arguments.lines.to_string());
    if arguments.follow {
        tail.arg("-F");
    }
    let error = tail.args(files).exec();
    Err(format!("tail cannot be run: {error}").into())
}
