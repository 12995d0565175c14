//! `spillway reconcile github` against a double of GitHub's API.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Outcome, finish, spillway};

/// What the double answers: status, headers, body.
type Response = (u16, Vec<(&'static str, String)>, Value);

/// A server that answers as it is told, and remembers what it was asked.
struct Double {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Double {
    /// `answer` gets the double's URL, and method and path of a request.
    fn start(answer: impl Fn(&str, &str) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own, log) = (url.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(stream.try_clone().expect("the connection")).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let request = first.trim_end_matches(" HTTP/1.1").to_owned();
                let authorized = head.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer ghp_secret"));
                log.lock().expect("the log").push(request.clone());
                let (status, headers, body) = if authorized {
                    answer(&own, &request)
                } else {
                    (401, Vec::new(), json!({"message": "Bad credentials"}))
                };
                let body = body.to_string();
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the log").clone()
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        finish(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let folder = std::env::temp_dir();
        let mut command = spillway(&folder);
        command.args(["reconcile", "github", "--hook", "42", "--api-url", &self.url]).args(arguments);
        command.env("GITHUB_TOKEN", "ghp_secret");
        command
    }
}

fn delivery(id: u64, guid: &str, status_code: u16, hours_ago: i64) -> Value {
    let at = hours_before_now(hours_ago);
    let status = if status_code == 200 { "OK" } else { "Service Unavailable" };
    json!({
        "id": id, "guid": guid, "delivered_at": at, "redelivery": false, "duration": 0.1, "status": status,
        "status_code": status_code, "event": "issues", "action": "opened", "installation_id": null, "repository_id": 1,
    })
}

fn hours_before_now(hours: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string()
}

/// Two pages: "never" and "twice" failed, "later" was redelivered, "old" is older than a day.
fn two_pages(own: &str, request: &str) -> Response {
    const LIST: &str = "GET /repos/acme/shop/hooks/42/deliveries?per_page=100";
    match request {
        LIST => {
            let next = format!("<{own}/repos/acme/shop/hooks/42/deliveries?per_page=100&cursor=v1_5>; rel=\"next\"");
            let page = json!([delivery(9, "later", 200, 1), delivery(8, "twice", 503, 2), delivery(7, "fine", 200, 3)]);
            (200, vec![("link", next)], page)
        }
        "GET /repos/acme/shop/hooks/42/deliveries?per_page=100&cursor=v1_5" => {
            let page = json!([
                delivery(5, "later", 502, 4),
                delivery(4, "twice", 503, 5),
                delivery(3, "never", 500, 6),
                delivery(1, "old", 500, 30),
            ]);
            (200, Vec::new(), page)
        }
        post if post.starts_with("POST ") => (202, Vec::new(), json!({})),
        _ => (404, Vec::new(), json!({"message": "Not Found"})),
    }
}

#[test]
fn what_never_succeeded_is_asked_for_once() {
    let github = Double::start(two_pages);
    let outcome = github.run(&["--repo", "acme/shop"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stdout.contains("never") && outcome.stdout.contains("twice"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("issues.opened") && outcome.stdout.contains("asked"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("later") && !outcome.stdout.contains("old"), "{}", outcome.stdout);
    let posts: Vec<String> = github.asked().into_iter().filter(|request| request.starts_with("POST")).collect();
    let attempts = |id: u64| format!("POST /repos/acme/shop/hooks/42/deliveries/{id}/attempts");
    assert_eq!(posts, [attempts(3), attempts(8)], "the oldest first, each by its latest request");
}

#[test]
fn a_dry_run_asks_for_nothing_and_prints_json() {
    let github = Double::start(two_pages);
    let outcome = github.run(&["--repo", "acme/shop", "--dry-run", "--output", "json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let rows: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((&rows[0]["guid"], &rows[0]["result"]), (&json!("never"), &json!("would ask")));
    assert_eq!(
        (&rows[1]["guid"], &rows[1]["attempts"], &rows[1]["last"]),
        (&json!("twice"), &json!(2), &json!("503 Service Unavailable"))
    );
    assert!(github.asked().iter().all(|request| request.starts_with("GET")));
}

#[test]
fn a_longer_look_back_and_a_limit_are_kept() {
    let github = Double::start(two_pages);
    let outcome = github.run(&["--repo", "acme/shop", "--since", "48h", "--limit", "1"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stdout.contains("old"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("2 more are missing"), "{}", outcome.stderr);
    assert_eq!(github.asked().iter().filter(|request| request.starts_with("POST")).count(), 1);
}

#[test]
fn the_hook_of_an_organization_is_another_path() {
    let github = Double::start(|_, request| match request {
        "GET /orgs/acme/hooks/42/deliveries?per_page=100" => (200, Vec::new(), json!([])),
        _ => (404, Vec::new(), json!({"message": "Not Found"})),
    });
    let outcome = github.run(&["--org", "acme"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stderr.contains("Nothing is missing"), "{}", outcome.stderr);
}

#[test]
fn a_rate_limit_is_waited_for_when_it_is_short_and_told_when_it_is_long() {
    let turned_away = Mutex::new(0);
    let github = Double::start(move |own, request| {
        let mut turned_away = turned_away.lock().expect("the count");
        if request.starts_with("POST") && *turned_away == 0 {
            *turned_away += 1;
            return (403, vec![("retry-after", "1".to_owned())], json!({"message": "secondary rate limit"}));
        }
        two_pages(own, request)
    });
    let outcome = github.run(&["--repo", "acme/shop"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(github.asked().iter().filter(|request| request.starts_with("POST")).count(), 3);

    let github = Double::start(|_, _| {
        let headers = vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", "9999999999".to_owned())];
        (403, headers, json!({"message": "API rate limit exceeded"}))
    });
    let outcome = github.run(&["--repo", "acme/shop"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("rate limit is used up: call again in"), "{}", outcome.stderr);
}

#[test]
fn refusals_say_what_to_do_and_never_show_the_token() {
    let refused = Double::start(|own, request| match request {
        post if post.starts_with("POST") => (422, Vec::new(), json!({"message": "too old"})),
        other => two_pages(own, other),
    });
    let outcome = refused.run(&["--repo", "acme/shop"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("refused"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("refused 2 of 2"), "{}", outcome.stderr);

    let github = Double::start(two_pages);
    let unknown = github.run(&["--repo", "acme/other"]);
    assert!(unknown.stderr.contains("check --repo or --org, and --hook"), "{}", unknown.stderr);
    let wrong = finish(github.command(&["--repo", "acme/shop"]).env("GITHUB_TOKEN", "ghp_other"));
    assert!(wrong.stderr.contains("the token is unknown or has expired"), "{}", wrong.stderr);
    assert!(!format!("{wrong:?}").contains("ghp_other"));
    let elsewhere =
        Double::start(|_, _| (200, vec![("link", "<http://127.0.0.1:1/next>; rel=\"next\"".to_owned())], json!([])));
    let outcome = elsewhere.run(&["--repo", "acme/shop"]);
    assert!(outcome.stderr.contains("on another server, which is not followed"), "{}", outcome.stderr);
}

#[test]
fn what_cannot_be_used_is_a_wrong_call() {
    let github = Double::start(two_pages);
    for (arguments, says) in [
        (&["--repo", "acme"][..], "OWNER/NAME"),
        (&["--repo", "acme/../x"], "OWNER/NAME"),
        (&["--org", "a/b"], "name of an organization"),
        (&["--repo", "a/b", "--org", "c"], "cannot be used with"),
        (&[], "--repo"),
        (&["--repo", "a/b", "--token-env", "NOTHING"], "NOTHING holds no token"),
        (&["--repo", "a/b", "--since", "soon"], "such as 500ms"),
        (&["--repo", "a/b", "--limit", "0"], "--limit"),
    ] {
        let outcome = github.run(arguments);
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {outcome:#?}");
        assert!(outcome.stderr.contains(says), "{arguments:?}: {}", outcome.stderr);
    }
    let outcome = finish(
        spillway(&std::env::temp_dir())
            .args(["reconcile", "github", "--repo", "a/b", "--hook", "1", "--api-url", "http://example.com"])
            .env("GITHUB_TOKEN", "t"),
    );
    assert_eq!(outcome.code, Some(64));
    assert!(outcome.stderr.contains("use https"), "{}", outcome.stderr);
    assert!(github.asked().is_empty());
}
