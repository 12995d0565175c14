//! Event types of a source, and whether an event is one of them.

use std::collections::HashMap;

use spillway_model::{EventType, Source, Validation};
use spillway_transform::{Schema, SchemaError};

use super::compiled::CompiledRules;

/// Event types that a source may have.
const MAX_EVENT_TYPES: usize = 64;
/// Longest name of an event type, as for received ones.
const MAX_NAME_BYTES: usize = 128;
/// Names that a message lists.
const LISTED: usize = 5;

/// The event types of a source that checks its events.
#[derive(Debug)]
pub(crate) struct EventTypes {
    schemas: HashMap<String, Option<Result<Schema, SchemaError>>>,
    /// The first names, for messages.
    known: String,
}

impl EventTypes {
    /// The types of this source; `None` when it does not check its events.
    pub(crate) fn of(source: &Source, compiled: &mut CompiledRules) -> Option<Self> {
        if source.validation == Validation::Off || source.event_types.is_empty() {
            return None;
        }
        Some(Self::new(&source.event_types, compiled))
    }

    pub(crate) fn new(types: &[EventType], compiled: &mut CompiledRules) -> Self {
        let mut known: Vec<&str> = types.iter().take(LISTED).map(|kind| kind.name.as_str()).collect();
        if types.len() > LISTED {
            known.push("…");
        }
        let schema = |kind: &EventType| (kind.name.clone(), kind.schema.as_ref().map(|schema| compiled.schema(schema)));
        let known = known.join(", ");
        Self { schemas: types.iter().map(schema).collect(), known }
    }

    /// Whether an event of this type may have this body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, event_type: Option<&str>, body: &[u8]) -> Result<(), String> {
        let Some(name) = event_type else {
            return Err(format!("it has no event type; the source knows {}", self.known));
        };
        match self.schemas.get(name) {
            None => Err(format!("the source knows no event type {name:?}; it knows {}", self.known)),
            Some(None) => Ok(()),
            Some(Some(Err(error))) => Err(format!("the schema of {name}: {error}")),
            Some(Some(Ok(schema))) => schema.validate(body).map_err(|error| format!("it is no {name}: {error}")),
        }
    }
}

/// Whether a source can have these event types.
///
/// # Errors
/// What is wrong with which of them.
pub fn check_event_types(types: &[EventType]) -> Result<(), String> {
    if types.len() > MAX_EVENT_TYPES {
        return Err(format!("there are {}, and a source may have {MAX_EVENT_TYPES}", types.len()));
    }
    for (position, kind) in types.iter().enumerate() {
        let name = &kind.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(format!("a name must have 1 to {MAX_NAME_BYTES} bytes, none of them a control character"));
        }
        if types[..position].iter().any(|earlier| earlier.name == *name) {
            return Err(format!("{name} is there twice"));
        }
        if let Some(schema) = &kind.schema {
            Schema::compile(schema).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(name: &str, schema: Option<serde_json::Value>) -> EventType {
        EventType { name: name.to_owned(), schema }
    }

    #[test]
    fn an_event_is_one_of_the_types_and_satisfies_its_schema() {
        let schema = json!({"type": "object", "required": ["id"]});
        let types = [kind("paid", Some(schema)), kind("open", None)];
        let types = EventTypes::new(&types, &mut CompiledRules::default());
        assert_eq!(types.check(Some("paid"), br#"{"id":1}"#), Ok(()));
        assert_eq!(types.check(Some("open"), b"not JSON"), Ok(()));
        let missing = types.check(Some("paid"), b"{}").expect_err("no id");
        assert!(missing.contains("it is no paid") && missing.contains("\"id\""), "{missing}");
        let unknown = types.check(Some("void"), b"{}").expect_err("an unknown type");
        assert_eq!(unknown, "the source knows no event type \"void\"; it knows paid, open");
        assert!(types.check(None, b"{}").is_err_and(|reason| reason.contains("no event type")));
    }

    #[test]
    fn types_that_cannot_be_used_are_told() {
        for (types, hint) in [
            (vec![kind("", None)], "1 to 128"),
            (vec![kind("a", None), kind("a", None)], "a is there twice"),
            (vec![kind("a", Some(json!({"type": "strin"})))], "a: the schema cannot be used"),
            ((0..=MAX_EVENT_TYPES).map(|n| kind(&n.to_string(), None)).collect(), "65, and a source may have 64"),
        ] {
            let reason = check_event_types(&types).expect_err(hint);
            assert!(reason.contains(hint), "{reason}");
        }
    }
}
