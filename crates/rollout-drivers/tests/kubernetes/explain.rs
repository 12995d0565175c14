//! `kubectl explain rollout.…`: what the server publishes of the definition, shown as kubectl shows it.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

/// A shorter description says no more than the field's name does.
const FEWEST_WORDS: usize = 5;
/// Columns of a description.
const WIDTH: usize = 80;

/// The definition as clients get it: it is published a moment after it is served.
async fn published(shop: &Shop) -> Value {
    let mut definition = Value::Null;
    wait_until("`kubectl explain` to know Rollouts", DEADLINE, async || {
        let (_, text) = shop.cluster.access().request("GET", "/openapi/v2", "").await.expect("an answer");
        let mut all: Value = serde_json::from_str(&text).unwrap_or_default();
        definition = all["definitions"]["dev.spillway.v1alpha1.Rollout"].take();
        definition["properties"]["spec"].is_object()
    })
    .await;
    definition
}

/// A field's own schema, through the items of lists.
fn field<'a>(definition: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(definition, |schema, name| &items(schema)["properties"][name])
}

/// What a list holds, and anything else itself.
fn items(schema: &Value) -> &Value {
    if schema["type"] == "array" { items(&schema["items"]) } else { schema }
}

/// As kubectl names types: `<Object>`, `<[]string>`, `<map[string]string>`.
fn type_of(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"]))
        }
        Some("object") => "Object".to_owned(),
        Some(other) => other.to_owned(),
        None => "-".to_owned(),
    }
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// What `kubectl explain rollout.PATH` prints.
fn explain(definition: &Value, path: &str) -> String {
    let schema = field(definition, path);
    let mut out = "GROUP:      spillway.dev\nKIND:       Rollout\nVERSION:    v1alpha1\n\n".to_owned();
    let mut put = |text: String| out.push_str(&text);
    let name = path.rsplit('.').next().unwrap_or_default();
    put(format!("FIELD: {name} <{}>\n\nDESCRIPTION:\n{}", type_of(schema), wrapped(description(schema))));
    let inner = items(schema);
    if inner["description"] != schema["description"] && !description(inner).is_empty() {
        // Of a list what each of its items is comes behind what the list is.
        put(format!("\n{}", wrapped(description(inner))));
    }
    if let Some(fields) = inner["properties"].as_object() {
        let required = inner["required"].as_array().cloned().unwrap_or_default();
        put("\nFIELDS:\n".to_owned());
        for (name, field) in fields {
            let mark = if required.iter().any(|each| each == name) { " -required-" } else { "" };
            put(format!("  {name}\t<{}>{mark}\n", type_of(field)));
            if let Some(values) = field["enum"].as_array() {
                let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                put(format!("  enum: {}\n", values.join(", ")));
            }
            put(format!("{}\n", wrapped(description(field))));
        }
    }
    out
}

fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() >= WIDTH - 4 {
            writeln!(out, "    {line}").expect("a text takes everything");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "    {line}").expect("a text takes everything");
    out
}

/// Every field below a schema, with its path.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &str, &Map<String, Value>)) {
    let Some(fields) = items(schema)["properties"].as_object() else { return };
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        visit(&path, name, field.as_object().expect("a schema"));
        walk(field, &path, visit);
    }
}

/// What is wrong with a field for a person who asks `kubectl explain` for it.
fn complaint(name: &str, field: &Map<String, Value>) -> Option<String> {
    let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
    if !field.contains_key("type") {
        return Some("has no type".to_owned());
    }
    if text.split_whitespace().count() < FEWEST_WORDS {
        return Some(format!("says too little: `{text}`"));
    }
    if !text.ends_with(['.', ')']) || text.contains("::") || text.contains("[`") {
        return Some(format!("is no plain sentence: `{text}`"));
    }
    let spelled: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    if spelled.eq_ignore_ascii_case(name) {
        return Some("says its name again".to_owned());
    }
    let values = field.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let unexplained: Vec<_> = values.filter(|value| !text.contains(&format!("`{value}`"))).collect();
    (!unexplained.is_empty()).then(|| format!("does not say what {} means", unexplained.join(", ")))
}

#[tokio::test]
async fn every_field_at_every_level_says_what_it_is() {
    let shop = Shop::start().await;
    let definition = published(&shop).await;
    let (mut complaints, mut n_fields, mut deepest) = (Vec::new(), 0, 0);
    for part in ["spec", "status"] {
        let schema = field(&definition, part);
        assert!(description(schema).split_whitespace().count() >= FEWEST_WORDS, "{part} says too little");
        walk(schema, part, &mut |path, name, field| {
            n_fields += 1;
            deepest = deepest.max(path.split('.').count());
            complaints.extend(complaint(name, field).map(|complaint| format!("{path} {complaint}")));
        });
    }
    assert_eq!(complaints, [""; 0]);
    // What is left out of the published schema is explained to nobody.
    assert!(n_fields > 150 && deepest >= 6, "{n_fields} fields, {deepest} levels");
}

#[tokio::test]
async fn the_spec_reads_well() {
    let shop = Shop::start().await;
    let definition = published(&shop).await;
    insta::assert_snapshot!("explain_rollout_spec", explain(&definition, "spec"));
    insta::assert_snapshot!("explain_rollout_spec_steps", explain(&definition, "spec.steps"));
    insta::assert_snapshot!("explain_rollout_spec_workload", explain(&definition, "spec.target.workload"));
}
