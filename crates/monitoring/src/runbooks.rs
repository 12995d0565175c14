//! What holds for the pages that people open when something is wrong: the index leads to every page, links lead to files, every error code has its
//! page, topics have their parts, and what they ask Prometheus can be asked.

pub mod code;
pub mod codes;
mod index;
mod links;
mod queries;

use std::path::{Path, PathBuf};

use crate::slo::Problem;
use crate::{metrics, promql};

/// Documents beside the pages whose links are checked, by their place in the repository.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Checks the pages in `runbooks`, and the links of other documents. `infra` stands at the root of the repository, where the sources are too.
#[must_use]
pub fn check(runbooks: &Path, infra: &Path) -> Vec<Problem> {
    let root = match infra.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let pages = match code::pages(runbooks) {
        Ok(pages) => pages,
        Err(error) => return vec![Problem::of_file(runbooks, format!("the folder cannot be read: {error}"))],
    };
    let mut documents: Vec<PathBuf> =
        DOCUMENTS.iter().map(|name| root.join(name)).filter(|path| path.is_file()).collect();
    let readmes = code::pages(infra).unwrap_or_default().into_iter();
    documents.extend(readmes.filter(|path| path.file_name().is_some_and(|name| name == "README.md")));
    documents.extend(pages.iter().cloned());
    let mut problems: Vec<Problem> = documents.iter().flat_map(|document| links::check(document)).collect();
    problems.extend(index::check(runbooks, &pages));
    problems.extend(codes::check(root, &runbooks.join("errors")));
    let queries = queries::of(&pages);
    problems.extend(promql::syntax(&queries));
    match metrics::known_in(runbooks) {
        Ok(known) => problems.extend(promql::unknown_names(&queries, &known)),
        Err(problem) => problems.push(problem),
    }
    problems
}

/// The text of a page; empty when it cannot be read, which the check of links tells.
fn text_of(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_default()
}
