//! Looks at a Redis server: reads what it counts, and writes nothing.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, FromRedisValue, InfoDict, RedisError, ServerErrorKind, cmd};
use spillway_model::{Clock as _, Slot, SystemClock};

use super::link::within;
use super::place::Place;
use crate::InvalidRedisUrl;
use crate::RedisSettings;
use crate::examination::{ExaminationError, ServerCounters, ServerExaminer, ServerFacts, ServerPart};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const ROUND_TRIPS: usize = 5;

/// Looks at a Redis server, over one connection.
pub struct RedisExaminer {
    place: Place,
    key_prefix: String,
    /// Taken while a part is looked at, so that a connection on which something hangs is not used again.
    connection: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for RedisExaminer {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisExaminer").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}

impl RedisExaminer {
    /// An examiner that connects when it is asked for something. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the URL is none of a Redis server.
    pub fn new(settings: &RedisSettings) -> Result<Self, InvalidRedisUrl> {
        let place = Place::new(settings.url.expose())?;
        Ok(Self { place, key_prefix: settings.key_prefix.clone(), connection: None })
    }

    async fn connect(&self) -> Result<MultiplexedConnection, ExaminationError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connecting = async {
            let client = self.place.client().await?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        within(CONNECT_TIMEOUT, connecting).await.map_err(|error| said("AUTH", &error))
    }
}

#[async_trait]
impl ServerExaminer for RedisExaminer {
    async fn examine(&mut self, part: ServerPart) -> Result<ServerFacts, ExaminationError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let facts = match part {
            ServerPart::RoundTrip => round_trip(&mut connection).await,
            ServerPart::Counters => counters(&mut connection).await,
            ServerPart::Queues => queues(&mut connection, &self.key_prefix).await,
        };
        if !matches!(facts, Err(ExaminationError::Unreachable(_))) {
            self.connection = Some(connection);
        }
        facts
    }
}

async fn round_trip(connection: &mut MultiplexedConnection) -> Result<ServerFacts, ExaminationError> {
    let mut trips: Vec<Duration> = Vec::with_capacity(ROUND_TRIPS);
    let mut clock_offset_ms = 0;
    for _ in 0..ROUND_TRIPS {
        let (sent, begun) = (SystemClock.now(), Instant::now());
        let (seconds, micros): (i64, i64) = ask(connection, "TIME", &[]).await?;
        let took = begun.elapsed();
        if trips.iter().all(|known| took < *known) {
            let half = i64::try_from(took.as_millis() / 2).unwrap_or_default();
            clock_offset_ms = seconds.saturating_mul(1_000).saturating_add(micros / 1_000) - (sent + half);
        }
        trips.push(took);
    }
    trips.sort_unstable();
    Ok(ServerFacts::RoundTrip { round_trip: trips.get(ROUND_TRIPS / 2).copied().unwrap_or_default(), clock_offset_ms })
}

async fn counters(connection: &mut MultiplexedConnection) -> Result<ServerFacts, ExaminationError> {
    let info: InfoDict = ask(connection, "INFO", &[]).await?;
    let number = |name: &str| info.get::<u64>(name).unwrap_or_default();
    Ok(ServerFacts::Counters(ServerCounters {
        version: info.get("redis_version").unwrap_or_default(),
        is_primary: info.get::<String>("role").is_none_or(|role| role == "master"),
        memory_bytes: number("used_memory"),
        memory_limit: Some(number("maxmemory")).filter(|limit| *limit > 0),
        policy: info.get("maxmemory_policy").unwrap_or_default(),
        fragmentation: info.get("mem_fragmentation_ratio").unwrap_or_default(),
        evicted: number("evicted_keys"),
        hits: number("keyspace_hits"),
        misses: number("keyspace_misses"),
        clients: number("connected_clients"),
        clients_limit: number("maxclients"),
        rejected: number("rejected_connections"),
    }))
}

async fn queues(connection: &mut MultiplexedConnection, prefix: &str) -> Result<ServerFacts, ExaminationError> {
    let slots = [Slot::Blue, Slot::Green].map(|slot| format!("ready:{slot}"));
    let mut queues = Vec::new();
    for name in std::iter::once("ready".to_owned()).chain(slots) {
        let length = ask(connection, "XLEN", &[&format!("{prefix}{name}")]).await?;
        queues.push((name, length));
    }
    Ok(ServerFacts::Queues(queues))
}

async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &'static str,
    arguments: &[&str],
) -> Result<T, ExaminationError> {
    let mut asked = cmd(command);
    asked.arg(arguments);
    within(ANSWER_TIMEOUT, asked.query_async(connection)).await.map_err(|error| said(command, &error))
}

fn said(command: &'static str, error: &RedisError) -> ExaminationError {
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed => ExaminationError::Login(reason),
        ErrorKind::Server(ServerErrorKind::NoPerm) => ExaminationError::Forbidden { command, reason },
        _ if error.code() == Some("NOAUTH") || error.code() == Some("WRONGPASS") => ExaminationError::Login(reason),
        _ if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() => {
            ExaminationError::Unreachable(reason)
        }
        _ => ExaminationError::Refused { command, reason },
    }
}
