//! Sources, destinations and connections of the settings file, brought into the store at start and on SIGHUP.

use spillway_model::{
    Configuration, ConfigurationChange, Connection, Destination, DestinationId, IdGenerator, Name, Secret,
    SigningSecret, Source, SourceId, UnixMillis,
};
use spillway_settings::{ConnectionSettings, DestinationSettings, Settings, SourceSettings};
use spillway_transform::{Program, ProgramError};
use spillway_webhook_api::check_event_types;

/// Why what the file declares cannot be brought into the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeclaredError {
    /// A connection names something that neither the file declares nor the store knows.
    #[error(
        "a connection in the settings file names the {kind} {name}, which does not exist; declare it, or create it first \
         (settings_unknown_name)"
    )]
    UnknownName { kind: &'static str, name: Name },
    /// A program cannot be used.
    #[error(
        "the {field} of the connection from {source_name} to {destination} cannot be used: {error} (settings_invalid_value)"
    )]
    Program { field: &'static str, source_name: Name, destination: Name, error: ProgramError },
    /// Event types cannot be used.
    #[error("the event_types of the source {source_name} cannot be used: {reason} (settings_invalid_value)")]
    EventTypes { source_name: Name, reason: String },
}

/// What must change so that the store has what the file declares. What the file does not name stays as it is.
pub(crate) fn changes(
    settings: &Settings,
    stored: &Configuration,
    ids: &IdGenerator,
    now: UnixMillis,
    make_secret: impl Fn() -> Secret,
) -> Result<Vec<ConfigurationChange>, DeclaredError> {
    let mut changes = Vec::new();
    let mut sources: Vec<(Name, SourceId)> = stored.sources.iter().map(|s| (s.name.clone(), s.id)).collect();
    for declared in &settings.sources {
        check_event_types(&declared.event_types)
            .map_err(|reason| DeclaredError::EventTypes { source_name: declared.name.clone(), reason })?;
        let known = stored.sources.iter().find(|source| source.name == declared.name);
        let wanted = source(declared, known, ids, now);
        if known != Some(&wanted) {
            sources.push((wanted.name.clone(), wanted.id));
            changes.push(ConfigurationChange::PutSource(wanted));
        }
    }
    let mut destinations: Vec<(Name, DestinationId)> =
        stored.destinations.iter().map(|d| (d.name.clone(), d.id)).collect();
    for declared in &settings.destinations {
        let known = stored.destinations.iter().find(|destination| destination.name == declared.name);
        let wanted = destination(declared, known, ids, now, &make_secret);
        if known != Some(&wanted) {
            destinations.push((wanted.name.clone(), wanted.id));
            changes.push(ConfigurationChange::PutDestination(wanted));
        }
    }
    for declared in &settings.connections {
        let source = find(&sources, &declared.source, "source")?;
        let destination = find(&destinations, &declared.destination, "destination")?;
        check_programs(declared)?;
        let is_it = |known: &&Connection| known.source == source && known.destination == destination;
        let known = stored.connections.iter().find(is_it);
        let wanted = Connection {
            id: known.map_or_else(|| ids.connection(), |known| known.id),
            source,
            destination,
            enabled: known.is_none_or(|known| known.enabled),
            filter: declared.filter.clone(),
            transform: declared.transform.clone(),
            order_by: declared.order_by.clone(),
            created_at: known.map_or(now, |known| known.created_at),
        };
        if known != Some(&wanted) {
            changes.push(ConfigurationChange::PutConnection(wanted));
        }
    }
    Ok(changes)
}

fn check_programs(declared: &ConnectionSettings) -> Result<(), DeclaredError> {
    let programs = [("filter", &declared.filter), ("transform", &declared.transform), ("order_by", &declared.order_by)];
    for (field, program) in programs {
        if let Some(Err(error)) = program.as_deref().map(Program::compile) {
            let (source_name, destination) = (declared.source.clone(), declared.destination.clone());
            return Err(DeclaredError::Program { field, source_name, destination, error });
        }
    }
    Ok(())
}

fn find<I: Copy>(known: &[(Name, I)], name: &Name, kind: &'static str) -> Result<I, DeclaredError> {
    let found = known.iter().find(|(candidate, _)| candidate == name);
    found.map(|(_, id)| *id).ok_or_else(|| DeclaredError::UnknownName { kind, name: name.clone() })
}

fn source(declared: &SourceSettings, known: Option<&Source>, ids: &IdGenerator, now: UnixMillis) -> Source {
    Source {
        id: known.map_or_else(|| ids.source(), |source| source.id),
        name: declared.name.clone(),
        provider: declared.provider.clone(),
        secrets: declared.secrets.clone(),
        scheme: declared.scheme.clone(),
        rate_limit: declared.rate_limit,
        max_body_bytes: declared.max_body.map(|size| size.as_usize() as u64),
        enabled: declared.enabled,
        event_types: declared.event_types.clone(),
        validation: declared.validation,
        retention: declared.retention,
        created_at: known.map_or(now, |source| source.created_at),
    }
}

