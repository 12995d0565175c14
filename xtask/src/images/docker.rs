//! Which `docker` to call: BuildKit is inside the client up to version 22, and a plug-in from 23 on.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

/// The first client on PATH that can build with BuildKit.
pub(super) fn with_buildkit(sh: &Shell) -> Result<PathBuf> {
    let has_buildkit = |docker: &PathBuf| match major_version(sh, docker) {
        Some(major) if major < 23 => true,
        Some(_) => cmd!(sh, "{docker} buildx version").quiet().ignore_stdout().ignore_stderr().run().is_ok(),
        None => false,
    };
    clients(sh).into_iter().find(has_buildkit).ok_or_else(|| {
        Failure::new("no docker on PATH can build with BuildKit: install docker.io (Debian 12), or Docker's own packages with docker-buildx-plugin")
    })
}

pub(super) fn any(sh: &Shell) -> Result<PathBuf> {
    clients(sh)
        .into_iter()
        .find(|docker| major_version(sh, docker).is_some())
        .ok_or_else(|| Failure::new("there is no docker on PATH"))
}

fn clients(sh: &Shell) -> Vec<PathBuf> {
    let path = sh.var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("docker")).filter(|file| file.is_file()).collect()
}

fn major_version(sh: &Shell, docker: &PathBuf) -> Option<u32> {
    major(&cmd!(sh, "{docker} --version").quiet().ignore_stderr().read().ok()?)
}

/// Of `Docker version 20.10.24+dfsg1, build 297e128`.
fn major(printed: &str) -> Option<u32> {
    printed.strip_prefix("Docker version ")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major("Docker version 20.10.24+dfsg1, build 297e128"), Some(20));
        assert_eq!(major("podman version 4.3.1"), None);
    }
}
