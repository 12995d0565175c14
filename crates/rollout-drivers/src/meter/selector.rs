//! Which series count.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use spillway_rollout::plan::PlanAnalysis;

/// Compiled expressions stay below this.
const MOST_EXPRESSION_BYTES: usize = 1 << 20;

/// The series of a plan.
#[derive(Debug, Clone)]
pub(super) struct Selectors {
    pub(super) requests: Selector,
    pub(super) errors: Selector,
    /// Of the histogram's buckets.
    pub(super) latency: Selector,
}

/// Series of one name whose labels match.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    pub(super) metric: String,
    labels: Vec<(String, String, Regex)>,
}

impl Selectors {
    /// The error says which expression is wrong.
    pub(super) fn new(analysis: &PlanAnalysis) -> Result<Self, String> {
        let PlanAnalysis { requests, errors, latency, .. } = analysis;
        Ok(Self {
            requests: Selector::new("requests", requests.metric.clone(), &requests.labels)?,
            errors: Selector::new("errors", errors.metric.clone(), &errors.labels)?,
            latency: Selector::new("latency", format!("{}_bucket", latency.metric), &latency.labels)?,
        })
    }
}

impl Selector {
    fn new(field: &str, metric: String, labels: &BTreeMap<String, String>) -> Result<Self, String> {
        let labels = labels.iter().map(|(name, expression)| {
            // As in PromQL: of the whole value, and a dot is any character.
            let regex = RegexBuilder::new(&format!("^(?s:{expression})$")).size_limit(MOST_EXPRESSION_BYTES).build();
            let regex = regex
                .map_err(|_| format!("analysis.{field}.labels.{name}: `{expression}` is no regular expression"))?;
            Ok((name.clone(), expression.clone(), regex))
        });
        Ok(Self { metric, labels: labels.collect::<Result<_, String>>()? })
    }

    /// Whether a series with these labels counts. A label that is not there is empty.
    pub(super) fn matches(&self, labels: &[(&str, Cow<'_, str>)]) -> bool {
        self.labels.iter().all(|(name, _, regex)| {
            let value = labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
            regex.is_match(value)
        })
    }

    /// The same in PromQL, for series that have `fixed` labels too.
    pub(super) fn promql(&self, fixed: &[(&str, &str)]) -> String {
        let own = self.labels.iter().map(|(name, expression, _)| format!("{name}=~{}", quoted(expression)));
        vector(&self.metric, fixed, own)
    }

    /// All series of the name in PromQL, whatever their own labels are.
    pub(super) fn promql_of_all(&self, fixed: &[(&str, &str)]) -> String {
        vector(&self.metric, fixed, std::iter::empty())
    }
}

/// A PromQL selector.
pub(super) fn vector(metric: &str, fixed: &[(&str, &str)], more: impl Iterator<Item = String>) -> String {
    let fixed = fixed.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    format!("{metric}{{{}}}", fixed.chain(more).collect::<Vec<_>>().join(","))
}

/// A text of PromQL, and of Alertmanager's matchers.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(label: &str, expression: &str) -> Selector {
        let labels = BTreeMap::from([(label.to_owned(), expression.to_owned())]);
        Selector::new("requests", "m".to_owned(), &labels).unwrap()
    }

    #[test]
    fn expressions_match_the_whole_value() {
        let errors = selector("status", "5..|0");
        let is_error = |status: &'static str| errors.matches(&[("status", status.into())]);
        assert!(is_error("503") && is_error("0"));
        assert!(!is_error("1503") && !is_error("5030") && !is_error("200") && !is_error("00"));
        assert!(!errors.matches(&[]));
        assert!(selector("status", "").matches(&[]), "a label that is not there is empty");
    }

    #[test]
    fn promql_is_quoted() {
        let query = selector("route", r#"/a\.b"c"#).promql(&[("slot", "blue")]);
        assert_eq!(query, r#"m{slot="blue",route=~"/a\\.b\"c"}"#);
    }

    #[test]
    fn a_wrong_expression_is_named() {
        let labels = BTreeMap::from([("status".to_owned(), "5(".to_owned())]);
        let error = Selector::new("errors", "m".to_owned(), &labels).unwrap_err();
        assert_eq!(error, "analysis.errors.labels.status: `5(` is no regular expression");
    }
}
