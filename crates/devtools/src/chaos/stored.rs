//! What is in the database after a run.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use spillway_model::{DeliveryState, UnixMillis};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{DeliveryFilter, Store, Unobserved};

use crate::Failure;

const PAGE: usize = 1_000;

/// Deliveries that were not delivered.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// When each is due, by event and destination's name.
    pub(super) pending: HashMap<(String, String), UnixMillis>,
    /// Dead or cancelled, by event and destination's name.
    pub(super) ended_badly: HashSet<(String, String)>,
}

impl Stored {
    pub(super) async fn in_sqlite(database: &Path) -> Result<Self, Failure> {
        let store = SqliteStore::open(SqliteSettings::new(database), Arc::new(Unobserved)).await?;
        Self::read(&store).await
    }

    pub(super) async fn in_postgres(url: &str) -> Result<Self, Failure> {
        let store = PostgresStore::connect(PostgresSettings::new(url), Arc::new(Unobserved)).await?;
        Self::read(&store).await
    }

    async fn read(store: &dyn Store) -> Result<Self, Failure> {
        let destinations = store.configuration().await?.destinations;
        let names: HashMap<_, _> = destinations.into_iter().map(|to| (to.id, to.name.to_string())).collect();
        let mut stored = Self::default();
        for state in [DeliveryState::Pending, DeliveryState::Dead, DeliveryState::Cancelled] {
            let mut cursor = None;
            loop {
                let filter = DeliveryFilter { event: None, destination: None, state: Some(state), cursor, limit: PAGE };
                let page = store.deliveries(filter).await?;
                for delivery in page.rows {
                    let name = names.get(&delivery.destination).cloned().unwrap_or_default();
                    let place = (delivery.id.event().to_string(), name);
                    if state == DeliveryState::Pending {
                        stored.pending.insert(place, delivery.at);
                    } else {
                        stored.ended_badly.insert(place);
                    }
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        store.close().await;
        Ok(stored)
    }
}
