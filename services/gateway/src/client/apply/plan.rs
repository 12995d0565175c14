//! What has to be done so that a gateway has what a file declares.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use spillway_model::{Retention, Secret};
use spillway_settings::{ConnectionSettings, DestinationSettings, Settings, SourceSettings, is_secret_reference};

use crate::client::connections::id_and_name;
use crate::client::error::ClientError;

/// What the gateway has, as its API shows it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) sources: Vec<Value>,
    pub(crate) destinations: Vec<Value>,
    pub(crate) connections: Vec<Value>,
}

/// What to do, in this order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// How many declared things are there already, just so.
    pub(crate) n_unchanged: usize,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// The fields that differ; empty for a creation.
    pub(crate) fields: Vec<&'static str>,
    pub(crate) path: &'static str,
    /// What to replace; `None` makes it.
    pub(crate) id: Option<String>,
    pub(crate) body: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Create,
    Change,
    /// Everything that can be compared is as declared, but there are secrets as text, which cannot.
    Rewrite,
}

/// What of a declared thing is a secret, and how it compares to what the gateway shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Same,
    Differs,
    /// There are secrets as text on both sides.
    Unknown,
}

impl Plan {
    /// The plan. Things that the file does not name stay as they are.
    ///
    /// # Errors
    /// A connection names something that neither the file nor the gateway has.
    pub(crate) fn new(settings: &Settings, server: &Server) -> Result<Self, ClientError> {
        let mut plan = Self::default();
        for declared in &settings.sources {
            let known = named(&server.sources, declared.name.as_str());
            plan.put("source", "sources", declared.name.as_str(), known, source(declared, known));
        }
        for declared in &settings.destinations {
            let known = named(&server.destinations, declared.name.as_str());
            plan.put("destination", "destinations", declared.name.as_str(), known, destination(declared, known));
        }
        for declared in &settings.connections {
            let (source, destination) = (declared.source.as_str(), declared.destination.as_str());
            let declares_source = settings.sources.iter().any(|known| known.name == declared.source);
            let declares_destination = settings.destinations.iter().any(|known| known.name == declared.destination);
            let source_id = end("source", &server.sources, source, declares_source)?;
            let destination_id = end("destination", &server.destinations, destination, declares_destination)?;
            let known = server.connections.iter().find(|connection| {
                connection["source"].as_str() == source_id.as_deref()
                    && connection["destination"].as_str() == destination_id.as_deref()
            });
            let name = format!("{source} → {destination}");
            plan.put("connection", "connections", &name, known, (connection(declared, known), Vec::new()));
        }
        Ok(plan)
    }

    fn put(
        &mut self,
        kind: &'static str,
        path: &'static str,
        name: &str,
        known: Option<&Value>,
        (mut settings, secrets): (Map<String, Value>, Vec<DeclaredSecrets>),
    ) {
        let mut action = if known.is_some() { Action::Rewrite } else { Action::Create };
        let mut fields = Vec::new();
        if let Some(known) = known {
            fields =
                FIELDS.into_iter().filter(|field| settings.get(*field).is_some_and(|v| *v != known[*field])).collect();
        }
        let is_known_wholly = secrets.iter().all(|secret| secret.comparison == Comparison::Same);
        for DeclaredSecrets { field, value, comparison } in secrets {
            if comparison == Comparison::Differs && known.is_some() {
                fields.push(field);
            }
            // Secrets that are left out stay as they are.
            if comparison != Comparison::Same {
                settings.insert(field.to_owned(), value);
            }
        }
        if !fields.is_empty() {
            action = Action::Change;
        } else if known.is_some() && is_known_wholly {
            self.n_unchanged += 1;
            return;
        }
        let id = known.and_then(|known| known["id"].as_str()).map(str::to_owned);
        self.steps.push(Step { action, kind, name: name.to_owned(), fields, path, id, body: Value::Object(settings) });
    }
}

