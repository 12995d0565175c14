//! `validate`: everything that is wrong, with its place.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::kustomize::{Kustomize, Overlay};
use super::object::{self, Object, Path as FieldPath};
use super::schema::{Finding, Schemas};
use super::source::Sources;
use super::{Output, Place, builtin, print, rules, settings};
use crate::Failure;

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// File and line, or the overlay's folder.
    place: String,
    /// Kind and name; none where kustomize cannot even render.
    object: Option<String>,
    /// The field.
    field: Option<String>,
    message: String,
    /// Where it was seen.
    overlays: Vec<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(object) = &self.object {
            write!(f, ": {object}")?;
        }
        if let Some(field) = self.field.as_ref().filter(|field| !field.is_empty()) {
            write!(f, ", {field}")?;
        }
        write!(f, ": {} ({})", self.message, self.overlays.join(", "))
    }
}

/// Checks one overlay, or all.
///
/// # Errors
/// When a tool is missing; what is wrong in manifests is the answer.
pub(super) fn run(
    kustomize: &Kustomize,
    place: &Place,
    overlay: Option<&str>,
    version: &str,
) -> Result<Checked, Failure> {
    let overlays = match overlay {
        Some(name) => vec![kustomize.overlay(name)?],
        None => kustomize.overlays()?,
    };
    let gateway = place.gateway.as_deref().ok_or("validate needs the gateway's program: give --gateway FILE")?;
    let checks = Checks {
        schemas: Schemas::read(kustomize.infra())?,
        metrics: spillway_monitoring::metrics::known(&[place.metrics.as_path()])?,
        tools: &place.tools,
        gateway,
        version,
    };
    let mut checked = Checked { overlays: overlays.len(), objects: 0, problems: Vec::new() };
    for overlay in &overlays {
        checked.add(kustomize, overlay, &checks)?;
    }
    Ok(checked)
}

/// What manifests are held to.
struct Checks<'a> {
    schemas: Schemas,
    metrics: std::collections::BTreeSet<String>,
    tools: &'a Path,
    gateway: &'a Path,
    version: &'a str,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    overlays: usize,
    objects: usize,
    problems: Vec<Problem>,
}

impl Checked {
    fn add(&mut self, kustomize: &Kustomize, overlay: &Overlay, checks: &Checks<'_>) -> Result<(), Failure> {
        let rendered = kustomize.render(overlay).and_then(|text| object::parse(&text));
        let objects = match rendered {
            Ok(objects) => objects,
            Err(error) => {
                let place = overlay.folder.display().to_string();
                let message = error.to_string().trim_start_matches(&format!("{place}: ")).to_owned();
                self.note(overlay, Problem { place, object: None, field: None, message, overlays: Vec::new() });
                return Ok(());
            }
        };
        self.objects += objects.len();
        let sources = Sources::of(&overlay.folder);
        for (object, finding) in checks.findings(&objects)? {
            let place = sources.place(object, &finding.path);
            let problem = Problem {
                place: place.unwrap_or_else(|| overlay.folder.display().to_string()),
                object: Some(object.title()),
                field: Some(FieldPath(&finding.path).to_string()),
                message: finding.message,
                overlays: Vec::new(),
            };
            self.note(overlay, problem);
        }
        Ok(())
    }

    /// The same problem in several overlays is one.
    fn note(&mut self, overlay: &Overlay, problem: Problem) {
        let same = |other: &&mut Problem| {
            (&other.place, &other.field, &other.message) == (&problem.place, &problem.field, &problem.message)
        };
        match self.problems.iter_mut().find(same) {
            Some(known) if known.overlays.contains(&overlay.name) => {}
            Some(known) => known.overlays.push(overlay.name.clone()),
            None => self.problems.push(Problem { overlays: vec![overlay.name.clone()], ..problem }),
        }
    }
}

impl Checks<'_> {
    fn findings<'o>(&self, objects: &'o [Object]) -> Result<Vec<(&'o Object, Finding)>, Failure> {
        let mut findings = Vec::new();
        let mut builtin = Vec::new();
        for object in objects {
            match self.schemas.check(object) {
                Some(found) => findings.extend(found.into_iter().map(|finding| (object, finding))),
                None => builtin.push(object),
            }
        }
        let found = builtin::check(self.tools, self.version, &builtin)?;
        findings.extend(found.into_iter().filter_map(|(number, finding)| Some((*builtin.get(number)?, finding))));
        findings.extend(rules::check(objects, &self.metrics));
        findings.extend(settings::check(self.gateway, objects)?);
        Ok(findings)
    }
}

/// Prints what is wrong; the exit code says whether anything is.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn show(checked: &Checked, output: Output) -> Result<ExitCode, Failure> {
    let is_good = checked.problems.is_empty();
    if output == Output::Json {
        print(&format!("{}\n", serde_json::to_string_pretty(checked)?));
    } else {
        for problem in &checked.problems {
            anstream::eprintln!("{problem}");
        }
        let Checked { overlays, objects, problems } = checked;
        if is_good {
            print(&format!("{objects} objects of {overlays} overlays are valid\n"));
        } else {
            anstream::eprintln!("\n{} problems in {objects} objects of {overlays} overlays", problems.len());
        }
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
