//! Answers that are made seldom and given often: remembered by kind and key, made once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spillway_coordination::{Cache, CacheKind};
use spillway_store::{DeadLetters, StoreError};

use crate::gateway::Gateway;

const DEAD_LETTERS: &str = "dead-letters";
/// Dead deliveries that are looked at, the newest first.
const DEAD_LOOKED_AT: usize = 10_000;

/// The answer under `key`: what is remembered, or what `make` comes to. An error is not remembered, nor an answer over 256 KiB.
///
/// The key names everything that the answer depends on. The configuration's version is part of it by itself, so that a change of the
/// configuration ends what was remembered before it, on every node. Requests of this process that ask at the same time wait for the first one.
pub(crate) async fn cached<T, E, F>(
    gateway: &Gateway,
    kind: CacheKind,
    key: &str,
    make: impl FnOnce() -> F + Send,
) -> Result<T, E>
where
    T: Serialize + DeserializeOwned + Send,
    E: Send,
    F: Future<Output = Result<T, E>> + Send,
{
    let key = versioned(gateway, key);
    remembered(gateway.coordination.cache.as_ref(), &gateway.flights, kind, &key, make).await
}

/// Forgets an answer on every node: to be called after a write that it would show.
pub(crate) async fn forget(gateway: &Gateway, kind: CacheKind, key: &str) {
    gateway.coordination.cache.invalidate(kind, &versioned(gateway, key)).await;
}

/// The groups of dead letters, up to ten seconds old: thousands of attempts are read for them.
pub(crate) async fn dead_letters(gateway: &Gateway) -> Result<DeadLetters, StoreError> {
    cached(gateway, CacheKind::Statistics, DEAD_LETTERS, || gateway.store.dead_letters(DEAD_LOOKED_AT)).await
}

/// A person had some of them sent again.
pub(crate) async fn forget_dead_letters(gateway: &Gateway) {
    forget(gateway, CacheKind::Statistics, DEAD_LETTERS).await;
}

/// Makes the answers that the console's first page asks for, so that the first visitor after a start need not wait for them. Failures are
/// left to whoever asks.
pub async fn prewarm(gateway: Arc<Gateway>) {
    if let Err(error) = dead_letters(&gateway).await {
        tracing::debug!(%error, "dead letters could not be counted ahead of time");
    }
}

fn versioned(gateway: &Gateway, key: &str) -> String {
    format!("{}:{key}", gateway.routing.load().configuration.version)
}

async fn remembered<T, E, F>(
    cache: &dyn Cache,
    flights: &Flights,
    kind: CacheKind,
    key: &str,
    make: impl FnOnce() -> F + Send,
) -> Result<T, E>
where
    T: Serialize + DeserializeOwned + Send,
    E: Send,
    F: Future<Output = Result<T, E>> + Send,
{
    if let Some(answer) = read(cache, kind, key).await {
        return Ok(answer);
    }
    let flight = flights.board(kind, key);
    let (_turn, waited) = match flight.turn.try_lock() {
        Ok(turn) => (turn, false),
        Err(_) => (flight.turn.lock().await, true),
    };
    if waited && let Some(answer) = read(cache, kind, key).await {
        return Ok(answer);
    }
    let answer = make().await?;
    if let Ok(bytes) = serde_json::to_vec(&answer) {
        cache.put(kind, key, Bytes::from(bytes)).await;
    }
    Ok(answer)
}

/// What cannot be read was written by another version, and is made again.
async fn read<T: DeserializeOwned>(cache: &dyn Cache, kind: CacheKind, key: &str) -> Option<T> {
    serde_json::from_slice(&cache.get(kind, key).await?).ok()
}

type Key = (CacheKind, Box<str>);
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Answers of this process that are being made, and who waits for each.
#[derive(Debug, Default)]
pub struct Flights(Mutex<HashMap<Key, Turn>>);

/// A place in the queue for one answer. Nothing is left of it when the last one has gone, whether it came to an answer or not.
struct Flight<'f> {
    flights: &'f Flights,
    key: Key,
    turn: Turn,
}

impl Flights {
    fn board(&self, kind: CacheKind, key: &str) -> Flight<'_> {
        let key = (kind, key.into());
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone();
        Flight { flights: self, key, turn }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one.
        if Arc::strong_count(&self.turn) <= 2 {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use spillway_coordination::{CoordinationSettings, in_process};

    use super::*;

    const KIND: CacheKind = CacheKind::Statistics;

    fn cache() -> Arc<dyn Cache> {
        in_process(&CoordinationSettings::default()).cache
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_made_once_in_its_time_and_anew_after_it() {
        let (cache, flights, made) = (cache(), Flights::default(), AtomicUsize::new(0));
        let ask = async |key: &str| {
            let make = || async { Ok::<_, Infallible>(made.fetch_add(1, Ordering::SeqCst)) };
            remembered(cache.as_ref(), &flights, KIND, key, make).await.unwrap_or_default()
        };
        assert_eq!((ask("a").await, ask("a").await, ask("b").await), (0, 0, 1));
        tokio::time::advance(KIND.ttl()).await;
        assert_eq!(ask("a").await, 2);
        cache.invalidate(KIND, "a").await;
        assert_eq!(ask("a").await, 3);
        assert!(flights.0.lock().is_ok_and(|flights| flights.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_meanwhile_wait_for_the_first_one() {
        let (cache, flights, made) = (cache(), Flights::default(), AtomicUsize::new(0));
        let ask = || {
            remembered(cache.as_ref(), &flights, KIND, "a", || async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Ok::<_, Infallible>(made.fetch_add(1, Ordering::SeqCst))
            })
        };
        let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
        assert!(answers.into_iter().all(|answer| answer == Ok(0)));
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_and_a_maker_that_gave_up_leave_the_next_one_free() {
        let (cache, flights) = (cache(), Flights::default());
        let failed = remembered(cache.as_ref(), &flights, KIND, "a", || async { Err::<u32, _>("no") }).await;
        assert_eq!(failed, Err("no"));
        let hangs = remembered(cache.as_ref(), &flights, KIND, "a", std::future::pending::<Result<u32, &str>>);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(1), hangs).await.is_err());
        let made = remembered(cache.as_ref(), &flights, KIND, "a", || async { Ok::<_, &str>(7) }).await;
        assert_eq!(made, Ok(7));
        assert!(flights.0.lock().is_ok_and(|flights| flights.is_empty()));
    }

    #[tokio::test]
    async fn what_another_version_wrote_is_made_again() {
        let (cache, flights) = (cache(), Flights::default());
        cache.put(KIND, "a", Bytes::from_static(b"{\"other\":1}")).await;
        let made = remembered(cache.as_ref(), &flights, KIND, "a", || async { Ok::<_, Infallible>(7) }).await;
        assert_eq!(made, Ok(7));
    }
}
