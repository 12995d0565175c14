//! `diff` and `apply`: manifests and the cluster of KUBECONFIG.

mod client;
mod difference;
mod ready;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use serde::Serialize;
use spillway_report::terminal::{BAD, DIM, GOOD, WARNING, paint};

use super::kustomize::Kustomize;
use super::object::{self, Object};
use super::{Output, print};
use crate::Failure;
use client::{Cluster, Refusal};
use difference::Change;

/// What the person who applies wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    pub(super) yes: bool,
    pub(super) force: bool,
    /// Zero does not wait.
    pub(super) patience: Duration,
    pub(super) output: Output,
}

/// One object, and what happens to it.
#[derive(Debug, Serialize)]
struct Line {
    object: String,
    namespace: Option<String>,
    change: Change,
    #[serde(skip_serializing_if = "String::is_empty")]
    diff: String,
}

/// Whether anything in the cluster is not as the overlay says; prints what.
///
/// # Errors
/// When the cluster cannot be asked, or refuses a manifest.
pub(super) fn diff(kustomize: &Kustomize, overlay: &str, output: Output) -> Result<bool, Failure> {
    let objects = object::parse(&kustomize.render(&kustomize.overlay(overlay)?)?)?;
    runtime()?.block_on(async {
        let cluster = Cluster::connect().await?;
        let mut lines = Vec::new();
        for object in &objects {
            let (change, diff) = compare(&cluster, object, &objects).await?;
            lines.push(Line { object: object.title(), namespace: object.namespace().map(str::to_owned), change, diff });
        }
        let differs = lines.iter().any(|line| matches!(line.change, Change::Created | Change::Changed));
        match output {
            Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&lines)?)),
            Output::Text => {
                lines.iter().for_each(|line| print(&difference::painted(&line.diff)));
                print(&summary(&lines, cluster.url()));
            }
        }
        Ok(differs)
    })
}

/// Applies the overlay's objects in kustomize's order, and waits.
///
/// # Errors
/// When the person says no, the cluster refuses a manifest, or something is not ready in time.
pub(super) fn apply(kustomize: &Kustomize, overlay: &str, wishes: Wishes) -> Result<(), Failure> {
    let objects = object::parse(&kustomize.render(&kustomize.overlay(overlay)?)?)?;
    runtime()?.block_on(async {
        let cluster = Cluster::connect().await?;
        if !wishes.yes && !is_staging(&objects) {
            ask(overlay, objects.len(), cluster.url())?;
        }
        let mut lines = Vec::new();
        for object in &objects {
            let before = cluster.get(object).await.unwrap_or_default();
            let change = match cluster.apply(object, false, wishes.force).await {
                Ok(after) => Change::of(before.as_ref(), &after),
                Err(Refusal::Rollout) => Change::Rollout,
                Err(refusal) => return Err(refusal.of(object)),
            };
            if wishes.output == Output::Text {
                let why = if change == Change::Rollout { ", whose weights a rollout moves" } else { "" };
                print(&format!("{} {}{why}\n", change.painted(), object.title()));
            }
            let namespace = object.namespace().map(str::to_owned);
            lines.push(Line { object: object.title(), namespace, change, diff: String::new() });
            if object.kind() == "CustomResourceDefinition" {
                ready::wait(&cluster, &[object], client::DEFINITION_PATIENCE).await?;
            }
        }
        if wishes.output == Output::Json {
            print(&format!("{}\n", serde_json::to_string_pretty(&lines)?));
        }
        let waited: Vec<_> = objects.iter().filter(|object| ready::is_waited_for(object)).collect();
        if !wishes.patience.is_zero() && !waited.is_empty() {
            ready::wait(&cluster, &waited, wishes.patience).await?;
            if wishes.output == Output::Text {
                print(&format!("{} {} ready\n", paint(GOOD, "✓"), counted(waited.len(), "object is", "objects are")));
            }
        }
        Ok(())
    })
}

async fn compare(cluster: &Cluster, object: &Object, all: &[Object]) -> Result<(Change, String), Failure> {
    let whole = |object: &Object| {
        Ok::<_, Failure>((Change::Created, difference::unified(&object.title(), None, Some(object.value()))?))
    };
    let before = match cluster.get(object).await {
        Ok(before) => before,
        // Its definition comes with it.
        Err(Refusal::NoKind) if all.iter().any(|other| defines(other, object)) => return whole(object),
        Err(refusal) => return Err(refusal.of(object)),
    };
    let after = match cluster.apply(object, true, false).await {
        Ok(after) => after,
        Err(Refusal::Rollout) => return Ok((Change::Rollout, String::new())),
        // What it would be if it were taken over.
        Err(Refusal::Conflict(_)) => cluster.apply(object, true, true).await.map_err(|refusal| refusal.of(object))?,
        // Its namespace comes with it.
        Err(Refusal::NoNamespace) if all.iter().any(|other| other.kind() == "Namespace") => return whole(object),
        Err(refusal) => return Err(refusal.of(object)),
    };
    let change = Change::of(before.as_ref(), &after);
    Ok((change, difference::unified(&object.title(), before.as_ref(), Some(&after))?))
}

fn defines(definition: &Object, object: &Object) -> bool {
    let spec = &definition.value()["spec"];
    definition.kind() == "CustomResourceDefinition"
        && spec["names"]["kind"] == object.kind()
        && spec["group"] == object.group()
}

/// Whether all of it is in namespaces of a staging.
fn is_staging(objects: &[Object]) -> bool {
    let name = |object: &Object| match object.kind() {
        "Namespace" => object.name().to_owned(),
        _ => object.namespace().unwrap_or_default().to_owned(),
    };
    objects.iter().all(|object| name(object).ends_with("-staging"))
}

fn ask(overlay: &str, n_objects: usize, url: &str) -> Result<(), Failure> {
    let what = format!("{} of {overlay} to {url}", counted(n_objects, "object", "objects"));
    if !std::io::stdin().is_terminal() {
        return Err(format!("this applies {what}: nobody is there to ask, so give --yes").into());
    }
    print(&format!(
        "{} This applies {what}. See what changes with `diff`. Go on? Type {overlay}: ",
        paint(WARNING, "!")
    ));
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == overlay { Ok(()) } else { Err("nothing was applied".into()) }
}

fn summary(lines: &[Line], url: &str) -> String {
    let count = |change| lines.iter().filter(|line| line.change == change).count();
    let (created, changed) = (count(Change::Created), count(Change::Changed));
    if created + changed == 0 {
        return format!("{} {url} is as the overlay says\n", paint(GOOD, "✓"));
    }
    let (same, of) = (lines.len() - created - changed, paint(DIM, url));
    format!("{} {created} would be created, {changed} changed, {same} stay as they are in {of}\n", paint(BAD, "≠"))
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
