//! GitHub webhooks as GitHub sends them, 1 to 20 KiB, signed.

use serde_json::{Value, json};
use spillway_signature::{Outgoing, Provider, SchemeOptions, sign_as};

use crate::Failure;

/// One webhook: its headers without the signature, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) event: &'static str,
    pub(crate) delivery: String,
    pub(crate) body: Vec<u8>,
}

impl Webhook {
    /// All headers of the request, signed with `secret`.
    pub(crate) fn headers(&self, secret: &str) -> Result<Vec<(String, String)>, Failure> {
        let outgoing = Outgoing { id: &self.delivery, body: &self.body, path_and_query: "/in/github", now_unix_ms: 0 };
        let mut headers = sign_as(Provider::Github, secret, &SchemeOptions::default(), &outgoing)?;
        headers.extend([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "GitHub-Hookshot/044aadd".to_owned()),
            ("x-github-event".to_owned(), self.event.to_owned()),
            ("x-github-hook-id".to_owned(), "292430182".to_owned()),
            ("x-github-hook-installation-target-type".to_owned(), "repository".to_owned()),
        ]);
        Ok(headers)
    }
}

/// `n` webhooks in turn: pushes of 1 to 12 commits, pull requests, pings. Each has a delivery id of its own.
pub(crate) fn github(n: usize) -> Vec<Webhook> {
    let webhook = |n: usize| {
        let (event, body) = match n % 5 {
            0 | 2 => ("push", push(n)),
            1 | 3 => ("pull_request", pull_request(n)),
            _ => ("ping", ping(n)),
        };
        let delivery = format!("{:08x}-5f2e-11ef-8a3c-{:012x}", 0x72d3_1620_u32.wrapping_add(n as u32), n);
        Webhook { event, delivery, body: body.to_string().into_bytes() }
    };
    (0..n).map(webhook).collect()
}

fn user(login: &str, id: u64) -> Value {
    let api = format!("https://api.github.com/users/{login}");
    json!({
        "login": login, "id": id, "node_id": format!("MDQ6VXNlcns{id}"), "type": "User", "site_admin": false,
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"), "gravatar_id": "", "url": api,
        "html_url": format!("https://github.com/{login}"), "followers_url": format!("{api}/followers"),
        "repos_url": format!("{api}/repos"), "events_url": format!("{api}/events{{/privacy}}"),
    })
}

fn repository() -> Value {
    let api = "https://api.github.com/repos/octo-org/payments";
    json!({
        "id": 186_853_002, "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=", "name": "payments",
        "full_name": "octo-org/payments", "private": true, "owner": user("octo-org", 38_302_899),
        "html_url": "https://github.com/octo-org/payments", "description": "Takes the money – and gives it back.",
        "fork": false, "url": api, "hooks_url": format!("{api}/hooks"), "branches_url": format!("{api}/branches{{/branch}}"),
        "commits_url": format!("{api}/commits{{/sha}}"), "created_at": "2019-05-15T15:19:25Z",
        "updated_at": "2026-10-21T15:19:27Z", "pushed_at": "2026-11-20T15:20:32Z", "size": 14_821, "stargazers_count": 17,
        "language": "Rust", "has_issues": true, "forks_count": 2, "open_issues_count": 31, "visibility": "private",
        "default_branch": "main", "topics": ["payments", "rust"],
    })
}

fn hash(n: usize) -> String {
    format!(
        "{:016x}{:016x}{:08x}",
        (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        n as u64 ^ 0x6113_728f_27ae_82c7,
        n
    )
}

fn push(n: usize) -> Value {
    let commits: Vec<Value> = (0..=n % 12)
        .map(|i| {
            let id = hash(n * 100 + i);
            json!({
                "id": id, "tree_id": hash(n * 100 + i + 50), "distinct": true,
                "message": format!("Settle refunds in the currency of the charge ({i})\n\nUntil now a refund took the account's currency; “€” became “$”."),
                "timestamp": "2026-11-20T10:21:34+01:00", "url": format!("https://github.com/octo-org/payments/commit/{id}"),
                "author": {"name": "Zoë Müller", "email": "zoe@example.com", "username": "zoem"},
                "committer": {"name": "GitHub", "email": "noreply@github.com", "username": "web-flow"},
                "added": [format!("src/refunds/currency_{i}.rs")], "removed": [],
                "modified": ["src/refunds.rs", "src/charges.rs", "tests/refunds.rs", "CHANGELOG.md"],
            })
        })
        .collect();
    json!({
        "ref": "refs/heads/main", "before": hash(n), "after": hash(n + 1), "created": false, "deleted": false, "forced": false,
        "base_ref": null, "compare": format!("https://github.com/octo-org/payments/compare/{}...{}", &hash(n)[..12], &hash(n + 1)[..12]),
        "head_commit": commits.last(), "commits": commits, "repository": repository(),
        "pusher": {"name": "zoem", "email": "zoe@example.com"}, "sender": user("zoem", 21_031_067),
    })
}

fn pull_request(n: usize) -> Value {
    let number = 1_200 + n;
    let api = format!("https://api.github.com/repos/octo-org/payments/pulls/{number}");
    let side = |branch: &str| json!({"label": format!("octo-org:{branch}"), "ref": branch, "sha": hash(n), "user": user("octo-org", 38_302_899), "repo": repository()});
    json!({
        "action": if n.is_multiple_of(2) { "opened" } else { "synchronize" }, "number": number,
        "pull_request": {
            "url": api, "id": 279_147_437 + n, "html_url": format!("https://github.com/octo-org/payments/pull/{number}"),
            "number": number, "state": "open", "locked": false, "title": "Refund in the currency of the charge",
            "user": user("zoem", 21_031_067), "draft": false, "merged": false, "mergeable_state": "unknown",
            "body": "Fixes #981.\r\n\r\n- [x] migration tested on a copy\r\n- [x] ledger balances\r\n\r\n".repeat(1 + n % 8),
            "created_at": "2026-11-20T09:20:33Z", "updated_at": "2026-11-20T10:21:34Z", "closed_at": null, "merged_at": null,
            "labels": [{"id": 208_045_946, "name": "money", "color": "f29513", "default": false}],
            "requested_reviewers": [user("hubot", 480_938), user("monalisa", 2_724)], "head": side("refund-currency"),
            "base": side("main"), "commits": 3, "additions": 214, "deletions": 36, "changed_files": 9,
        },
        "repository": repository(), "organization": {"login": "octo-org", "id": 38_302_899, "description": "Octo pays"},
        "sender": user("zoem", 21_031_067),
    })
}

fn ping(n: usize) -> Value {
    json!({
        "zen": "Keep it logically awesome.", "hook_id": 292_430_182 + n,
        "hook": {
            "type": "Repository", "id": 292_430_182 + n, "name": "web", "active": true, "events": ["push", "pull_request"],
            "config": {"content_type": "json", "insecure_ssl": "0", "url": "https://hooks.example.com/in/github"},
            "created_at": "2026-11-20T08:00:00Z", "updated_at": "2026-11-20T08:00:00Z",
        },
        "repository": repository(), "sender": user("zoem", 21_031_067),
    })
}
