//! No secret is in the repository: detect-secrets over every file, against the list of what was looked at and is none.

use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;
use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::setup::{self, PYTHON, PYTHON_TOOLS, python_tool};

/// What was found and is no secret (made-up keys of tests and documents), and which detectors look. `cargo xtask check --fix` writes it.
const BASELINE: &str = ".secrets.baseline";
/// Most names of files in one call.
const MAX_BATCH: usize = 800;

/// Nothing new is found, and keys that are planted are: a scan that finds nothing proves nothing by itself.
pub(super) fn check(sh: &Shell, fix: bool) -> Result<()> {
    setup::ensure(sh, &[&PYTHON, &PYTHON_TOOLS])?;
    if fix {
        let scan = python_tool("detect-secrets");
        cmd!(sh, "{scan} scan --baseline {BASELINE}").quiet().run()?;
    }
    planted_keys_are_found(sh)?;
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard").quiet().read()?;
    let files: Vec<String> = files.lines().filter(|file| sh.path_exists(file)).map(str::to_owned).collect();
    let found = scan_all(sh, &files)?;
    for finding in &found {
        eprintln!("{finding}");
    }
    match found.len() {
        0 => Ok(()),
        n => Err(Failure::new(format!(
            "{n} lines may hold a secret: take it out, and change it where it is used; what is none `cargo xtask check --fix` adds to {BASELINE}"
        ))),
    }
}

fn planted_keys_are_found(sh: &Shell) -> Result<()> {
    let folder = sh.create_temp_dir()?;
    let keys = planted_keys();
    for (name, key) in &keys {
        sh.write_file(folder.path().join(name), key)?;
    }
    let files: Vec<String> = keys.iter().map(|(name, _)| folder.path().join(name).display().to_string()).collect();
    let found = scan(sh.current_dir().as_path(), folder.path(), &files)?;
    for (name, _) in &keys {
        if !found.iter().any(|finding| finding.contains(&format!("/{name}:"))) {
            return Err(Failure::new(format!("detect-secrets does not find the key that was planted in {name}")));
        }
    }
    Ok(())
}

/// On all processors: the scan takes a second for some forty files.
fn scan_all(sh: &Shell, files: &[String]) -> Result<Vec<String>> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let batch = files.len().div_ceil(n_threads).clamp(1, MAX_BATCH);
    let (folder, root) = (sh.create_temp_dir()?, sh.current_dir());
    let scan_one = |(number, batch): (usize, &[String])| {
        let own = folder.path().join(number.to_string());
        std::fs::create_dir(&own)?;
        scan(&root, &own, batch)
    };
    let batches: Vec<_> = files.chunks(batch).enumerate().collect();
    let mut found = Vec::new();
    for round in batches.chunks(n_threads) {
        let of_round = thread::scope(|scope| {
            let threads: Vec<_> = round.iter().map(|batch| scope.spawn(|| scan_one(*batch))).collect();
            let failed = || Failure::new("a scan of files panicked");
            threads.into_iter().map(|thread| thread.join().map_err(|_| failed())?).collect::<Result<Vec<_>>>()
        })?;
        found.extend(of_round.into_iter().flatten());
    }
    Ok(found)
}

/// What the files hold that the list does not hold, as `file:line: kind`. On a copy of the list: it may only be rewritten on purpose.
fn scan(root: &Path, temporary: &Path, files: &[String]) -> Result<Vec<String>> {
    let copy = temporary.join("baseline");
    std::fs::copy(root.join(BASELINE), &copy)?;
    let mut hook = Command::new(python_tool("detect-secrets-hook"));
    hook.current_dir(root).args(["--no-verify", "--json", "--baseline"]).arg(&copy).args(files);
    let output = hook.output()?;
    let failed = |why: &str| Failure::new(format!("detect-secrets failed: {why}"));
    match output.status.code() {
        // 3: the same findings on other lines.
        Some(0 | 3) => Ok(Vec::new()),
        Some(1) if !output.stdout.is_empty() => {
            let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
            Ok(findings(&report))
        }
        _ => Err(failed(String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn findings(report: &Value) -> Vec<String> {
    let files = report["results"].as_object().into_iter().flatten();
    let of_file = |(file, list): (&String, &Value)| {
        let line = |finding: &Value| {
            let kind = finding["type"].as_str().unwrap_or("secret").to_owned();
            format!("{file}:{}: {kind}", finding["line_number"])
        };
        list.as_array().into_iter().flatten().map(line).collect::<Vec<_>>()
    };
    files.flat_map(of_file).collect()
}

/// Keys in the form of real ones, put together here so that this file has none.
fn planted_keys() -> [(&'static str, String); 3] {
    let cloud = format!("aws_access_key_id = {}{}\n", ["AK", "IA"].concat(), "Z7Q4M2X9".repeat(2));
    let chat = format!("token: {}-1234567890-abcdefghijklmnopqrstuvwx\n", ["xo", "xb"].concat());
    let private = format!("-----BEGIN {} KEY-----\nMIIEvQ\n", ["RSA PRIV", "ATE"].concat());
    [("cloud.env", cloud), ("chat.yaml", chat), ("server.pem", private)]
}
