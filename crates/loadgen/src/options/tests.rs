mod errors;
mod files;
mod k6;
mod meaning;
mod scaling;

use super::*;

/// The plan of a TOML file without flows; each scenario runs `default`, unless it says otherwise.
fn plan(toml: &str) -> Result<Plan, ConfigurationError> {
    plan_with(toml, &Overrides::default())
}

fn plan_with(toml: &str, overrides: &Overrides) -> Result<Plan, ConfigurationError> {
    Options::parse(toml, Format::Toml, "test.toml")?.plan(overrides, &["default", "other"])
}

/// What is said about a file that cannot be run.
fn refused(text: &str, format: Format, name: &str) -> String {
    let read = Options::parse(text, format, name)
        .and_then(|options| options.plan(&Overrides::default(), &["default", "other"]));
    read.err().unwrap_or_else(|| panic!("accepted:\n{text}")).to_string()
}
