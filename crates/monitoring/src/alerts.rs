//! What holds for every alert, generated or written by hand: a severity that the routing knows, a summary, and a runbook that exists; and every
//! runbook of an alert has its alert.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::slo::Problem;
use crate::slo::rules::{RUNBOOKS, RuleFile};

/// Severities that the routing of Alertmanager knows.
pub const SEVERITIES: [&str; 3] = ["page", "ticket", "heartbeat"];

/// Reads a file of rules.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read(file: &Path) -> Result<RuleFile, Problem> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Problem::of_file(file, format!("it cannot be read: {error}")))?;
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        Problem { file: file.to_owned(), line, text: error.to_string() }
    })
}

/// Checks the alerts of these files against the folder of runbooks. `others` are pages of alerts that no rule raises: the gateway's own.
#[must_use]
pub fn check(files: &[(PathBuf, RuleFile)], runbooks: &Path, others: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut named = others.clone();
    for (file, rules) in files {
        for rule in rules.groups.iter().flat_map(|group| &group.rules) {
            let Some(name) = &rule.alert else { continue };
            let line = line_of(file, name);
            let mut problem = |text: String| problems.push(Problem { file: file.clone(), line, text });
            let severity = rule.labels.get("severity").map(String::as_str);
            if !severity.is_some_and(|severity| SEVERITIES.contains(&severity)) {
                problem(format!("the alert {name} needs the label severity: {}", SEVERITIES.join(", ")));
            }
            if rule.annotations.get("summary").is_none_or(|summary| summary.trim().is_empty()) {
                problem(format!("the alert {name} needs the annotation summary, a sentence"));
            }
            let url = rule.annotations.get("runbook_url").map(String::as_str).unwrap_or_default();
            match url.strip_prefix(RUNBOOKS).and_then(|page| page.strip_suffix(".md")) {
                None => problem(format!("the alert {name} needs the annotation runbook_url: {RUNBOOKS}PAGE.md")),
                Some(page) => {
                    named.insert(page.to_owned());
                    let file = runbooks.join(format!("{page}.md"));
                    if !file.is_file() {
                        problem(format!("the alert {name} has no runbook: write {}", file.display()));
                    }
                }
            }
        }
    }
    for page in pages(runbooks) {
        if page.file_stem().is_some_and(|stem| !named.contains(&*stem.to_string_lossy())) {
            problems.push(Problem::of_file(&page, "no alert names this page: remove it, or name it in an alert"));
        }
    }
    problems.sort_by(|a, b| (&a.file, a.line, &a.text).cmp(&(&b.file, b.line, &b.text)));
    problems.dedup();
    problems
}

/// The gateway's own alerts: the values of `spillway_alert_active{alert}`, as the list of metrics has them.
#[must_use]
pub fn of_the_gateway(metrics: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(metrics).unwrap_or_default();
    let line = text.lines().find(|line| line.contains("`spillway_alert_active`")).unwrap_or_default();
    let labels = line.split('|').nth(3).unwrap_or_default();
    labels.split('`').skip(1).step_by(2).filter(|name| *name != "alert").map(str::to_owned).collect()
}

fn pages(runbooks: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runbooks).into_iter().flatten().flatten();
    let mut pages: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// The line in which the alert is named; 0 when it is not.
pub(crate) fn line_of(file: &Path, alert: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let named =
        |line: &str| line.trim_start().trim_start_matches("- ").strip_prefix("alert:").map(str::trim) == Some(alert);
    (1..).zip(text.lines()).find(|(_, line)| named(line)).map_or(0, |(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "
groups:
  - name: test
    rules:
      - alert: Complete
        expr: up == 0
        labels: { severity: page }
        annotations:
          summary: It is down.
          runbook_url: https://github.com/spillway-dev/spillway/blob/main/runbooks/alerts/complete.md
      - alert: Bare
        expr: up == 0
        labels: { severity: sms }
";

    #[test]
    fn what_is_missing_is_named_with_its_line_and_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, runbooks) = (folder.path().join("rules.yml"), folder.path().join("alerts"));
        std::fs::create_dir(&runbooks).expect("a folder");
        std::fs::write(&file, RULES).expect("rules");
        std::fs::write(runbooks.join("complete.md"), "# complete").expect("a page");
        std::fs::write(runbooks.join("stray.md"), "# stray").expect("a page");
        let rules = read(&file).expect("rules");
        std::fs::write(runbooks.join("own.md"), "# own").expect("a page");
        let metrics = folder.path().join("metrics.md");
        std::fs::write(&metrics, "| `spillway_alert_active` | gauge | `alert`: `own` | 1 while it is |\n")
            .expect("a list");
        let found = check(&[(file, rules)], &runbooks, &of_the_gateway(&metrics));
        let texts: Vec<(u64, &str)> = found.iter().map(|one| (one.line, one.text.as_str())).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        let has = |line, part: &str| texts.iter().any(|(at, text)| *at == line && text.contains(part));
        assert!(has(11, "the alert Bare needs the label severity: page, ticket, heartbeat"), "{texts:?}");
        assert!(has(11, "the alert Bare needs the annotation summary"), "{texts:?}");
        assert!(has(11, "needs the annotation runbook_url"), "{texts:?}");
        assert!(has(0, "no alert names this page"), "{texts:?}");
    }

    #[test]
    fn a_typo_in_a_rule_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rules.yml");
        std::fs::write(&file, "groups:\n  - name: test\n    rules:\n      - alert: NoExpression\n").expect("rules");
        let problem = read(&file).expect_err("no expression");
        assert!(problem.text.contains("expr") && problem.line > 0, "{problem}");
    }
}
