//! `cargo xtask dist`.

use xshell::{Shell, cmd};

use crate::failure::Result;
use crate::metadata::Metadata;

/// Builds what is shipped: the release binaries, shell completions and man pages
///
/// Writes target/dist: bin/, completions for bash, zsh and fish under the names that these shells look for, man/*.1, load/ and LICENSE.
/// Some minutes the first time. What was there before is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Packages and the program that each makes.
pub(crate) const PROGRAMS: [(&str, &str); 3] = [
    ("spillway-gateway", "spillway"),
    ("spillway-loadgen-cli", "spillway-loadgen"),
    ("spillway-rollout-controller", "spillway-rollout"),
];

pub(crate) fn run(sh: &Shell, Args {}: Args) -> Result<()> {
    let target = Metadata::target_directory(sh)?;
    let dist = target.join("dist");
    sh.remove_path(&dist)?;
    let (bin, man, load) =
        (sh.create_dir(dist.join("bin"))?, sh.create_dir(dist.join("man"))?, sh.create_dir(dist.join("load"))?);
    for (package, name) in PROGRAMS {
        cmd!(sh, "cargo build --release --package {package} --bin {name}").run()?;
        let program = target.join("release").join(name);
        sh.copy_file(&program, bin.join(name))?;
        // Each shell looks for completions under a name of its own.
        for (shell, file) in [("bash", name.to_owned()), ("zsh", format!("_{name}")), ("fish", format!("{name}.fish"))]
        {
            let script = cmd!(sh, "{program} completions {shell}").quiet().read()?;
            sh.write_file(dist.join("completions").join(shell).join(file), format!("{script}\n"))?;
        }
        cmd!(sh, "{program} man {man}").quiet().run()?;
    }
    for file in sh.read_dir("infra/load")? {
        sh.copy_file(file, &load)?;
    }
    sh.copy_file("LICENSE", dist.join("LICENSE"))?;
    println!("{}", dist.display());
    Ok(())
}