fn destination(
    declared: &DestinationSettings,
    known: Option<&Destination>,
    ids: &IdGenerator,
    now: UnixMillis,
    make_secret: impl Fn() -> Secret,
) -> Destination {
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let declared_secrets = || {
        let secrets = declared.signing_secrets.iter().cloned();
        secrets.map(|secret| SigningSecret { secret, expires_at: None }).collect::<Vec<_>>()
    };
    let signing_secrets = match known {
        _ if !declared.signing_secrets.is_empty() => declared_secrets(),
        Some(known) if !known.signing_secrets.is_empty() => known.signing_secrets.clone(),
        _ => vec![SigningSecret { secret: make_secret(), expires_at: None }],
    };
    Destination {
        id: known.map_or_else(|| ids.destination(), |destination| destination.id),
        name: declared.name.clone(),
        url: declared.url.clone(),
        state: known.map(|destination| destination.state).unwrap_or_default(),
        signing_secrets,
        headers: declared.headers.clone(),
        timeout_ms: declared.timeout.map(milliseconds),
        max_concurrent: declared.max_concurrent,
        rate_limit: declared.rate_limit,
        breaker: declared.breaker,
        retry: declared.retry_schedule.clone(),
        budget: declared.budget.clone(),
        created_at: known.map_or(now, |destination| destination.created_at),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use spillway_model::ManualClock;
    use spillway_settings::{Environment, LoadArgs, Overrides};

    fn settings(text: &str) -> Settings {
        let folder = std::env::temp_dir().join(format!("spillway-declared-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{}.toml", text.len()));
        std::fs::write(&file, text).expect("a file");
        let overrides = Overrides::default();
        let arguments = LoadArgs { config: Some(file), environment: Environment::default(), overrides };
        Settings::load(&arguments).expect("settings").settings
    }

    fn applied(settings: &Settings, stored: &Configuration) -> Result<Vec<ConfigurationChange>, DeclaredError> {
        let ids = IdGenerator::random(Arc::new(ManualClock::at(1_700_000_000_000)));
        changes(settings, stored, &ids, 1_700_000_000_000, || Secret::new("whsec_made"))
    }

    const FILE: &str = r#"
        [[sources]]
        name = "github"
        provider = "github"
        secrets = ["env:GITHUB_WEBHOOK_SECRET"]
        [[destinations]]
        name = "billing"
        url = "http://127.0.0.1:3000/hooks"
        [[connections]]
        source = "github"
        destination = "billing"
    "#;

    fn stored(changes: Vec<ConfigurationChange>) -> Configuration {
        let mut configuration = Configuration::default();
        for change in changes {
            match change {
                ConfigurationChange::PutSource(source) => configuration.sources.push(source),
                ConfigurationChange::PutDestination(destination) => configuration.destinations.push(destination),
                ConfigurationChange::PutConnection(connection) => configuration.connections.push(connection),
                other => panic!("unexpected {other:?}"),
            }
        }
        configuration
    }

    #[test]
    fn what_is_declared_is_made_once() {
        let settings = settings(FILE);
        let first = applied(&settings, &Configuration::default()).expect("changes");
        assert_eq!(first.len(), 3);
        assert_eq!(applied(&settings, &stored(first)).expect("no changes"), []);
    }

    #[test]
    fn a_changed_declaration_keeps_the_id_and_the_signing_secret() {
        let first = stored(applied(&settings(FILE), &Configuration::default()).expect("changes"));
        let moved = settings(&FILE.replace("127.0.0.1:3000", "127.0.0.1:4000"));
        let second = applied(&moved, &first).expect("changes");
        let [ConfigurationChange::PutDestination(destination)] = second.as_slice() else { panic!("{second:?}") };
        assert_eq!(destination.id, first.destinations[0].id);
        assert_eq!(destination.signing_secrets, first.destinations[0].signing_secrets);
        assert_eq!(destination.url.as_str(), "http://127.0.0.1:4000/hooks");
    }

    #[test]
    fn programs_event_types_and_retention_are_declared_and_changed_in_place() {
        let first = stored(applied(&settings(FILE), &Configuration::default()).expect("changes"));
        let more = FILE.replace(
            "provider = \"github\"",
            "provider = \"github\"\nvalidation = \"reject\"\nretention = { events = \"30d\" }",
        );
        let more = format!("{more}\nfilter = \".a\"\norder_by = \".id\"\n");
        let more = more.replace(
            "validation =",
            "event_types = [{ name = \"push\", schema = '{\"type\":\"object\"}' }]\nvalidation =",
        );
        let second = applied(&settings(&more), &first).expect("changes");
        let [ConfigurationChange::PutSource(source), ConfigurationChange::PutConnection(connection)] =
            second.as_slice()
        else {
            panic!("{second:?}")
        };
        assert_eq!(connection.id, first.connections[0].id);
        assert_eq!((connection.filter.as_deref(), connection.order_by.as_deref()), (Some(".a"), Some(".id")));
        assert_eq!(source.event_types[0].schema, Some(serde_json::json!({"type": "object"})));
        assert_eq!(source.retention.and_then(|retention| retention.events_ms), Some(30 * 86_400_000));
        let mut now = first;
        (now.sources, now.connections) = (vec![source.clone()], vec![connection.clone()]);
        assert_eq!(applied(&settings(&more), &now).expect("no changes"), []);
    }

    #[test]
    fn a_program_or_schema_that_cannot_be_used_is_refused_with_its_place() {
        let wrong = settings(&format!("{FILE}\ntransform = \".a ==\"\n"));
        let error = applied(&wrong, &Configuration::default()).expect_err("no program").to_string();
        assert!(
            error.contains("transform of the connection from github to billing") && error.contains("column 6"),
            "{error}"
        );
        let wrong = FILE.replace(
            "[[destinations]]",
            "[[sources.event_types]]\nname = \"push\"\nschema = { type = \"strin\" }\n[[destinations]]",
        );
        let error = applied(&settings(&wrong), &Configuration::default()).expect_err("no schema").to_string();
        assert!(error.contains("event_types of the source github") && error.contains("push"), "{error}");
    }

    #[test]
    fn a_connection_to_nothing_is_refused_by_name() {
        let only_connection = settings("[[connections]]\nsource = \"github\"\ndestination = \"billing\"\n");
        let error = applied(&only_connection, &Configuration::default()).expect_err("an unknown name");
        assert!(error.to_string().contains("source github"), "{error}");
    }
}
