//! `report`: the reports of a rollout, at any time.

use std::path::PathBuf;

use clap::Args;

use super::source::SourceArgs;
use super::{Failure, say};
use crate::code::Code;
use crate::people::Report;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Name of the rollout [default: the only one]
    name: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Write the page, and append to the deployment report, in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["html", "markdown"])]
    folder: Option<PathBuf>,
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Append the section to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

pub(super) async fn run(arguments: ReportArgs) -> Result<u8, Failure> {
    let source = arguments.source.find(arguments.name.as_deref())?;
    let (view, plan, series) = source.read().await?;
    let report = Report { view, series, plan };
    let unwritten = |path: &PathBuf, error: std::io::Error| {
        Failure::new(Code::FileUnwritable, format!("cannot write {}: {error}", path.display()))
    };
    if let Some(folder) = &arguments.folder {
        let page = report.write(folder).map_err(|error| unwritten(folder, error))?;
        return say(&format!("report: {}\n", page.display()));
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, report.html()).map_err(|error| unwritten(file, error))?;
    }
    if let Some(file) = &arguments.markdown {
        let written = spillway_report::markdown::append(file, &report.markdown());
        written.map_err(|error| unwritten(file, error))?;
    }
    if arguments.html.is_none() && arguments.markdown.is_none() {
        return say(&report.markdown());
    }
    Ok(0)
}
