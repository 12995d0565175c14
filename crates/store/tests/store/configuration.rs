//! Configuration is changed whole or not at all, and every change has a version.

use spillway_model::{
    ApiKey, BreakerPolicy, Configuration, ConfigurationChange, Connection, Destination, DestinationState, Scope,
    Secret, SigningSecret, Source,
};
use spillway_store::{StoreError, StoreErrorKind, amend_configuration};

use crate::support::{TestStore, on_every_engine};

on_every_engine! {
    everything_reads_back_as_it_was_put_and_survives_a_restart
    each_change_raises_the_version
    an_entry_is_replaced_by_its_id
    deleting_a_source_or_destination_deletes_its_connections
    a_taken_name_is_a_conflict_and_nothing_is_changed
    a_connection_needs_its_source_and_destination
    two_connections_between_the_same_two_are_a_conflict
    deleting_what_is_not_there_is_no_error
    concurrent_changes_get_versions_of_their_own
    of_changes_decided_on_the_same_version_one_is_made
    amendments_at_the_same_time_do_not_undo_each_other
}

fn source(test: &TestStore, name: &str) -> Source {
    Source {
        event_types: Vec::new(),
        retention: None,
        validation: spillway_model::Validation::Off,
        id: test.ids.source(),
        name: name.parse().unwrap(),
        provider: "github".into(),
        secrets: vec![Secret::new("env:A"), Secret::new("ü\"\\")],
        scheme: serde_json::from_str(r#"{"header":"x-signature","n":3}"#).unwrap(),
        rate_limit: Some("100/s".parse().unwrap()),
        max_body_bytes: Some(1 << 40),
        enabled: true,
        created_at: test.now(),
    }
}

fn destination(test: &TestStore, name: &str) -> Destination {
    Destination {
        budget: None,
        id: test.ids.destination(),
        name: name.parse().unwrap(),
        url: "https://example.com/hooks".parse().unwrap(),
        state: DestinationState::Paused,
        signing_secrets: vec![SigningSecret { secret: Secret::new("whsec_a"), expires_at: Some(7) }],
        headers: [("authorization".to_owned(), Secret::new("b"))].into(),
        timeout_ms: Some(10),
        max_concurrent: None,
        rate_limit: None,
        breaker: BreakerPolicy::default(),
        retry: None,
        created_at: test.now(),
    }
}

fn connection(test: &TestStore, source: &Source, destination: &Destination) -> Connection {
    Connection {
        filter: None,
        order_by: None,
        transform: None,
        id: test.ids.connection(),
        source: source.id,
        destination: destination.id,
        enabled: true,
        created_at: test.now(),
    }
}

fn key(test: &TestStore) -> ApiKey {
    ApiKey {
        id: test.ids.key(),
        name: "ci".into(),
        scope: Scope::Write,
        hash: [9; 32],
        rate_limit: None,
        created_at: test.now(),
    }
}

async fn put(test: &TestStore, changes: &[ConfigurationChange]) -> Result<u64, StoreError> {
    test.store.change_configuration(changes.to_vec()).await
}

async fn load(test: &TestStore) -> Configuration {
    let configuration = test.store.configuration().await.unwrap();
    assert_eq!(configuration.version, test.store.configuration_version().await.unwrap());
    configuration
}

fn conflict(result: Result<u64, StoreError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
    assert!(!error.is_transient());
    error.to_string()
}

async fn everything_reads_back_as_it_was_put_and_survives_a_restart(test: TestStore) {
    let (source, destination, key) = (source(&test, "a"), destination(&test, "b"), key(&test));
    let link = connection(&test, &source, &destination);
    let changes = [
        ConfigurationChange::PutSource(source.clone()),
        ConfigurationChange::PutDestination(destination.clone()),
        ConfigurationChange::PutConnection(link.clone()),
        ConfigurationChange::PutKey(key.clone()),
    ];
    let version = put(&test, &changes).await.unwrap();
    let expected = Configuration {
        version,
        sources: vec![source],
        destinations: vec![destination],
        connections: vec![link],
        keys: vec![key],
        worker_shares: None,
    };
    assert_eq!(load(&test).await, expected);
    let test = test.reopen().await;
    assert_eq!(load(&test).await, expected);
}

async fn each_change_raises_the_version(test: TestStore) {
    let empty = load(&test).await;
    assert_eq!(empty, Configuration { version: empty.version, ..Configuration::default() });
    let first = put(&test, &[ConfigurationChange::PutKey(key(&test))]).await.unwrap();
    let second = put(&test, &[ConfigurationChange::PutKey(key(&test))]).await.unwrap();
    assert!(empty.version < first && first < second);
    assert_eq!(load(&test).await.version, second);
}

async fn an_entry_is_replaced_by_its_id(test: TestStore) {
    let mut changed = source(&test, "before");
    put(&test, &[ConfigurationChange::PutSource(changed.clone())]).await.unwrap();
    changed.name = "after".parse().unwrap();
    changed.enabled = false;
    put(&test, &[ConfigurationChange::PutSource(changed.clone())]).await.unwrap();
    assert_eq!(load(&test).await.sources, [changed]);
    let reuse = source(&test, "before");
    put(&test, &[ConfigurationChange::PutSource(reuse)]).await.unwrap();
}

async fn deleting_a_source_or_destination_deletes_its_connections(test: TestStore) {
    let sources = [source(&test, "a"), source(&test, "b")];
    let destinations = [destination(&test, "a"), destination(&test, "b")];
    let links: Vec<_> = sources.iter().zip(&destinations).map(|(s, d)| connection(&test, s, d)).collect();
    let mut changes: Vec<_> = sources.iter().cloned().map(ConfigurationChange::PutSource).collect();
    changes.extend(destinations.iter().cloned().map(ConfigurationChange::PutDestination));
    changes.extend(links.iter().cloned().map(ConfigurationChange::PutConnection));
    put(&test, &changes).await.unwrap();

    put(&test, &[ConfigurationChange::DeleteSource(sources[0].id)]).await.unwrap();
    let left = load(&test).await;
    assert_eq!((left.sources.len(), left.destinations.len()), (1, 2));
    assert_eq!(left.connections, links[1..]);
    put(&test, &[ConfigurationChange::DeleteDestination(destinations[1].id)]).await.unwrap();
    assert_eq!(load(&test).await.connections, []);
}

async fn a_taken_name_is_a_conflict_and_nothing_is_changed(test: TestStore) {
    let taken = [
        ConfigurationChange::PutSource(source(&test, "github")),
        ConfigurationChange::PutDestination(destination(&test, "billing")),
    ];
    put(&test, &taken).await.unwrap();
    let before = load(&test).await;
    for (change, name) in [
        (ConfigurationChange::PutSource(source(&test, "github")), "github"),
        (ConfigurationChange::PutDestination(destination(&test, "billing")), "billing"),
    ] {
        let text = conflict(put(&test, &[ConfigurationChange::PutKey(key(&test)), change]).await);
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(load(&test).await, before);
}

async fn a_connection_needs_its_source_and_destination(test: TestStore) {
    let (source, destination) = (source(&test, "a"), destination(&test, "b"));
    let link = connection(&test, &source, &destination);
    conflict(put(&test, &[ConfigurationChange::PutConnection(link.clone())]).await);
    let half = [ConfigurationChange::PutSource(source), ConfigurationChange::PutConnection(link)];
    conflict(put(&test, &half).await);
    assert_eq!(load(&test).await.sources, []);
}

async fn two_connections_between_the_same_two_are_a_conflict(test: TestStore) {
    let (source, destination) = (source(&test, "a"), destination(&test, "b"));
    let changes = [
        ConfigurationChange::PutSource(source.clone()),
        ConfigurationChange::PutDestination(destination.clone()),
        ConfigurationChange::PutConnection(connection(&test, &source, &destination)),
    ];
    put(&test, &changes).await.unwrap();
    conflict(put(&test, &[ConfigurationChange::PutConnection(connection(&test, &source, &destination))]).await);
}

async fn deleting_what_is_not_there_is_no_error(test: TestStore) {
    let changes = [
        ConfigurationChange::DeleteSource(test.ids.source()),
        ConfigurationChange::DeleteDestination(test.ids.destination()),
        ConfigurationChange::DeleteConnection(test.ids.connection()),
        ConfigurationChange::DeleteKey(test.ids.key()),
    ];
    put(&test, &changes).await.unwrap();
}

async fn concurrent_changes_get_versions_of_their_own(test: TestStore) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, change) = (test.store.clone(), ConfigurationChange::PutKey(key(&test)));
        tasks.spawn(async move { store.change_configuration(vec![change]).await.unwrap() });
    }
    let mut versions = tasks.join_all().await;
    versions.sort_unstable();
    versions.dedup();
    assert_eq!((versions.len(), load(&test).await.keys.len()), (8, 8));
}

