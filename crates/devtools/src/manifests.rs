//! `cargo xtask manifests`: what is deployed to Kubernetes, rendered, checked, compared with a cluster and applied to it.
//!
//! Rendering is kustomize's own: the `kubectl` of the Python registry, in a fixed version, so `kubectl kustomize FOLDER` gives the same.

mod builtin;
mod cluster;
mod kustomize;
mod object;
mod rules;
mod schema;
mod settings;
mod source;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::Failure;
use kustomize::Kustomize;

/// Exit code of `diff` when the cluster differs, as diff(1) has it.
const DIFFERS: u8 = 1;
/// Exit code of `diff` when it could not be found out.
const UNKNOWN: u8 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct ManifestsArgs {
    #[command(subcommand)]
    command: ManifestsCommand,
    #[command(flatten)]
    place: Place,
}

/// Where everything is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The folder with everything that is deployed
    #[arg(long, global = true, default_value = "infra", value_name = "FOLDER")]
    infra: PathBuf,
    /// The list of metrics that queries may use
    #[arg(long, global = true, default_value = "runbooks/metrics.md", value_name = "FILE", hide = true)]
    metrics: PathBuf,
    /// The folder with `kubectl` and the Python that has kubernetes-validate
    #[arg(long, global = true, default_value = "target/tools/python/bin", value_name = "FOLDER", hide = true)]
    tools: PathBuf,
    /// The gateway's program, whose check-config reads the settings
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    gateway: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ManifestsCommand {
    /// Prints what kustomize makes of an overlay; without one it lists them
    Render {
        /// Overlay or sample
        #[arg(long, value_name = "NAME")]
        overlay: Option<String>,
        /// Writes a file for each object into this folder instead
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// YAML for people and clusters, or JSON
        #[arg(long, default_value = "yaml", value_name = "FORMAT")]
        output: RenderOutput,
    },
    /// Holds manifests to the schemas of their kinds and to our rules; the exit code is 1 when something is wrong
    Validate {
        /// Overlay or sample; without it all of them
        #[arg(long, value_name = "NAME")]
        overlay: Option<String>,
        /// Version of Kubernetes whose schemas count
        #[arg(long, default_value = "1.37", value_name = "VERSION")]
        kubernetes: String,
        /// Lines for people, or JSON
        #[arg(long, default_value = "text", value_name = "FORMAT")]
        output: Output,
    },
    /// Shows what `apply` would change in the cluster of KUBECONFIG; the exit code is 0 for nothing, 1 for something, 2 for no answer
    Diff {
        /// Overlay or sample
        #[arg(long, value_name = "NAME")]
        overlay: String,
        /// Lines for people, or JSON
        #[arg(long, default_value = "text", value_name = "FORMAT")]
        output: Output,
    },
    /// Applies an overlay to the cluster of KUBECONFIG and waits until it runs
    ///
    /// By server-side apply as `spillway-manifests`. Asks before anything but staging is changed.
    Apply {
        /// Overlay or sample
        #[arg(long, value_name = "NAME")]
        overlay: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
        /// Takes fields over that somebody else has set
        #[arg(long)]
        force_conflicts: bool,
        /// Longest wait until Deployments and Jobs are ready, in seconds; 0 does not wait
        #[arg(long, default_value_t = 600, value_name = "SECONDS")]
        timeout: u64,
        /// Lines for people, or JSON
        #[arg(long, default_value = "text", value_name = "FORMAT")]
        output: Output,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RenderOutput {
    Yaml,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) fn run(ManifestsArgs { command, place }: &ManifestsArgs) -> Result<ExitCode, Failure> {
    let kustomize = Kustomize::new(&place.infra, &place.tools)?;
    match command {
        ManifestsCommand::Render { overlay: None, .. } => list(&kustomize),
        ManifestsCommand::Render { overlay: Some(overlay), to, output } => {
            render(&kustomize, overlay, to.as_deref(), *output)
        }
        ManifestsCommand::Validate { overlay, kubernetes, output } => {
            let checked = validate::run(&kustomize, place, overlay.as_deref(), kubernetes)?;
            validate::show(&checked, *output)
        }
        ManifestsCommand::Diff { overlay, output } => cluster::diff(&kustomize, overlay, *output)
            .map(|differs| if differs { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS })
            .or_else(|error| {
                anstream::eprintln!("error: {error}");
                Ok(ExitCode::from(UNKNOWN))
            }),
        ManifestsCommand::Apply { overlay, yes, force_conflicts, timeout, output } => {
            let wishes = cluster::Wishes {
                yes: *yes,
                force: *force_conflicts,
                patience: std::time::Duration::from_secs(*timeout),
                output: *output,
            };
            cluster::apply(&kustomize, overlay, wishes).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn list(kustomize: &Kustomize) -> Result<ExitCode, Failure> {
    let overlays = kustomize.overlays()?;
    let width = overlays.iter().map(|overlay| overlay.name.len()).max().unwrap_or_default();
    for overlay in overlays {
        print(&format!("{:width$}  {}\n", overlay.name, overlay.about));
    }
    print("\nShow one with `cargo xtask manifests render --overlay NAME`.\n");
    Ok(ExitCode::SUCCESS)
}

fn render(
    kustomize: &Kustomize,
    overlay: &str,
    to: Option<&std::path::Path>,
    output: RenderOutput,
) -> Result<ExitCode, Failure> {
    let overlay = kustomize.overlay(overlay)?;
    let text = kustomize.render(&overlay)?;
    if to.is_none() && output == RenderOutput::Yaml {
        print(&text);
        return Ok(ExitCode::SUCCESS);
    }
    let objects = object::parse(&text)?;
    let Some(folder) = to else {
        let values: Vec<_> = objects.iter().map(object::Object::value).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&values)?));
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    for (number, object) in objects.iter().enumerate() {
        let (text, ending) = match output {
            RenderOutput::Yaml => (object.yaml()?, "yaml"),
            RenderOutput::Json => (format!("{}\n", serde_json::to_string_pretty(object.value())?), "json"),
        };
        // Numbered, so that `kubectl apply -f FOLDER` makes namespaces and definitions first.
        let file = folder.join(format!("{number:03}-{}-{}.{ending}", object.kind().to_lowercase(), object.name()));
        std::fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    print(&format!("{} objects of {} are in {}\n", objects.len(), overlay.name, folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output, with colours where they belong. Whoever reads may have gone (`| head`): that is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = anstream::stdout().write_all(text.as_bytes());
}
