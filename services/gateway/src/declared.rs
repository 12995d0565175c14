//! Sources, destinations and connections of the settings file, brought into the store at start and on SIGHUP.

use spillway_model::{
    Configuration, ConfigurationChange, Connection, Destination, DestinationId, IdGenerator, Name, Secret,
    SigningSecret, Source, SourceId, UnixMillis,
};
use spillway_settings::{DestinationSettings, Settings, SourceSettings};

/// A connection that names something that neither the file declares nor the store knows.
#[derive(Debug, thiserror::Error)]
#[error(
    "a connection in the settings file names the {kind} {name}, which does not exist; declare it, or create it first \
     (settings_unknown_name)"
)]
pub(crate) struct UnknownName {
    kind: &'static str,
    name: Name,
}

/// What must change so that the store has what the file declares. What the file does not name stays as it is.
pub(crate) fn changes(
    settings: &Settings,
    stored: &Configuration,
    ids: &IdGenerator,
    now: UnixMillis,
    make_secret: impl Fn() -> Secret,
) -> Result<Vec<ConfigurationChange>, UnknownName> {
    let mut changes = Vec::new();
    let mut sources: Vec<(Name, SourceId)> = stored.sources.iter().map(|s| (s.name.clone(), s.id)).collect();
    for declared in &settings.sources {
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
        if !stored.connections.iter().any(|known| known.source == source && known.destination == destination) {
            let id = ids.connection();
            let connection = Connection { id, source, destination, enabled: true, created_at: now };
            changes.push(ConfigurationChange::PutConnection(connection));
        }
    }
    Ok(changes)
}

fn find<I: Copy>(known: &[(Name, I)], name: &Name, kind: &'static str) -> Result<I, UnknownName> {
    let found = known.iter().find(|(candidate, _)| candidate == name);
    found.map(|(_, id)| *id).ok_or_else(|| UnknownName { kind, name: name.clone() })
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

    fn applied(settings: &Settings, stored: &Configuration) -> Result<Vec<ConfigurationChange>, UnknownName> {
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
    fn a_connection_to_nothing_is_refused_by_name() {
        let only_connection = settings("[[connections]]\nsource = \"github\"\ndestination = \"billing\"\n");
        let error = applied(&only_connection, &Configuration::default()).expect_err("an unknown name");
        assert!(error.to_string().contains("source github"), "{error}");
    }
}
