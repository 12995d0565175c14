//! Where a rollout is found: in the directory of a controller on this host, or in a cluster.

use std::path::{Path, PathBuf};

use clap::Args;
use spillway_report::text::plain;
use spillway_rollout::observed::Command;

use super::Failure;
use super::file::PlanFile;
use crate::code::Code;
use crate::memory::{MemoryError, StateDirectory};
use crate::people::{Series, View};

/// Where `run` keeps its states, each in a directory of its own.
pub(super) const STATES: &str = "rollout-state";

/// The plan in a state directory, as it was written.
pub(super) const PLAN: &str = "plan.yaml";

/// How it stood over time.
pub(super) const SERIES: &str = "series.json";

#[derive(Debug, Clone, Args)]
pub(super) struct SourceArgs {
    /// The directory of a rollout on this host [default: ./rollout-state/NAME]
    #[arg(long, value_name = "DIR", conflicts_with = "namespace")]
    state_dir: Option<PathBuf>,
    /// The namespace of a rollout in the cluster of the current kubeconfig
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// A rollout that can be asked and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Directory(PathBuf),
    Cluster { namespace: String, name: String },
}

impl SourceArgs {
    /// The rollout of this name; without a name the only one there is.
    pub(super) fn find(&self, name: Option<&str>) -> Result<Source, Failure> {
        self.find_in(name, Path::new(STATES))
    }

    fn find_in(&self, name: Option<&str>, states: &Path) -> Result<Source, Failure> {
        if let Some(namespace) = &self.namespace {
            let name = name.ok_or_else(|| Failure::argument("name the rollout: `kubectl get rollouts` lists them"))?;
            return Ok(Source::Cluster { namespace: namespace.clone(), name: name.to_owned() });
        }
        if let Some(directory) = &self.state_dir {
            return Ok(Source::Directory(directory.clone()));
        }
        let elsewhere =
            "give --state-dir DIR for a rollout on this host, or --namespace NAMESPACE for one in a cluster";
        let here = states.display();
        let known = names(states);
        match (name, known.as_slice()) {
            (Some(name), _) if known.iter().any(|one| one == name) => Ok(Source::Directory(states.join(name))),
            (Some(name), _) => {
                let name = plain(name, 63);
                Err(Failure::new(Code::Unknown, format!("there is no rollout {name} in ./{here}: {elsewhere}")))
            }
            (None, [one]) => Ok(Source::Directory(states.join(one))),
            (None, []) => Err(Failure::new(Code::Unknown, format!("there is no rollout in ./{here}: {elsewhere}"))),
            (None, several) => Err(Failure::argument(format!("name one of the rollouts: {}", several.join(", ")))),
        }
    }
}

/// Rollouts that have a directory.
fn names(states: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(states).into_iter().flatten().flatten().take(1_000);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join(PLAN).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

impl Source {
    /// How it stands, the plan as it was written, and how it stood over time.
    pub(super) async fn read(&self) -> Result<(View, String, Series), Failure> {
        match self {
            Self::Directory(directory) => directory_view(directory),
            Self::Cluster { namespace, name } => super::controller::read(namespace, name).await,
        }
    }

    /// How it stands.
    pub(super) async fn view(&self) -> Result<View, Failure> {
        self.read().await.map(|(view, _, _)| view)
    }

    /// Tells it something.
    pub(super) async fn give(&self, command: &Command) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => StateDirectory::give(directory, command).map_err(failure),
            Self::Cluster { namespace, name } => super::controller::give(namespace, name, command).await,
        }
    }

    /// What is missing when nobody carries commands out.
    pub(super) fn absent(&self) -> Option<String> {
        match self {
            Self::Directory(directory) if StateDirectory::controller(directory).is_none() => {
                Some(format!("no controller works in {}: `spillway-rollout run` goes on there", directory.display()))
            }
            _ => None,
        }
    }
}

fn directory_view(directory: &Path) -> Result<(View, String, Series), Failure> {
    let status = StateDirectory::read_status(directory).map_err(failure)?;
    let file = PlanFile::read(&directory.join(PLAN))?;
    let mut view = View::new(&file.plan, &status.state, status.at).seen(&status.observed);
    view.troubles.extend(status.trouble.filter(|trouble| !status.observed.troubles.contains(trouble)));
    if let Some(absent) = Source::Directory(directory.to_owned()).absent().filter(|_| view.is_under_way()) {
        view.troubles.push(absent);
    }
    Ok((view, file.text, read_series(directory)))
}

/// How it stood over time; empty when that is not known.
pub(super) fn read_series(directory: &Path) -> Series {
    let text = std::fs::read(directory.join(SERIES)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What a state directory answered.
pub(super) fn failure(error: MemoryError) -> Failure {
    let code = match &error {
        MemoryError::Nothing { .. } => Code::Unknown,
        MemoryError::CommandInvalid { .. } => Code::ArgumentInvalid,
        MemoryError::Taken { .. } => Code::StateTaken,
        MemoryError::Damaged { .. } | MemoryError::Newer { .. } => Code::StateDamaged,
        MemoryError::Unusable { .. } | MemoryError::InboxFull { .. } => Code::StateUnusable,
    };
    Failure::new(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_found_by_name_or_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = SourceArgs { state_dir: None, namespace: None };
        let find = |name: Option<&str>| arguments.find_in(name, folder.path()).map_err(|failure| failure.message);
        assert!(find(None).expect_err("none").contains("--state-dir DIR"));
        let add = |name: &str| {
            std::fs::create_dir(folder.path().join(name)).expect("a directory");
            std::fs::write(folder.path().join(name).join(PLAN), "").expect("a plan");
        };
        add("checkout");
        assert_eq!(find(None), Ok(Source::Directory(folder.path().join("checkout"))));
        add("search");
        assert_eq!(find(Some("search")), Ok(Source::Directory(folder.path().join("search"))));
        assert_eq!(find(None), Err("name one of the rollouts: checkout, search".to_owned()));
        assert!(find(Some("../etc")).expect_err("not there").starts_with("there is no rollout ../etc"));
        let cluster = SourceArgs { namespace: Some("shop".to_owned()), ..arguments.clone() };
        assert!(cluster.find_in(None, folder.path()).is_err());
        assert_eq!(
            cluster.find_in(Some("checkout"), folder.path()).expect("found"),
            Source::Cluster { namespace: "shop".to_owned(), name: "checkout".to_owned() }
        );
    }
}
