//! The command line.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::promql::{self, Query};
use crate::slo::{self, Problem, promtool, rules};
use crate::{alerts, dashboards, metrics, runbooks, status};

/// Objectives, rules, alerts and dashboards as files.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask slo", bin_name = "cargo xtask slo")]
struct Arguments {
    /// The folder with everything that is deployed
    #[arg(long, default_value = "infra", value_name = "FOLDER")]
    infra: PathBuf,
    /// The folder with the pages of alerts, in alerts/, and the lists of metrics
    #[arg(long, default_value = "runbooks", value_name = "FOLDER")]
    runbooks: PathBuf,
    /// The folder with the dashboards
    #[arg(long, default_value = "dashboards", value_name = "FOLDER")]
    dashboards: PathBuf,
    #[command(subcommand)]
    command: SloCommand,
}

#[derive(Debug, Subcommand)]
enum SloCommand {
    /// Writes the rules, and the tests of the rules, that follow from infra/slo, and the dashboards
    Generate,
    /// Checks objectives, generated files, names of metrics, alerts, routing and runbooks with their links, and runs the rules' unit tests
    Check,
    /// Shows how each objective stands, asked from a Prometheus that has the rules
    Status {
        /// Where Prometheus answers
        #[arg(long, env = "PROMETHEUS_URL", default_value = "http://127.0.0.1:9090", value_name = "URL")]
        prometheus: String,
        /// A table for people, or JSON
        #[arg(long, default_value = "table", value_name = "FORMAT")]
        output: status::Output,
    },
}

/// The service whose metrics are ours.
const OURS: &str = "spillway";
const GENERATED: &str = "# Generated from infra/slo by `cargo xtask slo generate`. Change the objectives instead.\n";

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        SloCommand::Generate => generate(&arguments),
        SloCommand::Check => check(&arguments),
        SloCommand::Status { prometheus, output } => status::show(&arguments.infra.join("slo"), prometheus, *output),
    };
    match outcome {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The generated files with their content.
fn generated(arguments: &Arguments, slos: &[slo::Slo]) -> Result<Vec<(PathBuf, String)>, Vec<Problem>> {
    let (rule_folder, test_folder) = generated_folders(&arguments.infra);
    let mut files = vec![(rule_folder.join("alerts.yml"), yaml(&rules::alerting(slos))?)];
    for slo in slos {
        let file = format!("{}.yml", slo.name);
        let rule_files = vec![format!("../../rules/slo/{file}"), "../../rules/slo/alerts.yml".to_owned()];
        files.push((test_folder.join(&file), yaml(&promtool::generate(slo, rule_files))?));
        files.push((rule_folder.join(file), yaml(&rules::recording(slo))?));
    }
    for dashboard in dashboards::shipped() {
        let file = arguments.dashboards.join(format!("{}.json", dashboard.uid));
        files.push((file, format!("{:#}\n", dashboards::json(&dashboard))));
    }
    Ok(files)
}

/// Of rules and of tests.
fn generated_folders(infra: &Path) -> (PathBuf, PathBuf) {
    (infra.join("prometheus/rules/slo"), infra.join("prometheus/tests/slo"))
}

fn yaml(content: &impl Serialize) -> Result<String, Vec<Problem>> {
    let text = serde_saphyr::to_string(content)
        .map_err(|error| vec![Problem::of_file(Path::new("rules"), format!("they cannot be written: {error}"))])?;
    Ok(format!("{GENERATED}{text}"))
}

fn generate(arguments: &Arguments) -> Result<String, Vec<Problem>> {
    let files = generated(arguments, &slo::read_folder(&arguments.infra.join("slo"))?)?;
    let failed =
        |file: &Path, error: std::io::Error| vec![Problem::of_file(file, format!("it cannot be written: {error}"))];
    for stray in strays(arguments, &files) {
        std::fs::remove_file(&stray).map_err(|error| failed(&stray, error))?;
    }
    for (file, content) in &files {
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(file, content))
            .map_err(|error| failed(file, error))?;
    }
    Ok(format!("{} files are written\n", files.len()))
}

/// Generated files whose objective is gone.
fn strays(arguments: &Arguments, files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let (rules, tests) = generated_folders(&arguments.infra);
    let there = [yaml_files(&rules), yaml_files(&tests), files_in(&arguments.dashboards, "json")].concat();
    there.into_iter().filter(|file| !files.iter().any(|(generated, _)| generated == file)).collect()
}

