//! Links from a document to files of the repository.

use std::path::{Path, PathBuf};

use super::text_of;
use crate::slo::Problem;

/// A link to a file, or to a heading of one.
pub(super) struct Link {
    /// From 1.
    pub(super) line: u64,
    /// What it says.
    target: String,
    /// The file, as seen from the document's folder joined with it.
    pub(super) file: PathBuf,
}

/// Links that lead nowhere.
pub(super) fn check(document: &Path) -> Vec<Problem> {
    let text = match std::fs::read_to_string(document) {
        Ok(text) => text,
        Err(error) => return vec![Problem::of_file(document, format!("it cannot be read: {error}"))],
    };
    let wrong = |link: Link| {
        let heading = link.target.split_once('#').map(|(_, heading)| heading);
        let text = if !link.file.exists() {
            format!("the link to {} leads nowhere: there is no {}", link.target, link.file.display())
        } else if let Some(heading) = heading.filter(|heading| !has_heading(&link.file, heading)) {
            format!(
                "the link to {} leads to no heading: {} has none that is #{heading}",
                link.target,
                link.file.display()
            )
        } else {
            return None;
        };
        Some(Problem { file: document.to_owned(), line: link.line, text })
    };
    links(document, &text).into_iter().filter_map(wrong).collect()
}

/// The links of a document that lead to files of the repository.
pub(super) fn links(document: &Path, text: &str) -> Vec<Link> {
    let folder = document.parent().unwrap_or(Path::new(""));
    let mut links = Vec::new();
    for (line, prose) in prose(text) {
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:") || target.is_empty();
            if is_elsewhere {
                continue;
            }
            let path = target.split('#').next().unwrap_or_default();
            let file = if path.is_empty() { document.to_owned() } else { normal(&folder.join(path)) };
            links.push(Link { line, target: target.to_owned(), file });
        }
    }
    links
}

/// Lines outside of blocks of code, without the code in them.
fn prose(text: &str) -> Vec<(u64, String)> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // What stands behind an odd number of marks is code.
            lines.push((n, line.split('`').step_by(2).collect::<String>()));
        }
    }
    lines
}

/// Without `.` and `..`, as far as the path says.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

fn has_heading(file: &Path, heading: &str) -> bool {
    let is_page = file.extension().is_some_and(|extension| extension == "md");
    let headings = text_of(file);
    !is_page || headings.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
}

/// What a heading is called in a link.
fn anchor(line: &str) -> String {
    let title = line.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page.md");
        std::fs::write(folder.path().join("other.md"), "# Other\n\n## What to do, now\n").expect("a page");
        let text = "# Page\n[a](other.md) [b](other.md#what-to-do-now) [c](https://example.com/x.md) `[d](none.md)`\n\n```sh\n[e](none.md)\n```\n\
                    [f](nowhere.md) and [g](other.md#gone)\n[h](#page)\n";
        std::fs::write(&page, text).expect("a page");
        let problems = check(&page);
        let told: Vec<_> = problems.iter().map(|problem| (problem.line, problem.text.as_str())).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].0 == 7 && told[0].1.contains("nowhere.md leads nowhere"), "{told:?}");
        assert!(told[1].0 == 7 && told[1].1.contains("#gone leads to no heading"), "{told:?}");
    }
}