async fn of_changes_decided_on_the_same_version_one_is_made(test: TestStore) {
    let version = put(&test, &[ConfigurationChange::PutDestination(destination(&test, "before"))]).await.unwrap();
    let read = load(&test).await.destinations.remove(0);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let changed = Destination { timeout_ms: Some(n), ..read.clone() };
        let changes = vec![ConfigurationChange::Expect { version }, ConfigurationChange::PutDestination(changed)];
        let store = test.store.clone();
        tasks.spawn(async move { store.change_configuration(changes).await.map(|version| (n, version)) });
    }
    let (made, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!((made.len(), refused.len()), (1, 7));
    for error in refused {
        let text = conflict(error.map(|(_, version)| version));
        assert!(text.contains(&format!("no longer at {version}")), "{text}");
    }
    let stored = load(&test).await;
    assert_eq!((stored.destinations[0].timeout_ms, stored.version), (Some(made[0].0), made[0].1));
}

async fn amendments_at_the_same_time_do_not_undo_each_other(test: TestStore) {
    let first = destination(&test, "shared");
    put(&test, &[ConfigurationChange::PutDestination(first.clone())]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = test.store.clone();
        tasks.spawn(async move {
            let with_header = |current: &Configuration| {
                let mut changed = current.destinations[0].clone();
                changed.headers.insert(format!("x-{n}"), Secret::new("1"));
                Ok::<_, StoreError>((vec![ConfigurationChange::PutDestination(changed)], n))
            };
            amend_configuration(store.as_ref(), with_header).await.unwrap()
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable_by_key(|(_, n)| *n);
    assert_eq!(answers.iter().map(|(_, n)| *n).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    let stored = load(&test).await;
    assert_eq!(stored.destinations[0].headers.len(), first.headers.len() + 8);
    assert_eq!(answers.iter().filter_map(|(version, _)| *version).max(), Some(stored.version));

    let nothing = |_: &Configuration| Ok::<_, StoreError>((Vec::new(), ()));
    assert_eq!(amend_configuration(test.store.as_ref(), nothing).await.unwrap(), (None, ()));
    assert_eq!(load(&test).await.version, stored.version);
}
