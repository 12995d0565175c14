//! The commands that run and end.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use spillway_settings::Settings;

use crate::arguments::{Arguments, ServeOptions};
use crate::serve;

/// Exit code for arguments and settings that cannot be used (`EX_USAGE` of sysexits).
pub(crate) const EXIT_USAGE: u8 = 64;

pub(crate) fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
    ExitCode::from(code)
}

/// What clap has to say: help and version are no error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe (`spillway --help | head`) is no error either.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

fn print(text: &str) -> ExitCode {
    // A closed pipe (`spillway metrics | head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

pub(crate) fn migrate(options: &ServeOptions) -> ExitCode {
    serve::migrate(options)
}

pub(crate) fn check_config(options: &ServeOptions) -> ExitCode {
    match Settings::load(&options.load_args()) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("warning: {}: {warning}", warning.code());
            }
            print(&loaded.describe())
        }
        Err(errors) => fail(EXIT_USAGE, &errors),
    }
}

pub(crate) fn openapi() -> ExitCode {
    match spillway_webhook_api::openapi().to_pretty_json() {
        Ok(text) => print(&(text + "\n")),
        Err(error) => fail(1, &error),
    }
}

pub(crate) fn metrics(markdown: bool) -> ExitCode {
    if markdown {
        return print(&spillway_telemetry::catalogue_markdown());
    }
    let lines = spillway_telemetry::catalogue();
    let width = lines.iter().map(|metric| metric.name.len()).max().unwrap_or_default();
    let text: String = lines.iter().map(|metric| format!("{:width$}  {}\n", metric.name, metric.help)).collect();
    print(&text)
}

pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "spillway", &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(crate) fn man(directory: &Path) -> ExitCode {
    match clap_mangen::generate_to(Arguments::command(), directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}
