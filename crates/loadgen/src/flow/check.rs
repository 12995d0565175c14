//! Conditions on an answer.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderName;
use regex::Regex;
use serde_json::Value;

use super::answer::{Answer, pointer};
use super::spec::{CheckSpec, Statuses};
use super::template::{Context, Scope, Template};
use super::text::Escape;

/// A check: it holds when all its conditions do.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: String,
    conditions: Box<[Condition]>,
}

#[derive(Debug)]
enum Condition {
    Status(Statuses),
    MaxDuration(Duration),
    BodyContains(Template),
    Value(Subject, Test),
}

/// What a test looks at.
#[derive(Debug, Clone)]
enum Subject {
    Json(String),
    Header(HeaderName),
    Body,
}

#[derive(Debug)]
enum Test {
    EqualsText(Template),
    Equals(Value),
    Contains(Template),
    Matches(Box<Regex>),
    Exists(bool),
}

impl Check {
    pub(super) fn compile(name: &str, spec: &CheckSpec, scope: &Scope<'_>) -> Result<Self, String> {
        let template = |text: &str| Template::compile(text, Escape::None, scope).map_err(|problem| problem.to_string());
        let subject = match (&spec.json, &spec.header) {
            (Some(_), Some(_)) => {
                return Err("it looks at json or at a header, not at both: make two checks".to_owned());
            }
            (Some(text), None) => Subject::Json(pointer(text)?),
            (None, Some(name)) => {
                Subject::Header(name.parse().map_err(|_| format!("{name:?} is no name of a header"))?)
            }
            (None, None) => Subject::Body,
        };
        let mut conditions = Vec::new();
        conditions.extend(spec.status.clone().map(Condition::Status));
        conditions.extend(spec.max_duration.map(|most| Condition::MaxDuration(most.into())));
        if let Some(text) = &spec.body_contains {
            conditions.push(Condition::BodyContains(template(text)?));
        }
        let mut tests = Vec::new();
        match &spec.equals {
            Some(Value::String(text)) => tests.push(Test::EqualsText(template(text)?)),
            Some(value) => tests.push(Test::Equals(value.clone())),
            None => {}
        }
        if let Some(text) = &spec.contains {
            tests.push(Test::Contains(template(text)?));
        }
        if let Some(pattern) = &spec.matches {
            tests.push(Test::Matches(Box::new(Regex::new(pattern).map_err(|error| error.to_string())?)));
        }
        tests.extend(spec.exists.map(Test::Exists));
        if tests.is_empty() && !matches!(subject, Subject::Body) {
            tests.push(Test::Exists(true));
        }
        conditions.extend(tests.into_iter().map(|test| Condition::Value(subject.clone(), test)));
        if conditions.is_empty() {
            return Err("it has no condition: give status, json, header, equals, contains, matches, exists, body_contains or max_duration".to_owned());
        }
        Ok(Self { name: name.to_owned(), conditions: conditions.into() })
    }

    /// Whether it looks at the body.
    pub(super) fn needs_body(&self) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Status(_) | Condition::MaxDuration(_) | Condition::Value(Subject::Header(_), _) => false,
            Condition::BodyContains(_) | Condition::Value(Subject::Json(_) | Subject::Body, _) => true,
        })
    }

    /// Whether the answer meets all conditions. One that needs a value which was not captured is not met.
    pub(super) fn holds(&self, answer: &Answer<'_>, context: &Context<'_>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Status(statuses) => statuses.contains(answer.status),
            Condition::MaxDuration(most) => answer.duration <= *most,
            Condition::BodyContains(text) => with(text, context, |text| answer.text().contains(text)),
            Condition::Value(subject, test) => match subject {
                Subject::Json(pointer) => test.value(answer.json(pointer), context),
                Subject::Header(name) => test.text(answer.header(name).map(Cow::Borrowed), context),
                Subject::Body => test.text(Some(answer.text()).filter(|text| !text.is_empty()), context),
            },
        })
    }
}

impl Test {
    fn value(&self, value: Option<&Value>, context: &Context<'_>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), _) => value.is_some() == *wanted,
            (Self::Equals(Value::Number(wanted)), Some(Value::Number(value))) => {
                wanted == value || wanted.as_f64().is_some_and(|wanted| Some(wanted) == value.as_f64())
            }
            (Self::Equals(wanted), Some(value)) => wanted == value,
            (Self::Contains(text), Some(Value::Array(list))) => {
                with(text, context, |text| list.iter().any(|element| *as_text(element) == *text))
            }
            (_, Some(value)) => self.text(Some(as_text(value)), context),
            (_, None) => false,
        }
    }

    fn text(&self, value: Option<Cow<'_, str>>, context: &Context<'_>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), value) => value.is_some() == *wanted,
            (_, None) => false,
            (Self::EqualsText(text), Some(value)) => with(text, context, |text| value == text),
            (Self::Equals(wanted), Some(value)) => *as_text(wanted) == *value,
            (Self::Contains(text), Some(value)) => with(text, context, |text| value.contains(text)),
            (Self::Matches(pattern), Some(value)) => pattern.is_match(&value),
        }
    }
}

fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Renders `template` if it has to be, and asks `test`.
fn with(template: &Template, context: &Context<'_>, test: impl FnOnce(&str) -> bool) -> bool {
    match template.constant().and_then(|text| std::str::from_utf8(text).ok()) {
        Some(text) => test(text),
        None => template.text(context).is_ok_and(|text| test(&text)),
    }
}
