//! `cargo xtask fuzz`.

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::setup::{self, FUZZ, NIGHTLY};

/// Fuzzes each target for a while, beginning with its seeds
///
/// Needs a nightly toolchain; installs cargo-fuzz when it is missing. Targets are fuzz/fuzz_targets/*.rs, seeds fuzz/seeds/TARGET. What is
/// learnt stays in fuzz/corpus (not committed); an input that crashes is written to fuzz/artifacts/TARGET and ends the run with an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,

    /// Only this target
    target: Option<String>,
}

pub(crate) fn run(sh: &Shell, Args { seconds, target }: Args) -> Result<()> {
    let targets = match target {
        Some(target) => vec![target],
        None => targets(sh)?,
    };
    setup::ensure(sh, &[&NIGHTLY, &FUZZ])?;
    let root = sh.current_dir();
    let limit = format!("-max_total_time={seconds}");
    for target in &targets {
        let corpus = sh.create_dir(root.join("fuzz/corpus").join(target))?;
        let seeds = Some(root.join("fuzz/seeds").join(target)).filter(|seeds| seeds.is_dir());
        cmd!(sh, "cargo +nightly fuzz run {target} {corpus} {seeds...} -- {limit} -print_final_stats=1").run()?;
    }
    println!("{} targets, {seconds} s each, no crash", targets.len());
    Ok(())
}

/// Names of the fuzz targets, sorted.
fn targets(sh: &Shell) -> Result<Vec<String>> {
    let files = sh.read_dir("fuzz/fuzz_targets").unwrap_or_default();
    let sources = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let names: Vec<String> = sources.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    if names.is_empty() { Err(Failure::new("there is no target in fuzz/fuzz_targets")) } else { Ok(names) }
}
