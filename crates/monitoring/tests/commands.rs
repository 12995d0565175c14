//! Commands in pages, as the tests of every program read them.

use spillway_monitoring::runbooks::code::{Typed, commands, refused};

const PAGE: &str = "# page

```sh
spillway deliveries list --state dead | head -3   # the newest
A=1 sudo spillway \\
  keys list --output json > 'a b'; spillway openapi
kubectl exec api-0 -- spillway performance show
cargo xtask slo check && echo spillway is right
```

```toml
spillway = 1
```
";

fn typed(program: &str) -> Vec<(u64, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("inner")).expect("a folder");
    std::fs::write(folder.path().join("inner/page.md"), PAGE).expect("a page");
    let commands = commands(folder.path(), program).expect("pages");
    commands.into_iter().map(|typed| (typed.line, typed.words.join("|"))).collect()
}

#[test]
fn commands_are_found_with_their_lines_and_without_what_the_shell_takes() {
    let expected = [
        (4, "spillway|deliveries|list|--state|dead"),
        (5, "spillway|keys|list|--output|json"),
        (5, "spillway|openapi"),
        (7, "spillway|performance|show"),
    ];
    assert_eq!(typed("spillway"), expected.map(|(line, words)| (line, words.to_owned())));
    assert_eq!(typed("cargo xtask"), [(8, "cargo xtask|slo|check".to_owned())]);
    assert_eq!(typed("cargo xtask slo"), [(8, "cargo xtask slo|check".to_owned())]);
}

#[test]
fn what_a_program_refuses_is_told_with_file_and_line() {
    let typed = Typed { file: "page.md".into(), line: 7, words: vec!["spillway".into(), "lisst".into()] };
    let parse = |words: &[String]| if words[1] == "lisst" { Err("there is none".to_owned()) } else { Ok(()) };
    assert_eq!(refused(&[typed], parse), ["page.md:7: spillway lisst: there is none"]);
}
