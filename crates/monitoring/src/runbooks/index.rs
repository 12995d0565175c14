//! The index leads to every page, and every page has the parts of its kind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{links, text_of};
use crate::slo::Problem;

/// The page that leads to all others.
const INDEX: &str = "README.md";
/// Pages that are no way through a failure: lists, and what is filled in or kept to meanwhile.
const OTHERS: [&str; 5] = [INDEX, "metrics.md", "rollout_metrics.md", "escalation.md", "root_cause.md"];
/// Headings of a topic, in their order.
const TOPIC: [&str; 6] = ["## Open this when", "## Look first", "## Decide", "## Mend", "## Verify", "## Escalate"];
/// What a page of an alert says.
const ALERT: [&str; 3] = ["**Means.**", "**What to do.**", "**Kept or lost.**"];
/// What a page of an error code says.
const ERROR: [&str; 4] = ["**Means.**", "**Status.**", "**What to do.**", "**Kept or lost.**"];

/// Checks all pages against the index in their folder.
pub(super) fn check(runbooks: &Path, pages: &[PathBuf]) -> Vec<Problem> {
    let index = runbooks.join(INDEX);
    let linked: BTreeSet<PathBuf> = links::links(&index, &text_of(&index)).into_iter().map(|link| link.file).collect();
    let mut problems = Vec::new();
    for page in pages.iter().filter(|page| **page != index) {
        let mut problem = |text: String| problems.push(Problem { file: page.clone(), line: 1, text });
        if !linked.contains(page) {
            problem(format!("nobody finds this page: link to it in {}", index.display()));
        }
        let text = text_of(page);
        let missing = |parts: &[&str]| {
            let missing: Vec<_> = parts.iter().copied().filter(|part| !text.contains(part)).collect();
            (!missing.is_empty()).then(|| format!("the page lacks {}", missing.join(", ")))
        };
        let of_kind = if page.parent() == Some(runbooks) {
            let is_topic = !page.file_name().is_some_and(|name| OTHERS.iter().any(|other| name == *other));
            is_topic.then(|| missing(&TOPIC).or_else(|| out_of_order(&text))).flatten()
        } else {
            let name = page.file_stem().unwrap_or_default().to_string_lossy();
            let parts: &[&str] = if page.parent() == Some(&runbooks.join("alerts")) { &ALERT } else { &ERROR };
            let title = format!("# {name}");
            let is_titled = text.lines().next() == Some(&title);
            (!is_titled).then(|| format!("the page must begin with {title:?}")).or_else(|| missing(parts))
        };
        of_kind.into_iter().for_each(&mut problem);
    }
    problems
}

/// Whoever reads a topic under pressure finds its parts in the same order everywhere.
fn out_of_order(text: &str) -> Option<String> {
    let places: Vec<_> = TOPIC.iter().filter_map(|heading| text.find(heading)).collect();
    (!places.is_sorted()).then(|| format!("the parts must stand in this order: {}", TOPIC.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_nobody_finds_or_that_lack_a_part_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a page");
        };
        write("README.md", "[cache](cache.md) [api](api.md) [cpu](alerts/cpu.md) [full](errors/full.md)\n");
        write("cache.md", &format!("# Cache\n{}", TOPIC.join("\n\n")));
        write("api.md", &format!("# API\n{}", TOPIC[..5].join("\n\n")));
        write("alerts/cpu.md", "# cpu\n\n**Means.** **What to do.** **Kept or lost.**");
        write("errors/full.md", "# empty\n\n**Means.** **Status.** **What to do.** **Kept or lost.**");
        write("errors/lonely.md", "# lonely\n\n**Means.** **Status.** **Kept or lost.**");
        let pages = crate::runbooks::code::pages(folder.path()).expect("pages");
        let told: Vec<_> = check(folder.path(), &pages)
            .iter()
            .map(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), ""))
            .collect();
        assert_eq!(
            told,
            [
                "api.md:1: the page lacks ## Escalate",
                "errors/full.md:1: the page must begin with \"# full\"",
                "errors/lonely.md:1: nobody finds this page: link to it in README.md",
                "errors/lonely.md:1: the page lacks **What to do.**",
            ]
        );
    }
}
