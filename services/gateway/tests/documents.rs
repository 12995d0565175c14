//! The documents say what the code does: every code has its page, every link a file, every command exists, every settings
//! example loads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files with this extension below `folder`, but for what is built and what is hidden.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !["target", "corpus", "artifacts"].contains(&name.as_ref()) {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    files(&root(), "md").into_iter().map(|path| (path.clone(), read(path))).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes = spillway_monitoring::runbooks::codes::named(&root());
    assert!(
        codes.contains_key("signature_mismatch") && codes.contains_key("last_admin_key"),
        "codes are not found: {codes:?}"
    );
    let problems = spillway_monitoring::runbooks::codes::check(&root(), &root().join("runbooks/errors"));
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_page_about_metrics_is_the_catalogue() {
    assert_eq!(read("runbooks/metrics.md").trim_end(), spillway_telemetry::catalogue_markdown().trim_end());
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut n_links = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            n_links += 1;
            let file = path.parent().expect("a folder").join(target);
            assert!(file.exists(), "{} links to {link}, which is not there", path.display());
        }
    }
    assert!(n_links > 50, "only {n_links} links are found");
}

#[test]
fn every_xtask_command_exists() {
    let source = read("xtask/src/main.rs");
    let variants = source.split("enum Command {").nth(1).and_then(|rest| rest.split('}').next()).expect("the commands");
    let known: BTreeSet<_> =
        variants.lines().filter_map(|line| line.trim().split_once('(')).map(|(name, _)| with_hyphens(name)).collect();
    let mut named = BTreeSet::new();
    for (path, text) in documents() {
        for rest in text.split("cargo xtask ").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let name = name.trim_end_matches('-').to_owned();
            assert!(name.is_empty() || known.contains(&name), "{} names cargo xtask {name}", path.display());
            named.insert(name);
        }
    }
    assert!(named.contains("demo") && named.contains("test"), "the set-up commands are not found: {named:?}");
}

/// `RolloutDemo` as it is typed: `rollout-demo`.
fn with_hyphens(name: &str) -> String {
    let spelled = name.chars().flat_map(|c| c.is_ascii_uppercase().then_some('-').into_iter().chain(c.to_lowercase()));
    spelled.collect::<String>().trim_start_matches('-').to_owned()
}

fn spillway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spillway"));
    command.env_clear().args(arguments).output().expect("spillway runs")
}

/// Every line of code, in a block or in a sentence, that begins with `spillway`. One mark opens code and three open a block, so
/// code is what stands behind an odd number of marks.
fn commands_in(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let code = text.split('`').skip(1).step_by(2);
    code.flat_map(str::lines).filter(|line| line.starts_with("spillway ")).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_program_exists_with_its_options() {
    let mut n_commands = 0;
    for (path, text) in documents() {
        for command in commands_in(&text) {
            let words: Vec<_> = command.split(" #").next().unwrap_or_default().split_whitespace().skip(1).collect();
            let is_name =
                |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-');
            let mut arguments: Vec<_> = words.iter().copied().take(3).take_while(is_name).collect();
            arguments.push("--help");
            let output = spillway(&arguments);
            assert!(output.status.success(), "{}: there is no {command}", path.display());
            let help = String::from_utf8_lossy(&output.stdout);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split(['=', ']', ')']).next().unwrap_or_default();
                assert!(help.contains(option), "{}: {option} is no option in: {command}", path.display());
            }
            n_commands += 1;
        }
    }
    assert!(n_commands > 20, "only {n_commands} commands are found");
}

#[test]
fn every_settings_example_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("spillway.toml");
    let mut n_examples = 0;
    // Load tests are another program's, whose tests check them.
    for (path, text) in documents().into_iter().filter(|(path, _)| !path.ends_with("infra/load/README.md")) {
        for example in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            fs::write(&file, example).expect("the file");
            let output = spillway(&["check-config", "--config", &file.to_string_lossy()]);
            let problem = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {problem}\n{example}", path.display());
            n_examples += 1;
        }
    }
    assert!(n_examples > 0, "no example is found");
}
