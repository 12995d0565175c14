//! The form of a source.

use maud::{Markup, html};
use serde_json::{Map, Value, json};
use spillway_signature::Provider;

use crate::api::Problem;
use crate::form::Form;
use crate::look::fields::{Fields, Kind};
use crate::pages::configured::invalid;
use crate::read::Read as _;

const VALIDATIONS: [(&str, &str); 3] = [
    ("off", "Off: nothing is checked"),
    ("reject", "Reject: the sender is answered 422"),
    ("quarantine", "Quarantine: stored, and delivered nowhere until released"),
];

/// How long things are kept: field, label, hint.
const RETENTION: [(&str, &str, &str); 3] = [
    ("retention_events", "Events", "With their deliveries. Left empty, the server's setting."),
    ("retention_payloads", "Payloads", "Headers and bodies."),
    ("retention_attempts", "Attempts", "What was tried."),
];

/// The fields.
pub(super) fn draw(fields: &Fields<'_>, base_url: &str, is_new: bool) -> Markup {
    let providers = Provider::ALL.map(Provider::name);
    let providers = providers.iter().map(|name| (*name, *name));
    html! {
        (fields.line("name", "Name", Kind { required: true, hint: "The last part of the address that senders post to: letters, digits, '.', '_' or '-'.", placeholder: "github", autofocus: is_new, ..Kind::default() }))
        p.hint.after-field { "Senders post to " code { (base_url) "/in/" @if is_new { "NAME" } @else { (fields.form.get("name")) } } }
        (fields.choice("provider", "Sender", Kind { required: true, hint: "How its requests prove where they come from. `none` takes whatever is sent.", ..Kind::default() }, providers))
        @if is_new {
            (fields.line("secret", "Secret", Kind { secret: true, code: true, hint: "From the sender's settings. The text itself, or env:NAME or file:PATH (these two need scope admin).", ..Kind::default() }))
        }
        details.group open[has_limits(fields)] {
            summary { "Limits" }
            div.columns {
                (fields.line("rate_limit", "Rate limit", Kind { placeholder: "100/s", hint: "More is answered 429.", ..Kind::default() }))
                (fields.line("max_body_bytes", "Largest body in bytes", Kind { numeric: true, placeholder: "1048576", hint: "At most 64 MiB.", ..Kind::default() }))
            }
        }
        details.group open[has_types(fields)] {
            summary { "Event types and validation" }
            @if fields.form.is_ticked("typed") { input type="hidden" name="typed" value="true"; }
            (fields.choice("validation", "What fits no type", Kind::default(), VALIDATIONS))
            (fields.lines("event_types", "Event types", 6, Kind { code: true, placeholder: "[{\"name\": \"invoice.paid\", \"schema\": {\"type\": \"object\"}}]", hint: "A JSON list; each with its name and, if bodies are to be checked, a JSON Schema.", ..Kind::default() }))
        }
        details.group open[RETENTION.iter().any(|(name, ..)| fields.form.some(name).is_some())] {
            summary { "Retention" }
            div.columns.three {
                @for (name, label, hint) in RETENTION { (fields.line(name, label, Kind { placeholder: "30d", hint, ..Kind::default() })) }
            }
        }
        details.group open[fields.problem.is_some_and(|problem| problem.detail.contains("scheme"))] {
            summary { "Options of the signature" }
            (fields.lines("scheme", "Options", 4, Kind { code: true, placeholder: "{\"tolerance\": \"5m\"}", hint: "A JSON object, such as the tolerance of timestamps, or the description of an HMAC.", ..Kind::default() }))
        }
        (fields.tick("enabled", "Takes webhooks", "A disabled source answers 404."))
    }
}

fn has_limits(fields: &Fields<'_>) -> bool {
    ["rate_limit", "max_body_bytes"].iter().any(|name| fields.form.some(name).is_some())
}

fn has_types(fields: &Fields<'_>) -> bool {
    fields.form.some("event_types").is_some() || !matches!(fields.form.get("validation"), "" | "off")
}

/// The form of a source as it is.
pub(super) fn form(source: &Value) -> Form {
    let mut form = Form::default();
    for name in ["name", "provider", "rate_limit"] {
        form.set(name, source.text(&format!("/{name}")));
    }
    form.set("max_body_bytes", source.count("/max_body_bytes").map(|n| n.to_string()).unwrap_or_default());
    form.set("validation", source.some_text("/validation").unwrap_or("off"));
    let written = |pointer: &str| match source.pointer(pointer) {
        Some(Value::Object(object)) if object.is_empty() => String::new(),
        Some(Value::Array(list)) if list.is_empty() => String::new(),
        Some(Value::Null) | None => String::new(),
        Some(value) => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    // The gateway knows event types, so that they can also be taken away.
    form.set("typed", if source.get("event_types").is_some() { "true" } else { "" });
    for (name, ..) in RETENTION {
        form.set(name, source.text(&format!("/{}", name.replacen('_', "/", 1))));
    }
    form.set("event_types", written("/event_types"));
    form.set("scheme", written("/scheme"));
    form.set("enabled", if source.is_set("/enabled") { "true" } else { "" });
    form
}

/// What the form says, as the API takes it.
pub(super) fn read(form: &Form, is_new: bool) -> Result<Value, Problem> {
    let types = form.json("event_types").map_err(|error| invalid("event_types", &error))?;
    let scheme = form.json("scheme").map_err(|error| invalid("scheme", &error))?;
    let validation = form.some("validation").filter(|text| *text != "off");
    let mut wanted = json!({
        "name": form.get("name"),
        "provider": form.get("provider"),
        "scheme": scheme.unwrap_or_else(|| Value::Object(Map::new())),
        "rate_limit": form.text_or_null("rate_limit"),
        "max_body_bytes": form.number_or_null("max_body_bytes"),
        "enabled": form.is_ticked("enabled"),
    });
    if let Some(wanted) = wanted.as_object_mut() {
        // Gateways of an earlier version know neither: they are asked only when the form says something.
        if types.is_some() || validation.is_some() || form.some("typed").is_some() {
            wanted.insert("event_types".to_owned(), types.unwrap_or_else(|| json!([])));
            wanted.insert("validation".to_owned(), json!(validation.unwrap_or("off")));
        }
        let kept =
            RETENTION.map(|(name, ..)| (name.trim_start_matches("retention_").to_owned(), form.text_or_null(name)));
        let is_kept = kept.iter().any(|(_, time)| !time.is_null());
        if is_kept || form.some("typed").is_some() {
            let kept = if is_kept { Value::Object(kept.into_iter().collect()) } else { Value::Null };
            wanted.insert("retention".to_owned(), kept);
        }
        if let Some(secret) = form.some("secret").filter(|_| is_new) {
            wanted.insert("secrets".to_owned(), json!([secret]));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_changed_is_the_same_again() {
        let source = json!({"name": "shop", "provider": "shopify", "scheme": {"tolerance": "5m"}, "rate_limit": "10/s", "max_body_bytes": 1000,
            "enabled": true, "event_types": [{"name": "a"}], "validation": "reject", "retention": {"events": "90d"}});
        let read = read(&form(&source), false).expect("a source");
        assert_eq!(crate::pages::configured::changes(&source, &read), json!({}));
    }

    #[test]
    fn what_is_no_json_names_its_field() {
        let problem = read(&Form::parse(b"name=a&scheme=%7B"), true).expect_err("no JSON");
        assert_eq!(problem.field(), Some("scheme"));
    }
}
