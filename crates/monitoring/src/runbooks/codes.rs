//! Error codes in the sources, and their pages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::slo::Problem;

/// Where a code is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The source file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
}

/// Holds the codes that the programs of this repository answer with to the pages of errors, in both directions.
#[must_use]
pub fn check(root: &Path, pages: &Path) -> Vec<Problem> {
    let codes = named(root);
    if codes.is_empty() {
        return vec![Problem::of_file(
            root,
            "no error code is found in crates/ and services/: run this at the root of the repository",
        )];
    }
    let mut problems = Vec::new();
    for (code, Named { file, line }) in &codes {
        let page = pages.join(format!("{code}.md"));
        if !page.is_file() {
            let text = format!("the error code {code} has no page: write {}", page.display());
            problems.push(Problem { file: file.clone(), line: *line, text });
        }
    }
    for page in super::code::pages(pages).unwrap_or_default() {
        if page.file_stem().is_some_and(|code| !codes.contains_key(&*code.to_string_lossy())) {
            let text = "no source names this error code: remove the page, or name the code".to_owned();
            problems.push(Problem { file: page, line: 1, text });
        }
    }
    problems
}

/// Every error code that the sources below `crates` and `services` name, and the first place of each.
#[must_use]
pub fn named(root: &Path) -> BTreeMap<String, Named> {
    let mut codes = BTreeMap::new();
    for folder in ["crates", "services"] {
        for file in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            for (at, code) in codes_in(&text) {
                let line = 1 + text[..at].matches('\n').count() as u64;
                codes.entry(code.to_owned()).or_insert_with(|| Named { file: file.clone(), line });
            }
        }
    }
    codes
}

/// Sources below a folder that are not tests: those with a folder `src` on their way.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && path.iter().any(|part| part == "src") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The codes that a source names, with their places: in functions that answer with one, in a problem behind its status, and in a field `code`.
fn codes_in(source: &str) -> Vec<(usize, &str)> {
    let literal = |from: usize| {
        let start = from + source[from..].find('"')? + 1;
        let end = start + source[start..].find('"')?;
        Some((start, &source[start..end]))
    };
    let mut codes = Vec::new();
    for marker in ["code(&self) -> &'static str {", "code(self) -> &'static str {"] {
        for (start, _) in source.match_indices(marker) {
            let body = source[start..].split("\n    }\n").next().unwrap_or_default();
            let mut at = start;
            for (n, part) in body.split('"').enumerate() {
                if n % 2 == 1 {
                    codes.push((at, part));
                }
                at += part.len() + 1;
            }
        }
    }
    for (start, marker) in source.match_indices("::new(") {
        let rest = &source[start + marker.len()..];
        if !rest.trim_start().starts_with("StatusCode::") {
            continue;
        }
        let Some((status, second)) = rest.split_once(',') else { continue };
        if second.trim_start().starts_with('"') {
            codes.extend(literal(start + marker.len() + status.len()));
        }
    }
    codes.extend(source.match_indices("code: \"").filter_map(|(start, _)| literal(start)));
    codes.retain(|(_, code)| is_code(code));
    codes
}

/// Small letters, digits and underscores: what else stands in a text is no code.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_told_with_their_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, pages) = (folder.path().join("crates/api/src"), folder.path().join("errors"));
        std::fs::create_dir_all(&source).expect("a folder");
        std::fs::create_dir_all(&pages).expect("a folder");
        let text = "impl E {\n    fn code(&self) -> &'static str {\n        match self {\n            E::A => \"aa_full\",\n            E::B => \"bb_gone\",\n        }\n    }\n}\n\
                    fn f() {\n    Problem::new(\n        StatusCode::BAD_GATEWAY,\n        \"cc_failed\",\n    );\n    fail(Listen { code: \"dd_taken\" });\n}\n";
        std::fs::write(source.join("lib.rs"), text).expect("a source");
        for code in ["aa_full", "dd_taken", "ee_unknown"] {
            std::fs::write(pages.join(format!("{code}.md")), "").expect("a page");
        }
        let told: Vec<_> = check(folder.path(), &pages)
            .iter()
            .map(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), ""))
            .collect();
        assert_eq!(
            told,
            [
                "crates/api/src/lib.rs:5: the error code bb_gone has no page: write errors/bb_gone.md",
                "crates/api/src/lib.rs:12: the error code cc_failed has no page: write errors/cc_failed.md",
                "errors/ee_unknown.md:1: no source names this error code: remove the page, or name the code",
            ]
        );
    }
}
