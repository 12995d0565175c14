//! The form of a destination.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::Problem;
use crate::form::Form;
use crate::look::fields::{Fields, Kind};
use crate::pages::configured::invalid;
use crate::read::Read as _;

/// Stands for a value that is stored and never shown.
const KEPT: &str = "(unchanged)";
const BUDGET: [&str; 5] = ["requests_per_hour", "cost_per_hour", "cost_per_request", "cost_header", "max_concurrent"];
const BREAKER: [&str; 3] = ["consecutive_failures", "interval_ms", "base_ejection_ms"];

/// The fields.
pub(super) fn draw(fields: &Fields<'_>, is_new: bool) -> Markup {
    let form = fields.form;
    let any = |names: &[&str]| names.iter().any(|name| form.some(name).is_some());
    let wrong = |part: &str| fields.problem.is_some_and(|problem| problem.detail.contains(part));
    html! {
        (fields.line("name", "Name", Kind { required: true, placeholder: "billing", hint: "What people call it: letters, digits, '.', '_' or '-'.", autofocus: is_new, ..Kind::default() }))
        (fields.line("url", "URL", Kind { required: true, code: true, placeholder: "https://billing.example.com/hooks", hint: "http:// or https://, without user and password. Private addresses are refused unless the server allows their network.", ..Kind::default() }))
        details.group open[any(&["timeout_ms", "max_concurrent", "rate_limit"])] {
            summary { "Limits" }
            div.columns.three {
                (fields.line("timeout_ms", "Timeout in ms", Kind { numeric: true, placeholder: "30000", hint: "Of one attempt in all.", ..Kind::default() }))
                (fields.line("max_concurrent", "At once", Kind { numeric: true, placeholder: "10", hint: "Attempts under way.", ..Kind::default() }))
                (fields.line("rate_limit", "Rate limit", Kind { placeholder: "50/s", hint: "More waits.", ..Kind::default() }))
            }
        }
        details.group open[any(&["retry_schedule_ms"]) || wrong("retry")] {
            summary { "Retries and rest" }
            (fields.line("retry_schedule_ms", "Delays before each attempt in ms", Kind { code: true, placeholder: "0, 5000, 60000, 3600000", hint: "The first attempt included. The last one is followed by a dead letter.", ..Kind::default() }))
            div.columns.three {
                (fields.line("consecutive_failures", "Rests after failures", Kind { numeric: true, placeholder: "5", hint: "In a row; 0 never.", ..Kind::default() }))
                (fields.line("interval_ms", "Row ends after ms", Kind { numeric: true, placeholder: "30000", ..Kind::default() }))
                (fields.line("base_ejection_ms", "First rest in ms", Kind { numeric: true, placeholder: "30000", hint: "Doubles each time.", ..Kind::default() }))
            }
        }
        details.group open[BUDGET.iter().any(|name| form.some(&format!("budget_{name}")).is_some()) || wrong("budget")] {
            summary { "Budget" }
            @if form.is_ticked("budgeted") { input type="hidden" name="budgeted" value="true"; }
            div.columns {
                (fields.line("budget_requests_per_hour", "Requests per hour", Kind { numeric: true, hint: "Over all nodes. What is over it waits for the next hour.", ..Kind::default() }))
                (fields.line("budget_max_concurrent", "At once, over all nodes", Kind { numeric: true, ..Kind::default() }))
                (fields.line("budget_cost_per_hour", "Cost per hour", Kind { numeric: true, hint: "In the currency that you think in.", ..Kind::default() }))
                (fields.line("budget_cost_per_request", "Cost of a request", Kind { numeric: true, ..Kind::default() }))
                (fields.line("budget_cost_header", "Header with the cost", Kind { code: true, placeholder: "x-cost", hint: "Of the answer, as a decimal number.", ..Kind::default() }))
            }
        }
        details.group open[form.some("headers").is_some() || wrong("headers")] {
            summary { "Headers and secrets" }
            (fields.lines("headers", "Headers", 3, Kind { code: true, placeholder: "x-api-key: env:BILLING_KEY", hint: "One a line, name: value. Values may be env:NAME or file:PATH (these need scope admin). (unchanged) keeps a value that is not shown.", ..Kind::default() }))
            @if is_new {
                (fields.line("signing_secret", "Signing secret", Kind { secret: true, code: true, hint: "Left empty, one is made and shown once. Else whsec_…, whsk_…, env:NAME or file:PATH.", ..Kind::default() }))
            }
        }
    }
}

pub(super) fn empty() -> Form {
    Form::default()
}

/// The form of a destination as it is.
pub(super) fn form(one: &Value) -> Form {
    let mut form = Form::default();
    let number = |pointer: &str| one.pointer(pointer).filter(|value| value.is_number()).map(ToString::to_string);
    for name in ["name", "url", "rate_limit"] {
        form.set(name, one.text(&format!("/{name}")));
    }
    for name in ["timeout_ms", "max_concurrent"] {
        form.set(name, number(&format!("/{name}")).unwrap_or_default());
    }
    for name in BREAKER {
        form.set(name, number(&format!("/breaker/{name}")).unwrap_or_default());
    }
    let delays: Vec<String> = one.list("/retry_schedule_ms").iter().map(ToString::to_string).collect();
    form.set("retry_schedule_ms", delays.join(", "));
    form.set("budgeted", if one.get("budget").is_some() { "true" } else { "" });
    for name in BUDGET {
        let pointer = format!("/budget/{name}");
        let text = one.some_text(&pointer).map(str::to_owned).or_else(|| number(&pointer));
        form.set(&format!("budget_{name}"), text.unwrap_or_default());
    }
    form.set("headers", written(one));
    form
}

