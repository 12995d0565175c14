//! The program in a folder of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A plan for one host, with defaults wherever there are any.
pub(crate) const HOST: &str = "\
apiVersion: spillway.dev/v1alpha1
kind: Rollout
metadata:
  name: checkout
spec:
  target:
    host:
      nginx:
        file: /etc/nginx/spillway/checkout.conf
      slots:
        blue: {addresses: ['127.0.0.1:8081']}
        green: {addresses: ['127.0.0.1:8082']}
      candidate:
        revision: v2
";

/// A folder with files, in which the program runs.
pub(crate) struct Folder(TempDir);

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with these arguments, in this folder, with nothing in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-rollout"));
        command.current_dir(self.path()).env_clear().stdin(Stdio::null()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        finish(&mut self.command(arguments))
    }

    /// Runs it off the runtime, on which the test's servers answer.
    pub(crate) async fn run_beside(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || finish(&mut command)).await.expect("the program runs")
    }

    /// Nothing but these files is there.
    pub(crate) fn has_only(&self, names: &[&str]) {
        let entries = std::fs::read_dir(self.path()).expect("the folder");
        let mut found: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        found.sort();
        assert_eq!(found, names);
    }
}

impl Ended {
    /// The standard output of a command that ended well.
    pub(crate) fn text(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// The standard output as JSON, of a command that ended with this code.
    pub(crate) fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// It refused its input, said why with these words, and printed nothing else.
    pub(crate) fn refused(&self, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(64), ""), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word}: {self:#?}");
        }
    }
}

fn finish(command: &mut Command) -> Ended {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