/// The fields that can be compared, by the names that both the settings and the API give them.
const FIELDS: [&str; 17] = [
    "provider",
    "scheme",
    "rate_limit",
    "max_body_bytes",
    "enabled",
    "url",
    "timeout_ms",
    "max_concurrent",
    "breaker",
    "retry_schedule_ms",
    "budget",
    "event_types",
    "validation",
    "retention",
    "filter",
    "transform",
    "order_by",
];

/// A field of secrets as it is declared.
struct DeclaredSecrets {
    field: &'static str,
    value: Value,
    comparison: Comparison,
}

fn source(declared: &SourceSettings, known: Option<&Value>) -> (Map<String, Value>, Vec<DeclaredSecrets>) {
    let settings = object([
        ("name", json!(declared.name)),
        ("provider", json!(declared.provider)),
        ("scheme", json!(declared.scheme)),
        ("rate_limit", json!(declared.rate_limit)),
        ("max_body_bytes", json!(declared.max_body.map(|size| size.bytes()))),
        ("enabled", json!(declared.enabled)),
        ("event_types", json!(declared.event_types)),
        ("validation", json!(declared.validation)),
        ("retention", json!(declared.retention.map(retention))),
    ]);
    let shown = known.map(|known| references(&known["secrets"]));
    (settings, secrets("secrets", &declared.secrets, shown).into_iter().collect())
}

/// Times as the API writes them, in the largest unit that divides them.
fn retention(retention: Retention) -> Map<String, Value> {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let show = |ms: u64| {
        let unit = units.into_iter().find(|(_, scale)| ms.is_multiple_of(*scale)).unwrap_or(("s", 1_000));
        json!(format!("{}{}", ms.div_ceil(unit.1), unit.0))
    };
    let kept =
        [("events", retention.events_ms), ("payloads", retention.payloads_ms), ("attempts", retention.attempts_ms)];
    kept.into_iter().filter_map(|(what, ms)| Some((what.to_owned(), show(ms?)))).collect()
}

fn connection(declared: &ConnectionSettings, known: Option<&Value>) -> Map<String, Value> {
    let enabled = known.is_none_or(|known| known["enabled"] != Value::Bool(false));
    object([
        ("source", json!(declared.source)),
        ("destination", json!(declared.destination)),
        ("enabled", json!(enabled)),
        ("filter", json!(declared.filter)),
        ("transform", json!(declared.transform)),
        ("order_by", json!(declared.order_by)),
    ])
}

