//! A small disk that can be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// Room for a run's database, several times over.
const SIZE: &str = "size=192m";

/// A tmpfs. Unmounted on drop.
#[derive(Debug)]
pub(super) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it on `folder`, which is made.
    ///
    /// # Errors
    /// A sentence that says why there can be none: it takes Linux and root.
    pub(super) fn mount(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "spillway-chaos"]).arg(folder).output();
        match mount {
            Ok(output) if output.status.success() => Ok(Self { folder: folder.to_owned() }),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(format!("a tmpfs cannot be mounted, which takes root on Linux ({reason})"))
            }
            Err(error) => Err(format!("a tmpfs cannot be mounted: {error}")),
        }
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
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
