//! What the pages ask Prometheus: blocks of `promql`, with queries between empty lines.

use std::path::{Path, PathBuf};

use super::{code, text_of};
use crate::promql::Query;

/// The queries of all pages.
pub(super) fn of(pages: &[PathBuf]) -> Vec<Query> {
    pages.iter().flat_map(|page| queries(page)).collect()
}

fn queries(page: &Path) -> Vec<Query> {
    let mut queries = Vec::<Query>::new();
    for block in code::blocks(&text_of(page)).into_iter().filter(|block| block.language == "promql") {
        let mut is_new = true;
        for (line, text) in (block.line..).zip(&block.lines) {
            if text.trim().is_empty() {
                is_new = true;
            } else if let Some(query) = queries.last_mut().filter(|_| !is_new) {
                query.text.push('\n');
                query.text.push_str(text);
            } else {
                queries.push(Query { file: page.to_owned(), line, text: text.clone() });
                is_new = false;
            }
        }
    }
    queries
}