fn destination(declared: &DestinationSettings, known: Option<&Value>) -> (Map<String, Value>, Vec<DeclaredSecrets>) {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let settings = object([
        ("name", json!(declared.name)),
        ("url", json!(declared.url)),
        ("timeout_ms", json!(declared.timeout.map(milliseconds))),
        ("max_concurrent", json!(declared.max_concurrent)),
        ("rate_limit", json!(declared.rate_limit)),
        ("breaker", json!(declared.breaker)),
        ("retry_schedule_ms", json!(declared.retry_schedule)),
        ("budget", json!(declared.budget)),
    ]);
    let shown = known.map(|known| references(&known["signing_secrets"]));
    let signing = secrets("signing_secrets", &declared.signing_secrets, shown);
    let known_headers = known.map(|known| &known["headers"]);
    let names_differ = known_headers.is_some_and(|known| {
        let names = known.as_object().map(|headers| headers.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        names.len() != declared.headers.len() || names.iter().any(|name| !declared.headers.contains_key(name))
    });
    let values: Vec<Secret> = declared.headers.values().cloned().collect();
    let shown: Option<Vec<_>> =
        known_headers.map(|known| declared.headers.keys().map(|name| reference(&known[name.as_str()])).collect());
    let comparison = if names_differ { Comparison::Differs } else { compare(&values, shown.as_deref()) };
    let headers = DeclaredSecrets { field: "headers", value: json!(declared.headers), comparison };
    (settings, signing.into_iter().chain([headers]).collect())
}

/// A list of secrets as it is declared. An empty one declares nothing, so that secrets made by the API stay.
fn secrets(field: &'static str, declared: &[Secret], shown: Option<Vec<Option<String>>>) -> Option<DeclaredSecrets> {
    let comparison = compare(declared, shown.as_deref());
    (!declared.is_empty()).then(|| DeclaredSecrets { field, value: json!(declared), comparison })
}

/// `shown` is what the gateway has: a reference, or `None` for text that it does not show.
fn compare(declared: &[Secret], shown: Option<&[Option<String>]>) -> Comparison {
    let Some(shown) = shown else { return Comparison::Differs };
    let declared_references = declared.iter().map(|secret| is_secret_reference(secret).then(|| secret.expose()));
    if !declared_references.eq(shown.iter().map(Option::as_deref)) {
        Comparison::Differs
    } else if shown.contains(&None) {
        Comparison::Unknown
    } else {
        Comparison::Same
    }
}

/// What is shown of each secret that is in force; those that only sign for a while beside their successor are left out.
fn references(secrets: &Value) -> Vec<Option<String>> {
    let secrets = secrets.as_array().into_iter().flatten();
    secrets.filter(|secret| secret["expires_at"].is_null()).map(reference).collect()
}

fn reference(secret: &Value) -> Option<String> {
    secret["reference"].as_str().map(str::to_owned)
}

fn named<'a>(entries: &'a [Value], name: &str) -> Option<&'a Value> {
    entries.iter().find(|entry| entry["name"].as_str() == Some(name))
}

