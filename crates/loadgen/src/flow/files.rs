//! Files that a flow names.

use std::path::Path;

/// The largest file that is read.
pub(super) const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a whole file of at most [`LARGEST`] bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let length = std::fs::metadata(path).map_err(problem)?.len();
    if length > LARGEST {
        return Err(format!("{} has {length} bytes; a flow reads files of at most {LARGEST}", path.display()));
    }
    std::fs::read(path).map_err(problem)
}
