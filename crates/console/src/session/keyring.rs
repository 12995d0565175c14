//! The keys that sessions are sealed with, shared by all nodes through the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use spillway_model::{Clock, UnixMillis};
use spillway_store::{Document, Store, StoreError};
use tokio::time::Instant;

use super::{SealingKey, Session};

const KIND: &str = "console_session_key";
/// Keys that are read: one, or one for each node that started at the same instant on an empty store.
const MAX_KEYS: usize = 64;
/// How often the store is asked again because a session is sealed with a key that is not known here.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why there is no shared key.
#[derive(Debug, thiserror::Error)]
#[error("the key that sessions of the console are sealed with cannot be kept in the store ({})", .0.code())]
pub struct KeyringError(#[from] StoreError);

/// The keys of sessions. A session that one node began is one on every node.
pub struct Keyring {
    store: Option<Arc<dyn Store>>,
    keys: RwLock<Keys>,
}

struct Keys {
    /// The first one seals.
    known: Vec<SealingKey>,
    read_at: Instant,
}

impl Keyring {
    /// Reads the keys, and makes one when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<dyn Store>, clock: &dyn Clock) -> Result<Self, KeyringError> {
        let mut known = read(store.as_ref()).await?;
        if known.is_empty() {
            store.put_document(new_document(clock.now())).await?;
            known = read(store.as_ref()).await?;
        }
        Ok(Self { store: Some(store), keys: RwLock::new(Keys { known, read_at: Instant::now() }) })
    }

    /// A key of this process alone: its sessions end with it, and no other node knows them.
    #[must_use]
    pub fn of_process() -> Self {
        Self { store: None, keys: RwLock::new(Keys { known: vec![rand::random()], read_at: Instant::now() }) }
    }

    /// The cookie of a session.
    pub(crate) fn seal(&self, session: &Session) -> Option<String> {
        session.seal(self.keys.read().known.first()?)
    }

    /// The session of a cookie. Another node may have made its key since: then the store is asked again, at most once a second.
    pub(crate) async fn open_session(&self, cookie: &str, now: UnixMillis) -> Option<Session> {
        let open = || self.keys.read().known.iter().find_map(|key| Session::open(cookie, key, now));
        if let Some(session) = open() {
            return Some(session);
        }
        self.read_again().await;
        open()
    }

    async fn read_again(&self) {
        let Some(store) = &self.store else { return };
        {
            let mut keys = self.keys.write();
            if keys.read_at.elapsed() < LOOK_AGAIN {
                return;
            }
            keys.read_at = Instant::now();
        }
        match read(store.as_ref()).await {
            Ok(known) if !known.is_empty() => self.keys.write().known = known,
            Ok(_) => {}
            Err(error) => tracing::warn!(
                code = error.code(),
                "the keys of sessions could not be read again; those that are known stay in force"
            ),
        }
    }
}

fn new_document(now: UnixMillis) -> Document {
    let (name, key): (u128, SealingKey) = (rand::random(), rand::random());
    Document { kind: KIND.to_owned(), key: format!("{name:032x}"), at: now, body: Bytes::copy_from_slice(&key) }
}

/// All keys, in an order that every node agrees on.
async fn read(store: &dyn Store) -> Result<Vec<SealingKey>, StoreError> {
    let mut documents = store.documents(KIND, MAX_KEYS).await?;
    documents.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(documents.iter().filter_map(|document| SealingKey::try_from(document.body.as_ref()).ok()).collect())
}