fn written(one: &Value) -> String {
    let headers = one.pointer("/headers").and_then(Value::as_object);
    let line = |(name, value): (&String, &Value)| format!("{name}: {}", value.some_text("/reference").unwrap_or(KEPT));
    headers.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// What the form says, as the API takes it. `current` is the destination as it is, null for a new one.
pub(super) fn read(form: &Form, current: &Value) -> Result<Value, Problem> {
    let breaker: Map<String, Value> =
        BREAKER.iter().map(|name| ((*name).to_owned(), form.number_or_null(name))).collect();
    // Left empty, the breaker stays as it is.
    let breaker: Map<String, Value> = breaker.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let mut wanted = json!({
        "name": form.get("name"),
        "url": form.get("url"),
        "timeout_ms": form.number_or_null("timeout_ms"),
        "max_concurrent": form.number_or_null("max_concurrent"),
        "rate_limit": form.text_or_null("rate_limit"),
        "breaker": breaker,
        "retry_schedule_ms": delays(form)?,
    });
    let Some(object) = wanted.as_object_mut() else { return Ok(wanted) };
    if let Some(budget) = budget(form) {
        object.insert("budget".to_owned(), budget);
    }
    let headers = headers(form, current)?;
    if !headers.is_empty() {
        object.insert("headers".to_owned(), Value::Object(headers));
    }
    if let Some(secret) = form.some("signing_secret").filter(|_| current.is_null()) {
        object.insert("signing_secrets".to_owned(), json!([secret]));
    }
    Ok(wanted)
}

fn delays(form: &Form) -> Result<Value, Problem> {
    let Some(text) = form.some("retry_schedule_ms") else { return Ok(Value::Null) };
    let parts = text.split([',', ' ', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let delays: Result<Vec<u64>, _> = parts.map(str::parse).collect();
    delays
        .map(Value::from)
        .map_err(|_| invalid("retry_schedule_ms", "it must be whole numbers of milliseconds, with commas between them"))
}

/// The budget; none when the gateway does not know budgets, null when there is none.
fn budget(form: &Form) -> Option<Value> {
    let part = |name: &str| {
        let field = format!("budget_{name}");
        if name == "cost_header" { form.text_or_null(&field) } else { form.number_or_null(&field) }
    };
    let parts: Map<String, Value> = BUDGET.iter().map(|name| ((*name).to_owned(), part(name))).collect();
    match (parts.values().all(Value::is_null), form.is_ticked("budgeted")) {
        (true, false) => None,
        (true, true) => Some(Value::Null),
        (false, _) => Some(Value::Object(parts)),
    }
}

/// A merge patch of the headers: new values, and null for those that are gone.
fn headers(form: &Form, current: &Value) -> Result<Map<String, Value>, Problem> {
    let known = current.pointer("/headers").and_then(Value::as_object);
    let mut patch = Map::new();
    let mut named = Vec::new();
    for line in form.get("headers").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(invalid("headers", "each line must have a name, a colon and a value"));
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let reference = known.and_then(|known| known.get(&name)).map(|known| known.text("/reference"));
        let is_kept =
            value == KEPT && reference.is_some() || reference.is_some_and(|text| text == value && !text.is_empty());
        if !is_kept {
            patch.insert(name.clone(), json!(value));
        }
        named.push(name);
    }
    for name in known.into_iter().flatten().map(|(name, _)| name).filter(|name| !named.contains(name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::configured::changes;

    fn destination() -> Value {
        json!({"name": "shop", "url": "https://a.example/", "timeout_ms": 5_000, "max_concurrent": null, "rate_limit": "5/s",
            "breaker": {"consecutive_failures": 5, "interval_ms": 30_000, "base_ejection_ms": 30_000}, "retry_schedule_ms": [0, 1_000],
            "headers": {"a": {"reference": "env:A"}, "b": {"reference": null}},
            "budget": {"requests_per_hour": 10, "cost_per_hour": null, "cost_per_request": 0.5, "cost_header": "x-cost", "max_concurrent": null}})
    }

    #[test]
    fn a_destination_that_is_not_changed_is_the_same_again() {
        let current = destination();
        let wanted = read(&form(&current), &current).expect("a destination");
        assert_eq!(changes(&current, &wanted), json!({}));
    }

    #[test]
    fn headers_are_changed_one_by_one_and_hidden_values_stay() {
        let current = destination();
        let mut form = form(&current);
        form.set("headers", "B: (unchanged)\nC: new");
        let wanted = read(&form, &current).expect("a destination");
        assert_eq!(wanted["headers"], json!({"a": null, "c": "new"}));
        form.set("headers", "no colon");
        assert_eq!(read(&form, &current).expect_err("no header").field(), Some("headers"));
    }

    #[test]
    fn a_budget_can_be_taken_away() {
        let current = destination();
        let mut form = form(&current);
        for name in BUDGET {
            form.set(&format!("budget_{name}"), "");
        }
        assert_eq!(read(&form, &current).expect("a destination")["budget"], Value::Null);
    }
}
