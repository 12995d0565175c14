//! What has to pass once in a step.

use std::collections::BTreeSet;
use std::time::Duration;

use spillway_slo::duration::Timespan;

use super::problems::Problems;
use super::target::Router;
use super::{HOUR, SECOND, is_url};
use crate::spec::{HttpCheck, LoadTest, Webhook};

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

pub(super) fn smoke(at: &str, checks: &[HttpCheck], problems: &mut Problems) -> Vec<HttpCheck> {
    problems.at_most(at, checks.len(), 50);
    let mut checks = checks.to_vec();
    for (position, check) in checks.iter_mut().enumerate() {
        let at = format!("{at}[{position}]");
        if !check.path.starts_with('/') && !is_url(&check.path) {
            let text = format!("is `{}`: write a path that begins with /, or a whole URL", check.path);
            problems.add(format!("{at}.path"), text);
        }
        let method = check.method.get_or_insert_with(|| "GET".to_owned());
        if !METHODS.contains(&method.as_str()) {
            problems.add(format!("{at}.method"), format!("is `{method}`: write one of {}", METHODS.join(", ")));
        }
        if check.status.is_some_and(|status| !(100..=599).contains(&status)) {
            problems.add(format!("{at}.status"), "is no status: write one from 100 to 599");
        }
        let timeout = problems.span(format!("{at}.timeout"), check.timeout, 5 * SECOND, SHORTEST_WAIT, HOUR);
        check.timeout = Some(Timespan(timeout));
    }
    checks
}

pub(super) fn webhooks(at: &str, webhooks: &[Webhook], problems: &mut Problems) -> Vec<Webhook> {
    problems.at_most(at, webhooks.len(), 20);
    let mut webhooks = webhooks.to_vec();
    let mut names = BTreeSet::new();
    for (position, webhook) in webhooks.iter_mut().enumerate() {
        let at = format!("{at}[{position}]");
        if webhook.name.trim().is_empty() || webhook.name.chars().count() > 63 {
            problems.add(format!("{at}.name"), "has to have 1 to 63 characters");
        } else if !names.insert(webhook.name.clone()) {
            let text = format!("is `{}`, as another webhook of the step is: give it a name of its own", webhook.name);
            problems.add(format!("{at}.name"), text);
        }
        if !is_url(&webhook.url) {
            problems.add(format!("{at}.url"), format!("is `{}`: write http://… or https://…", webhook.url));
        }
        if webhook.retries.is_some_and(|retries| retries > 100) {
            problems.add(format!("{at}.retries"), "is more than 100");
        }
        webhook.retries.get_or_insert(2);
        let timeout = problems.span(format!("{at}.timeout"), webhook.timeout, 30 * SECOND, SHORTEST_WAIT, 24 * HOUR);
        webhook.timeout = Some(Timespan(timeout));
    }
    webhooks
}

pub(super) fn load_test(
    at: &str,
    test: Option<&LoadTest>,
    router: Router,
    problems: &mut Problems,
) -> Option<LoadTest> {
    let mut test = test.cloned()?;
    problems.filled(format!("{at}.file"), &test.file, "the options file of the load test");
    if router.in_cluster && test.config_map.as_ref().is_none_or(|name| name.trim().is_empty()) {
        problems.add(format!("{at}.configMap"), "is missing: on Kubernetes the options file is a key of a ConfigMap");
    }
    if let Some(target) = test.target.as_ref().filter(|target| !is_url(target)) {
        problems.add(format!("{at}.target"), format!("is `{target}`: write http://… or https://…"));
    }
    problems.at_most(&format!("{at}.arguments"), test.arguments.len(), 50);
    let timeout = problems.span(format!("{at}.timeout"), test.timeout, HOUR, SECOND, 24 * HOUR);
    test.timeout = Some(Timespan(timeout));
    Some(test)
}
