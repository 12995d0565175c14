//! `cargo xtask dist`.

use xshell::{Shell, cmd};

use crate::failure::Result;
use crate::metadata::Metadata;

/// Builds what is shipped: the release binary, shell completions and man pages
///
/// Writes target/dist: bin/spillway, completions for bash, zsh and fish under the names that these shells look for, man/*.1 and LICENSE.
/// Some minutes the first time. What was there before is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shells, and the file name under which each looks for completions of `spillway`.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "spillway"), ("zsh", "_spillway"), ("fish", "spillway.fish")];

pub(crate) fn run(sh: &Shell, Args {}: Args) -> Result<()> {
    cmd!(sh, "cargo build --release --package spillway-gateway --bin spillway").run()?;
    let target = Metadata::target_directory(sh)?;
    let spillway = target.join("release/spillway");
    let dist = target.join("dist");
    sh.remove_path(&dist)?;
    let (bin, man) = (sh.create_dir(dist.join("bin"))?, sh.create_dir(dist.join("man"))?);
    sh.copy_file(&spillway, bin.join("spillway"))?;
    sh.copy_file("LICENSE", dist.join("LICENSE"))?;
    for (shell, file) in COMPLETIONS {
        let script = cmd!(sh, "{spillway} completions {shell}").quiet().read()?;
        sh.write_file(dist.join("completions").join(shell).join(file), format!("{script}\n"))?;
    }
    cmd!(sh, "{spillway} man {man}").quiet().run()?;
    println!("{}", dist.display());
    Ok(())
}