fn check(arguments: &Arguments) -> Result<String, Vec<Problem>> {
    let slos = slo::read_folder(&arguments.infra.join("slo"))?;
    let mut problems = check_objectives(arguments, &slos);
    let generated = generated(arguments, &slos)?;
    for stray in strays(arguments, &generated) {
        problems.push(Problem::of_file(&stray, "what it is generated from is gone: run `cargo xtask slo generate`"));
    }
    for (file, content) in generated {
        let present = std::fs::read_to_string(&file).unwrap_or_default();
        if present != content {
            let text = "it is not what it is generated from: run `cargo xtask slo generate`".to_owned();
            problems.push(Problem { line: first_difference(&present, &content), file, text });
        }
    }
    let prometheus = arguments.infra.join("prometheus");
    let files = [yaml_files(&prometheus.join("rules")), yaml_files(&prometheus.join("rules/slo"))].concat();
    let mut read = Vec::new();
    for file in &files {
        match alerts::read(file) {
            Ok(rules) => read.push((file.clone(), rules)),
            Err(problem) => problems.push(problem),
        }
    }
    let own = alerts::of_the_gateway(&arguments.runbooks.join("metrics.md"));
    problems.extend(alerts::check(&read, &arguments.runbooks.join("alerts"), &own));
    problems.extend(check_names(arguments, &read));
    problems.extend(runbooks::check(&arguments.runbooks, &arguments.infra));
    if !problems.is_empty() {
        return Err(problems);
    }
    let tests = [yaml_files(&prometheus.join("tests")), yaml_files(&prometheus.join("tests/slo"))].concat();
    tool("promtool", &["check", "rules"], &files)?;
    tool("promtool", &["test", "rules"], &tests)?;
    tool("promtool", &["check", "config", "--syntax-only"], &[prometheus.join("prometheus.yml")])?;
    tool("amtool", &["check-config"], &[arguments.infra.join("alertmanager/alertmanager.yml")])?;
    Ok(format!("{} files of rules and {} of tests are right\n", files.len(), tests.len()))
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    files_in(folder, "yml")
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    files.sort();
    files
}

/// Queries of objectives can be asked, and those of our own ask for metrics that exist. Those of the sample platform are for others to fill.
fn check_objectives(arguments: &Arguments, slos: &[slo::Slo]) -> Vec<Problem> {
    let queries: Vec<Query> = slos.iter().flat_map(|slo| slo.queries.clone()).collect();
    let mut problems = promql::syntax(&queries);
    let ours = slos.iter().filter(|slo| slo.service == OURS).flat_map(|slo| slo.queries.clone()).collect::<Vec<_>>();
    match metrics::known_in(&arguments.runbooks) {
        Ok(known) => problems.extend(promql::unknown_names(&ours, &known)),
        Err(problem) => problems.push(problem),
    }
    problems
}

/// The first line in which two texts differ, from 1.
fn first_difference(present: &str, expected: &str) -> u64 {
    (1..).zip(expected.lines().zip(present.lines())).find(|(_, (a, b))| a != b).map_or(1, |(n, _)| n)
}

/// Queries of alerts and dashboards ask for metrics that exist.
fn check_names(arguments: &Arguments, rules: &[(PathBuf, rules::RuleFile)]) -> Vec<Problem> {
    let known = match metrics::known_in(&arguments.runbooks) {
        Ok(known) => known,
        Err(problem) => return vec![problem],
    };
    let advice = "the lists of metrics in runbooks have no such name: mend the query";
    let mut problems = Vec::new();
    for (file, rules) in rules {
        let alerts = rules.groups.iter().flat_map(|group| &group.rules);
        for (alert, expr) in alerts.filter_map(|rule| Some((rule.alert.as_ref()?, &rule.expr))) {
            let line = alerts::line_of(file, alert);
            for name in metrics::unknown(expr, &known) {
                let text = format!("the alert {alert} asks for {name}; {advice}");
                problems.push(Problem { file: file.clone(), line, text });
            }
        }
    }
    for dashboard in dashboards::shipped() {
        let file = arguments.dashboards.join(format!("{}.json", dashboard.uid));
        for (panel, expr) in dashboard.queries() {
            for name in metrics::unknown(expr, &known) {
                let text = format!("the panel {panel:?} asks for {name}; {advice}");
                problems.push(Problem { line: line_with(&file, expr), file: file.clone(), text });
            }
        }
    }
    problems
}

/// The line of a dashboard with this query, from 1; 0 when it has none.
fn line_with(file: &Path, expr: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let query = serde_json::Value::from(expr).to_string();
    (1..).zip(text.lines()).find(|(_, line)| line.contains(&query)).map_or(0, |(n, _)| n)
}

/// Runs one of Prometheus' own tools; what it says when it refuses is the problem.
fn tool(program: &str, arguments: &[&str], files: &[PathBuf]) -> Result<(), Vec<Problem>> {
    let about = files.first().map_or(Path::new("."), PathBuf::as_path);
    let output = Command::new(program).args(arguments).args(files).output().map_err(|error| {
        let text = format!("{program} cannot be run ({error}): `cargo xtask setup` installs it");
        vec![Problem::of_file(about, text)]
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let text = format!("{program} {} refuses it:\n{}", arguments.join(" "), String::from_utf8_lossy(&said).trim());
    Err(vec![Problem::of_file(about, text)])
}

#[cfg(test)]
mod tests;
