//! Packages and sources of Debian, downloaded into a directory without installing anything. Needs no root.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

/// Debian's own keys: what they have not signed is not used.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The release that has the source of a Kubernetes API server.
const SOURCES_FROM: &str = "bookworm";
/// The last release that has a Go as old as that.
const COMPILER_FROM: &str = "bullseye";

/// A list of packages that only this directory knows.
pub(super) struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// Reads the package lists of the mirror that this machine uses into `dir`.
    ///
    /// # Errors
    /// Where apt is not there or knows no mirror of Debian.
    pub(super) fn open(sh: &Shell, dir: &Path) -> Result<Self> {
        let archive = Self { dir: dir.join("apt") };
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(archive.dir.join(folder))?;
        }
        if !Path::new(KEYS).is_file() {
            return Err(Failure::new("it can be built on Debian only"));
        }
        let mirrors = mirrors(&archive.apt_get(sh, &["update", "--print-uris"]).ignore_stderr().read()?);
        for mirror in &mirrors {
            let line = |kind, release| format!("{kind} [signed-by={KEYS}] {mirror} {release} main\n");
            let lines = [line("deb", COMPILER_FROM), line("deb", SOURCES_FROM), line("deb-src", SOURCES_FROM)];
            fs::write(archive.sources(), lines.concat())?;
            if archive.apt_get(sh, &["update", "-qq", "--error-on=any"]).ignore_stderr().run().is_ok() {
                return Ok(archive);
            }
        }
        let mirrors = if mirrors.is_empty() { "none".to_owned() } else { mirrors.join(", ") };
        Err(Failure::new(format!(
            "none of this machine's package sources ({mirrors}) has Debian's {COMPILER_FROM} and {SOURCES_FROM}"
        )))
    }

    /// Unpacks packages, without what they depend on, below `root`.
    pub(super) fn unpack(&self, sh: &Shell, packages: &[&str], root: &Path) -> Result<()> {
        let downloads = self.new_dir("packages")?;
        let arguments = [&["download", "-qq"], packages].concat();
        let _guard = sh.push_dir(&downloads);
        self.apt_get(sh, &arguments).run()?;
        fs::create_dir_all(root)?;
        for package in sh.read_dir(&downloads)? {
            cmd!(sh, "dpkg-deb --extract {package} {root}").quiet().run()?;
        }
        Ok(())
    }

    /// Unpacks the authors' part of a source package into `target`.
    pub(super) fn unpack_source(&self, sh: &Shell, package: &str, target: &Path) -> Result<()> {
        let downloads = self.new_dir("source")?;
        let _guard = sh.push_dir(&downloads);
        self.apt_get(sh, &["source", "-qq", "--download-only", package]).run()?;
        let files = sh.read_dir(&downloads)?;
        let original = files.iter().find(|file| file.to_string_lossy().contains(".orig.tar."));
        let original =
            original.ok_or_else(|| Failure::new(format!("the source package {package} holds no archive")))?;
        cmd!(sh, "tar --extract --file {original} --strip-components 1 --directory {target}").quiet().run()?;
        Ok(())
    }

    fn new_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    fn sources(&self) -> PathBuf {
        self.dir.join("sources.list")
    }

    /// apt-get with its state here. Before the first list is written, it goes by the machine's own.
    fn apt_get<'a>(&self, sh: &'a Shell, arguments: &[&str]) -> xshell::Cmd<'a> {
        let dir = &self.dir;
        let mut command =
            cmd!(sh, "apt-get -o Dir::State={dir} -o Dir::State::lists={dir}/lists -o Dir::Cache={dir}/cache")
                .args(["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "APT::Sandbox::User=root"])
                .args([
                    "-o",
                    "Acquire::Languages=none",
                    "-o",
                    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
                ])
                .quiet();
        if self.sources().is_file() {
            let sources = self.sources();
            command = command.args(["-o", "Dir::Etc::sourceparts=-", "-o"]);
            command = command.arg(format!("Dir::Etc::sourcelist={}", sources.display()));
        }
        command.args(arguments)
    }
}

/// The addresses of the whole releases (`bookworm`, not `bookworm-updates`) that apt-get would read, from what it prints about that:
/// `'http://HOST/debian/dists/bookworm/InRelease' FILE …`.
fn mirrors(print_uris: &str) -> Vec<String> {
    let mut mirrors: Vec<String> = Vec::new();
    for line in print_uris.lines() {
        let Some((mirror, rest)) = line.trim_start_matches('\'').split_once("/dists/") else { continue };
        let Some((release, _)) = rest.split_once("/InRelease'") else { continue };
        if !release.contains(['-', '/']) && !mirrors.iter().any(|known| known == mirror) {
            mirrors.push(mirror.to_owned());
        }
    }
    mirrors
}

#[cfg(test)]
mod tests {
    use super::mirrors;

    #[test]
    fn mirrors_are_taken_from_whole_releases_once() {
        let printed = "'http://mirror/debian/dists/bookworm/InRelease' mirror_debian_dists_bookworm_InRelease 0 \n\
            'http://mirror/debian/dists/bookworm-updates/InRelease' x 0 \n\
            'http://mirror/security/dists/bookworm-security/InRelease' x 0 \n\
            'https://other/linux/debian/dists/bookworm/InRelease' x 0 \n\
            'http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n";
        assert_eq!(mirrors(printed), ["http://mirror/debian", "https://other/linux/debian"]);
        assert_eq!(mirrors(""), Vec::<String>::new());
    }
}