/// The id of one end of a connection; `None` when it is still to be made.
fn end(kind: &str, entries: &[Value], name: &str, is_declared: bool) -> Result<Option<String>, ClientError> {
    let known = named(entries, name).and_then(id_and_name).map(|(id, _)| id);
    if known.is_none() && !is_declared {
        return Err(ClientError::Usage(format!(
            "a connection of the file names the {kind} {name}, which neither the file nor the gateway has: declare it, or \
             create it first"
        )));
    }
    Ok(known)
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spillway_settings::{LoadArgs, Settings};

    fn settings(text: &str) -> Settings {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("to write");
        let arguments = LoadArgs { config: Some(file.path().to_owned()), ..LoadArgs::default() };
        Settings::load(&arguments).expect("settings").settings
    }

    fn planned(text: &str, server: &Server) -> Vec<String> {
        let plan = Plan::new(&settings(text), server).expect("a plan");
        let line = |step: &Step| format!("{:?} {} {} {:?}", step.action, step.kind, step.name, step.fields);
        plan.steps.iter().map(line).chain([format!("{} unchanged", plan.n_unchanged)]).collect()
    }

    const FILE: &str = r#"
        [[sources]]
        name = "github"
        provider = "github"
        secrets = ["env:GITHUB"]
        [[destinations]]
        name = "billing"
        url = "http://127.0.0.1:3000/hooks"
        headers = { authorization = "env:TOKEN" }
        [[connections]]
        source = "github"
        destination = "billing"
    "#;

    fn as_declared() -> Server {
        Server {
            sources: vec![json!({
                "id": "src_1", "name": "github", "provider": "github", "secrets": [{"reference": "env:GITHUB"}],
                "scheme": {}, "rate_limit": null, "max_body_bytes": null, "enabled": true, "event_types": [], "validation": "off",
                "retention": null,
            })],
            destinations: vec![json!({
                "id": "dst_1", "name": "billing", "url": "http://127.0.0.1:3000/hooks", "state": "paused",
                "signing_secrets": [{"reference": null, "expires_at": null}],
                "headers": {"authorization": {"reference": "env:TOKEN"}}, "timeout_ms": null, "max_concurrent": null,
                "rate_limit": null, "retry_schedule_ms": null,
                "breaker": {"consecutive_failures": 5, "interval_ms": 30000, "base_ejection_ms": 30000},
            })],
            connections: vec![json!({"id": "con_1", "source": "src_1", "destination": "dst_1", "enabled": false})],
        }
    }

    #[test]
    fn what_is_missing_is_made_in_the_order_of_its_references() {
        let steps = planned(FILE, &Server::default());
        let expected = [
            "Create source github []",
            "Create destination billing []",
            "Create connection github → billing []",
            "0 unchanged",
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_is_there_stays_with_its_state_and_the_secrets_that_the_file_does_not_name() {
        assert_eq!(planned(FILE, &as_declared()), ["3 unchanged"]);
    }

    #[test]
    fn what_differs_is_named_and_references_that_did_not_change_are_not_sent() {
        let changed = FILE.replace(":3000", ":4000").replace("env:GITHUB", "env:OTHER");
        assert_eq!(
            planned(&changed, &as_declared()),
            [r#"Change source github ["secrets"]"#, r#"Change destination billing ["url"]"#, "1 unchanged"]
        );
        let plan = Plan::new(&settings(&changed), &as_declared()).expect("a plan");
        assert_eq!(plan.steps[0].body["secrets"], json!(["env:OTHER"]));
        assert_eq!(plan.steps[1].id.as_deref(), Some("dst_1"));
        assert_eq!(plan.steps[1].body.get("headers"), None);
        let without_header = FILE.replace(r#"headers = { authorization = "env:TOKEN" }"#, "");
        assert_eq!(planned(&without_header, &as_declared())[0], r#"Change destination billing ["headers"]"#);
    }

    #[test]
    fn secrets_as_text_are_written_again_because_they_cannot_be_compared() {
        let mut server = as_declared();
        server.sources[0]["secrets"] = json!([{"reference": null}]);
        let literal = FILE.replace("env:GITHUB", "a text");
        assert_eq!(planned(&literal, &server), ["Rewrite source github []", "2 unchanged"]);
        assert_eq!(planned(&literal, &as_declared())[0], r#"Change source github ["secrets"]"#);
    }

    #[test]
    fn a_secret_that_only_signs_for_a_while_is_no_difference() {
        let mut server = as_declared();
        server.destinations[0]["signing_secrets"] = json!([
            {"reference": "env:NEW", "expires_at": null}, {"reference": "env:OLD", "expires_at": "2030-01-01T00:00:00Z"},
        ]);
        let file = FILE.replace("headers =", "signing_secrets = [\"env:NEW\"]\nheaders =");
        assert_eq!(planned(&file, &server), ["3 unchanged"]);
    }

    #[test]
    fn programs_event_types_and_retention_are_compared_and_a_connection_keeps_its_state() {
        let changed = FILE.replace("secrets = [\"env:GITHUB\"]", "secrets = [\"env:GITHUB\"]\nevent_types = [{ name = \"push\" }]\nvalidation = \"reject\"\nretention = { events = \"90d\", payloads = \"36h\" }");
        let changed = format!("{changed}\nfilter = \".a\"\n");
        assert_eq!(
            planned(&changed, &as_declared()),
            [
                r#"Change source github ["event_types", "validation", "retention"]"#,
                r#"Change connection github → billing ["filter"]"#,
                "1 unchanged"
            ]
        );
        let plan = Plan::new(&settings(&changed), &as_declared()).expect("a plan");
        assert_eq!(plan.steps[0].body["retention"], json!({"events": "90d", "payloads": "36h"}));
        assert_eq!(plan.steps[1].id.as_deref(), Some("con_1"));
        assert_eq!((&plan.steps[1].body["enabled"], &plan.steps[1].body["filter"]), (&json!(false), &json!(".a")));
    }

    #[test]
    fn a_connection_to_nothing_is_refused_before_anything_is_changed() {
        let file = "[[connections]]\nsource = \"github\"\ndestination = \"crm\"\n";
        let error = Plan::new(&settings(file), &as_declared()).expect_err("an unknown name");
        assert!(error.to_string().contains("destination crm"), "{error}");
    }
}
