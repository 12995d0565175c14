//! Reads a result back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::summary::FORMAT;
use super::{Meta, RunSummary, SCHEMA_VERSION};
use crate::engine::Judged;
use crate::executor::Progress;
use crate::generator::Health;
use crate::metrics::{MOST_SECONDS, Second, Snapshot};
use crate::observe::Observed;

/// Largest file that is read.
const MOST_BYTES: u64 = 512 << 20;

/// Why a file is no result that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is larger than a result can be.
    #[error("{} has {bytes} bytes: a result has at most {MOST_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is something else.
    #[error("{} is no result of a run: give the file that `run --out json=FILE` wrote", path.display())]
    NotAResult {
        /// The file.
        path: PathBuf,
    },
    /// Another version of this program wrote it.
    #[error(
        "{} has version {found} of the result's format, and this program reads version {SCHEMA_VERSION}: \
         read it with the version of spillway-loadgen that wrote it, or repeat the run",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// It was a result and is damaged.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

#[derive(Deserialize)]
struct Header {
    format: String,
    schema_version: Value,
}

#[derive(Deserialize)]
struct Wire {
    meta: Meta,
    duration_s: f64,
    interrupted: bool,
    thresholds: Vec<Judged>,
    scenarios: BTreeMap<String, Progress>,
    generator: Health,
    observed: Vec<Observed>,
    timeline: Vec<Second>,
    snapshot: Snapshot,
}

/// Reads what [`RunSummary::to_json`] wrote. Figures, verdict and series are not read: they are made of the snapshot again.
///
/// # Errors
/// When the file cannot be read, is no result, is one of another version, or is damaged.
pub fn read(path: &Path) -> Result<RunSummary, ReadError> {
    let unreadable = |source| ReadError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MOST_BYTES {
        return Err(ReadError::TooLarge { path: path.to_owned(), bytes });
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &[u8]) -> Result<RunSummary, ReadError> {
    let damaged = |problem: String| ReadError::Damaged { path: path.to_owned(), problem };
    let header: Header = match serde_json::from_slice(text) {
        Ok(header) => header,
        // A file that begins like a result and breaks off was one.
        Err(error) if text.starts_with(format!("{{\n  \"format\": \"{FORMAT}\"").as_bytes()) => {
            return Err(damaged(error.to_string()));
        }
        Err(_) => return Err(ReadError::NotAResult { path: path.to_owned() }),
    };
    if header.format != FORMAT {
        return Err(ReadError::NotAResult { path: path.to_owned() });
    }
    if header.schema_version != SCHEMA_VERSION {
        return Err(ReadError::Version { path: path.to_owned(), found: header.schema_version.to_string() });
    }
    let wire: Wire = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    let duration = Duration::try_from_secs_f64(wire.duration_s).map_err(|error| damaged(error.to_string()))?;
    let points = wire.observed.iter().flat_map(|observed| &observed.series).map(|series| series.points.len());
    if points.chain([wire.timeline.len()]).any(|points| points > MOST_SECONDS) {
        return Err(damaged(format!("a time line has more than {MOST_SECONDS} points")));
    }
    Ok(RunSummary {
        meta: wire.meta,
        duration,
        interrupted: wire.interrupted,
        thresholds: wire.thresholds,
        scenarios: wire.scenarios,
        generator: wire.generator,
        observed: wire.observed,
        timeline: wire.timeline,
        snapshot: wire.snapshot,
    })
}
