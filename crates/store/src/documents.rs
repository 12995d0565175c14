//! Small documents that other parts keep: trends, reports, rollouts.

use bytes::Bytes;
use spillway_model::UnixMillis;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::{StoreError, StoreErrorKind};

/// A larger document is refused.
pub const DOCUMENT_LIMIT_BYTES: usize = 1 << 20;
/// A longer kind or key is refused.
pub const DOCUMENT_NAME_LIMIT_BYTES: usize = 256;
/// A list of documents is never longer, whatever is asked for.
pub const DOCUMENT_LIST_LIMIT: usize = 1_000;

/// A document as it is stored. `(kind, key)` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is, such as `trend`, `load_test` or `rollout`. 1 to 256 bytes.
    pub kind: String,
    /// Its name among its kind. 1 to 256 bytes.
    pub key: String,
    /// When it was last written.
    pub at: UnixMillis,
    /// Its content.
    pub body: Bytes,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Document {
    /// Refuses what no engine keeps.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refused = |text: String| Err(StoreError::new(StoreErrorKind::TooLarge, text));
        for (what, name) in [("kind", &self.kind), ("key", &self.key)] {
            if name.is_empty() || name.len() > DOCUMENT_NAME_LIMIT_BYTES || name.contains('\0') {
                return refused(format!(
                    "the {what} of a document is 1 to {DOCUMENT_NAME_LIMIT_BYTES} bytes without NUL; this one has {}",
                    name.len()
                ));
            }
        }
        if self.body.len() > DOCUMENT_LIMIT_BYTES {
            return refused(format!(
                "the document {} {} has {} bytes, and {DOCUMENT_LIMIT_BYTES} are the most that is kept",
                self.kind,
                self.key,
                self.body.len()
            ));
        }
        Ok(())
    }
}
