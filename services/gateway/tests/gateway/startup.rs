//! What the program says when it cannot start, and what it prints when it does.

use std::net::TcpListener;

use spillway_testkit::Sink;

use crate::support::{Folder, Sender, program, serve, stop};

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[tokio::test]
async fn an_unknown_settings_key_ends_with_64_and_names_the_nearest() {
    let folder = Folder::new();
    let config = folder.settings("[server]\nlistn = \"127.0.0.1:0\"\n");
    let ended = serve(&["--config", text(&config)]).await;
    ended.with(64, &["settings_unknown_key", "server.listn", "line 2", "did you mean server.listen?"]);
}

#[tokio::test]
async fn a_settings_file_that_is_not_there_ends_with_64() {
    let ended = serve(&["--config", text(&Folder::new().path("none.toml"))]).await;
    ended.with(64, &["settings_file_unreadable", "none.toml"]);
}

#[tokio::test]
async fn a_lease_shorter_than_the_timeout_is_refused() {
    let folder = Folder::new();
    let config = folder.settings("[delivery]\ntimeout = \"30s\"\nlease = \"10s\"\n");
    let ended = serve(&["--config", text(&config)]).await;
    ended.with(64, &["settings_lease_too_short", "set delivery.lease to at least 30s"]);
}

#[tokio::test]
async fn a_lease_shorter_than_the_timeout_of_one_destination_is_refused() {
    let folder = Folder::new();
    let config = folder.settings(
        "[delivery]\nlease = \"60s\"\n[[destinations]]\nname = \"slow\"\nurl = \"http://127.0.0.1:9\"\ntimeout = \"2m\"\n",
    );
    let ended = serve(&["--config", text(&config)]).await;
    ended.with(64, &["settings_lease_too_short", "destination slow", "2m"]);
}

#[tokio::test]
async fn an_unreachable_database_ends_with_1_and_keeps_its_password() {
    let folder = Folder::new();
    let config = folder.settings("[server]\nlisten = \"127.0.0.1:0\"\n");
    let url = "postgres://someone:hunter2@127.0.0.1:1/orders";
    let ended = serve(&["--config", text(&config), "--database-url", url]).await;
    ended.with(
        1,
        &[
            "127.0.0.1:1/orders cannot be opened; check that it runs, and that store.url (or DATABASE_URL)",
            "(store_unavailable)",
            "cannot be reached",
            "Connection refused",
        ],
    );
    assert!(!ended.errors.contains("hunter2"), "{}", ended.errors);
}

#[tokio::test]
async fn a_port_in_use_ends_with_1_and_says_which_option_helps() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = serve(&["--config", text(&folder.path("spillway.toml")), "--listen", &address]).await;
    ended.with(1, &[&address, "another program may use the port", "--listen", "(listen_failed)"]);
}

#[tokio::test]
async fn a_start_that_fails_does_not_use_up_the_admin_key() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    serve(&["--config", text(&folder.path("spillway.toml")), "--listen", &address]).await.with(1, &[&address]);
    let gateway = folder.start(&[]).await;
    assert!(gateway.admin_key.is_some(), "the first start that works prints the key");
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_refused_by_name() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let settings = std::fs::read_to_string(folder.path("spillway.toml")).expect("settings");
    let file = folder.path("authorities.pem");
    let named = format!("[delivery]\nca_file = \"{}\"", file.display());
    let config = folder.settings(&settings.replace("[delivery]", &named));
    let start = async || serve(&["--config", text(&config)]).await;
    start().await.with(1, &["authorities.pem (delivery.ca_file) cannot be read", "PEM file"]);
    std::fs::write(&file, "no certificate\n").expect("a file");
    start().await.with(1, &["authorities.pem (delivery.ca_file) cannot be read", "PEM file"]);
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, broken).expect("a file");
    start().await.with(1, &["certificate 1 in", "cannot be an authority's", "replace or remove it"]);
    folder.settings(&settings);
    assert!(folder.start(&[]).await.admin_key.is_some(), "none of these starts used up the admin key");
}

