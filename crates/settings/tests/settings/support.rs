//! Settings from a text, variables and flags, without any global.

use std::path::PathBuf;

use spillway_settings::{Environment, LoadArgs, Loaded, Overrides, Settings, SettingsErrors};
use tempfile::TempDir;

/// Layers under construction. The file lives as long as this value.
pub(crate) struct Layers {
    directory: TempDir,
    args: LoadArgs,
}

/// Layers with this settings file and nothing else.
pub(crate) fn file(text: &str) -> Layers {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("spillway.toml");
    std::fs::write(&path, text).expect("a settings file");
    Layers { directory, args: LoadArgs { config: Some(path), ..LoadArgs::default() } }
}

impl Layers {
    pub(crate) fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.args.environment = variables.iter().copied().collect::<Environment>();
        self
    }

    pub(crate) fn flags(mut self, overrides: Overrides) -> Self {
        self.args.overrides = overrides;
        self
    }

    /// Writes a file beside the settings file.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn load(&self) -> Result<Loaded, SettingsErrors> {
        Settings::load(&self.args)
    }

    pub(crate) fn loaded(&self) -> Loaded {
        self.load().expect("settings")
    }

    pub(crate) fn settings(&self) -> Settings {
        self.loaded().settings
    }

    /// Each problem as `code: text`, with the directory cut out.
    pub(crate) fn problems(&self) -> Vec<String> {
        let errors = self.load().expect_err("problems");
        let directory = format!("{}/", self.directory.path().display());
        errors.to_string().replace(&directory, "").lines().map(str::to_owned).collect()
    }

    /// The only problem.
    pub(crate) fn problem(&self) -> String {
        let mut problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }
}
