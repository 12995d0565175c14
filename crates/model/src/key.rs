//! Keys of the management API.

use serde::{Deserialize, Serialize};

use crate::{KeyId, Rate, UnixMillis};

/// What a key may do. Each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read configuration, events, deliveries and measurements; secrets stay hidden.
    Read,
    /// Also publish events, retry deliveries, and change sources, destinations and connections.
    Write,
    /// Also manage keys.
    Admin,
}

impl Scope {
    /// The name used in the API and in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// SHA-256 of a key's text. Keys have 256 random bits, so a plain hash is enough: there is nothing to guess.
pub type KeyHash = [u8; 32];

/// A key as it is stored: its text is shown once, at its making, and kept only as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's identifier.
    pub id: KeyId,
    /// What the owner calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Hash of its text.
    pub hash: KeyHash,
    /// Requests allowed with this key; `None` means the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Rate>,
    /// When it was made.
    pub created_at: UnixMillis,
}
