//! Keys of the API.

use crate::support::{Gateway, finish};

#[test]
fn a_key_is_shown_once_works_and_is_refused_when_deleted() {
    let gateway = Gateway::start();
    let made = gateway.json(&["keys", "create", "ci runner", "--scope", "read", "--rate-limit", "500/s"]);
    let text = made["key"].as_str().expect("the key's text");
    assert!(text.starts_with("spk_"));
    assert_eq!(gateway.json(&["keys", "get", "ci runner"]).get("key"), None);
    assert_eq!(gateway.json(&["keys", "list"]).as_array().map(Vec::len), Some(2));

    std::fs::write(gateway.folder().join("ci.key"), format!("{text}\n")).expect("a file");
    gateway.ok(&["sources", "list", "--api-key", "file:ci.key"]);
    let mut command = gateway.command(&["sources", "list", "--api-key", "env:CI_KEY"]);
    assert_eq!(finish(command.env("CI_KEY", text)).code, Some(0));

    gateway.ok(&["keys", "delete", "ci runner"]);
    let refused = gateway.run(&["sources", "list", "--api-key", "file:ci.key"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("(key_unknown)"), "{}", refused.stderr);
}