#[tokio::test]
async fn a_single_role_on_the_embedded_engine_is_refused() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    for role in ["api", "worker"] {
        let ended = serve(&["--config", text(&folder.path("spillway.toml")), "--role", role]).await;
        ended.with(1, &[&format!("the role {role} needs PostgreSQL"), "store.url", "role all"]);
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused_and_the_first_goes_on() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&[]).await;
    let ended = serve(&["--config", text(&folder.path("spillway.toml"))]).await;
    ended.with(1, &["(store_contention)", "in use by another process", "--data-dir"]);
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("the first process still takes events");
}

#[tokio::test]
async fn the_first_start_prints_the_admin_key_and_the_second_does_not() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let first = folder.start(&[]).await;
    let key = first.admin_key.clone().expect("a key");
    assert!(key.starts_with("spk_") && key.len() > 40, "{key}");
    stop(first).await;
    let second = folder.start(&[]).await;
    assert_eq!(second.admin_key, None);
    assert!(!folder.log().contains(&key), "the key is never logged");
}

#[tokio::test]
async fn a_redis_that_is_away_costs_a_warning_and_not_the_start() {
    let folder = Folder::new();
    let sink = Sink::start().await;
    folder.embedded(&sink.url("/"));
    let gateway = folder.start(&["--redis-url", "redis://127.0.0.1:1"]).await;
    Sender::new().send(&gateway.url, "{}".to_owned()).await.expect("an acknowledgement");
    sink.wait_for_count(1, crate::support::SOON).await;
    assert!(folder.log().contains("Redis is lost"), "{}", folder.log());
    let (status, report) = Sender::new().get(&gateway.url, "/healthz").await;
    assert_eq!((status, &report["status"]), (200, &"degraded".into()), "{report}");
    let (status, report) = Sender::new().get(&gateway.url, "/readyz").await;
    assert_eq!((status, &report["status"]), (200, &"ok".into()), "{report}");
}

#[tokio::test]
async fn of_each_source_that_verifies_nothing_it_warns_once_however_it_was_made() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let warned = |name: &str| {
        let is_about = |line: &&str| line.contains("settings_unverified_source") && line.contains(name);
        folder.log().lines().filter(is_about).count()
    };
    let gateway = folder.start(&[]).await;
    assert_eq!((warned("orders"), warned("made-by-hand")), (1, 0), "{}", folder.log());
    let made = tokio::process::Command::new(program())
        .args(["sources", "create", "made-by-hand", "--provider", "none"])
        .env("SPILLWAY_URL", &gateway.url)
        .env("SPILLWAY_API_KEY", gateway.admin_key.as_deref().expect("a key"))
        .output();
    assert!(made.await.expect("the program runs").status.success());
    assert_eq!((warned("orders"), warned("made-by-hand")), (1, 1), "{}", folder.log());
    stop(gateway).await;
    stop(folder.start(&[]).await).await;
    assert_eq!((warned("orders"), warned("made-by-hand")), (2, 2), "{}", folder.log());
}

#[tokio::test]
async fn behind_a_proxy_with_tls_answers_tell_browsers_to_stay_with_it() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let settings = std::fs::read_to_string(folder.path("spillway.toml")).expect("settings");
    for (url, header) in [("http://hooks.example.com", None), ("https://hooks.example.com", Some("max-age=31536000"))] {
        folder.settings(&settings.replace("[server]\n", &format!("[server]\npublic_url = \"{url}\"\n")));
        let gateway = folder.start(&[]).await;
        let answer = Sender::new().head(&gateway.url, "/health").await;
        let told = answer.get("strict-transport-security").map(|value| value.to_str().expect("text"));
        assert_eq!(told, header, "{url}");
        stop(gateway).await;
        assert!(folder.log().contains(url), "the log says where the gateway is reached: {}", folder.log());
    }
}

#[tokio::test]
async fn on_the_embedded_engine_pool_size_is_the_number_of_read_connections() {
    let folder = Folder::new();
    folder.embedded("http://127.0.0.1:9/");
    let settings = std::fs::read_to_string(folder.path("spillway.toml")).expect("settings");
    folder.settings(&settings.replace("[store]\n", "[store]\npool_size = 3\n"));
    let gateway = folder.start(&[]).await;
    let (_, report) = Sender::new().get(&gateway.url, "/healthz").await;
    assert!(report.to_string().contains("3 at most"), "{report}");
}
