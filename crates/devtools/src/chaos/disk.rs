//! A small disk that can be filled.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Failure;

/// Room for an empty database and its log.
const BASE_MIB: u64 = 192;
/// Room for an event with its deliveries and attempts, several times over.
const BYTES_AN_EVENT: u64 = 8 << 10;
/// It is memory once it is filled.
const MOST_MIB: u64 = 2_048;

/// A tmpfs that every user may enter. Unmounted on drop.
#[derive(Debug)]
pub(super) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one in the system's temporary directory, with room for so many events.
    ///
    /// # Errors
    /// A sentence that says why there can be none: it takes Linux and root, and a run that is not too long.
    pub(super) fn mount(n_events: u64) -> Result<Self, String> {
        let size_mib = BASE_MIB + n_events.saturating_mul(BYTES_AN_EVENT).div_ceil(1 << 20);
        if size_mib > MOST_MIB {
            return Err(format!("{n_events} events need {size_mib} MiB, and {MOST_MIB} MiB of memory are the limit"));
        }
        let folder = entered_by_all().map_err(|error| error.to_string())?;
        let options = format!("size={size_mib}m,mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "spillway-chaos"]).arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Ok(Self { folder }),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(format!("a tmpfs cannot be mounted, which takes root on Linux ({reason})"))
            }
            Err(error) => Err(format!("a tmpfs cannot be mounted: {error}")),
        }
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) -> Result<(), Failure> {
        let mut filler = File::create(self.filler())?;
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            if filler.write_all(&block).is_err() {
                // Smaller pieces until not even a byte fits.
                block.truncate(block.len() / 2);
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(super) fn free(&self) -> Result<(), Failure> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn entered_by_all() -> std::io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("spillway-chaos-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}
