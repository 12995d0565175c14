//! Claims: which destinations have something due, how the claim is shared among them, and taking it.
//!
//! Claiming leaves dead entries at the very place in the index where the next claim begins. So a process remembers, for a
//! short time, where its last claim of each destination ended, and begins there. What is not remembered is looked up by
//! jumping from one destination to the next in the index. A claim that comes back short has always looked.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spillway_model::{
    Claimed, ConnectionId, DeliveryId, DestinationId, Event, EventId, Lease, NextState, OrderKey, Settlement,
    UnixMillis,
};
use sqlx::Row;
use sqlx::postgres::PgBindIterExt;

use super::rows::{self, bits, uuid};
use super::sessions::Session;
use super::settle;
use crate::{ClaimRequest, StoreError};

/// Pending is the lowest state: the first entry of a destination tells whether anything is due and since when.
const DUE: &str = "
WITH RECURSIVE present AS (
    (SELECT destination_id, state, at FROM deliveries ORDER BY destination_id, state, at LIMIT 1)
    UNION ALL
    SELECT n.destination_id, n.state, n.at FROM present p CROSS JOIN LATERAL (
        SELECT d.destination_id, d.state, d.at FROM deliveries d
        WHERE d.destination_id > p.destination_id ORDER BY d.destination_id, d.state, d.at LIMIT 1
    ) n
)
SELECT destination_id, at FROM present WHERE state = 0 AND at <= $1";

/// Values: destinations, where to begin in each, how many of each; until when due, end of the lease. The rows are locked when they are
/// updated, so their place is still the same.
macro_rules! take {
    ($($condition:expr)?) => {
        concat!(
            "WITH picked AS MATERIALIZED (
                SELECT d.place, d.at
                FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[]) AS l (destination_id, begin_at, most)
                CROSS JOIN LATERAL (
                    SELECT ctid AS place, at FROM deliveries
                    WHERE destination_id = l.destination_id AND state = 0 AND at >= l.begin_at AND at <= $4",
            $($condition,)?
            "       ORDER BY at, id LIMIT l.most FOR UPDATE SKIP LOCKED
                ) d
            )
            UPDATE deliveries d SET at = $5, generation = d.generation + 1
            FROM picked p WHERE d.ctid = p.place
            RETURNING d.id, d.destination_id, d.connection_id, d.generation, d.attempts, p.at, d.order_key"
        )
    };
}

/// [`DeliveryId::bucket`] before it is squared, from the bytes of the id.
macro_rules! mixed {
    () => {
        "((((((get_byte(uuid_send(id), 3)::bigint << 28) | (get_byte(uuid_send(id), 4)::bigint << 20) \
            | (get_byte(uuid_send(id), 5)::bigint << 12) | ((get_byte(uuid_send(id), 6)::bigint & 15) << 8) \
            | get_byte(uuid_send(id), 7)::bigint) * 60493313 \
            + ((get_byte(uuid_send(id), 12)::bigint << 8) | get_byte(uuid_send(id), 13)::bigint) * 2654435761) >> 20) \
            & 2147483647))"
    };
}

const TAKE: &str = take!();

/// Two more values: first and last bucket.
const TAKE_OF_SHARE: &str = take!(concat!(" AND ((", mixed!(), " * ", mixed!(), ") >> 20) % 100 BETWEEN $6 AND $7 "));

/// Values: ids of events, the lowest and the highest of them. The range lets whole partitions be left out; `OFFSET` makes
/// each id a lookup of its own.
const PAYLOADS: &str = "
SELECT e.* FROM UNNEST($1::uuid[]) AS k (id) CROSS JOIN LATERAL (
    SELECT id, source_id, event_type, trace, headers, body, quarantine FROM events
    WHERE events.id = k.id AND events.id >= $2 AND events.id <= $3 OFFSET 0
) e";

/// How long a process may claim from what it remembers. New destinations wait this long, but only while older work fills
/// whole claims.
const MEMORY: Duration = Duration::from_secs(2);

/// Looks and takes of one claim, at most.
const ROUNDS: usize = 8;

/// A destination with something due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lane {
    destination: DestinationId,
    /// Nothing older is due there.
    begin_at: UnixMillis,
}

/// Where the last claims ended.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<Remembered>>);

#[derive(Debug, Clone)]
struct Remembered {
    looked: Instant,
    /// The buckets that were claimed. Of others nothing is known.
    buckets: Option<Range<u8>>,
    lanes: Vec<Lane>,
}

/// What a claim has got so far.
#[derive(Debug, Default)]
struct Gathered {
    taken: Vec<Taken>,
    counts: HashMap<DestinationId, usize>,
}

/// A delivery that was taken, before its payload is read.
#[derive(Debug, Clone, Copy)]
struct Taken {
    id: DeliveryId,
    destination: DestinationId,
    connection: ConnectionId,
    generation: u32,
    attempts: u16,
    was_due: UnixMillis,
    order: Option<OrderKey>,
}

/// Claims what is due, with payloads. Deliveries whose event or payload is gone are cancelled.
pub(super) async fn claim(
    session: &mut Session,
    memory: &Memory,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>, StoreError> {
    if request.max == 0 {
        return Ok(Vec::new());
    }
    let mut gathered = Gathered::default();
    let left = gather(session, memory, request, &mut gathered).await?;
    if let Some(share) = &request.share {
        // Nothing is overdue in a destination whose longest overdue delivery is not.
        let overdue: Vec<Lane> = left.into_iter().filter(|lane| lane.begin_at <= share.overdue_before).collect();
        let shares = gathered.share(&overdue, request);
        if !shares.is_empty() {
            let until = share.overdue_before.min(request.now);
            let got = take(session, &shares, Due { buckets: None, until }, request.lease_until).await?;
            gathered.add(got);
        }
    }
    with_payloads(session, gathered.taken, request).await
}

/// Takes what is due, of the share if there is one. Returns the destinations in which something is due, whoever it belongs to, unless the
/// claim is full.
async fn gather(
    session: &mut Session,
    memory: &Memory,
    request: &ClaimRequest,
    gathered: &mut Gathered,
) -> Result<Vec<Lane>, StoreError> {
    let buckets = request.share.as_ref().map(|share| share.buckets.clone());
    if buckets.as_ref().is_some_and(Range::is_empty) {
        return due(session, request.now).await;
    }
    let mut remembered = memory.recall(buckets.as_ref());
    let mut seen = None;
    for _ in 0..ROUNDS {
        let mut current = match remembered.take() {
            Some(current) => current,
            None => {
                let lanes = due(session, request.now).await?;
                seen = Some(lanes.clone());
                Remembered { looked: Instant::now(), buckets: buckets.clone(), lanes }
            }
        };
        let shares = gathered.share(&current.lanes, request);
        let wanted = Due { buckets: buckets.as_ref(), until: request.now };
        let got =
            if shares.is_empty() { Vec::new() } else { take(session, &shares, wanted, request.lease_until).await? };
        current.advance(&shares, &got);
        gathered.add(got);
        if gathered.taken.len() >= request.max {
            memory.keep(current);
            return Ok(Vec::new());
        }
        // Short: lanes that had less than their share left room for the others; when there is none to ask, only a look finds more.
        if !shares.is_empty() && !current.lanes.is_empty() {
            remembered = Some(current);
        } else if seen.is_some() {
            break;
        }
    }
    memory.forget();
    Ok(seen.unwrap_or_default())
}

impl Gathered {
    /// Shares what is still wanted among the lanes.
    fn share(&self, lanes: &[Lane], request: &ClaimRequest) -> Vec<(Lane, usize)> {
        share(lanes, request.max - self.taken.len(), |destination| {
            let limit = request.limits.get(&destination).copied().unwrap_or(request.max_per_destination);
            limit.saturating_sub(self.counts.get(&destination).copied().unwrap_or_default())
        })
    }

    fn add(&mut self, got: Vec<Taken>) {
        for one in &got {
            *self.counts.entry(one.destination).or_default() += 1;
        }
        self.taken.extend(got);
    }
}

impl Memory {
    fn recall(&self, buckets: Option<&Range<u8>>) -> Option<Remembered> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |known: &&Remembered| known.looked.elapsed() < MEMORY && known.buckets.as_ref() == buckets;
        remembered.as_ref().filter(is_known).cloned()
    }

    fn keep(&self, remembered: Remembered) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    }

    /// Makes the next claim look.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Remembered {
    /// Moves each lane to where its claim ended, and drops those that had less than their share.
    fn advance(&mut self, shares: &[(Lane, usize)], got: &[Taken]) {
        let mut ends: HashMap<DestinationId, (usize, UnixMillis)> = HashMap::new();
        for one in got {
            let end = ends.entry(one.destination).or_insert((0, UnixMillis::MIN));
            *end = (end.0 + 1, end.1.max(one.was_due));
        }
        let mut unfilled = HashSet::new();
        for (lane, most) in shares {
            if ends.get(&lane.destination).is_none_or(|(count, _)| count < most) {
                unfilled.insert(lane.destination);
            }
        }
        self.lanes.retain(|lane| !unfilled.contains(&lane.destination));
        for lane in &mut self.lanes {
            lane.begin_at = ends.get(&lane.destination).map_or(lane.begin_at, |(_, end)| *end);
        }
    }
}

/// Shares `open` places evenly among the lanes, none over its limit; when there are more lanes than places, the longest
/// overdue get one each.
fn share(lanes: &[Lane], open: usize, limit: impl Fn(DestinationId) -> usize) -> Vec<(Lane, usize)> {
    let mut shares: Vec<(Lane, usize)> = lanes.iter().map(|lane| (*lane, limit(lane.destination))).collect();
    shares.retain(|(_, limit)| *limit > 0);
    shares.sort_by_key(|(lane, _)| lane.begin_at);
    shares.truncate(open);
    shares.sort_by_key(|(_, limit)| *limit);
    let (mut open, mut waiting) = (open, shares.len());
    for (_, most) in &mut shares {
        *most = (*most).min(open / waiting);
        open -= *most;
        waiting -= 1;
    }
    shares
}

async fn due(session: &mut Session, now: UnixMillis) -> Result<Vec<Lane>, StoreError> {
    let rows = sqlx::query(DUE).bind(now).fetch_all(session.statement()).await?;
    rows.iter()
        .map(|row| Ok(Lane { destination: DestinationId::from_u128(bits(row, 0)?), begin_at: row.try_get(1)? }))
        .collect()
}

/// Which deliveries are due.
#[derive(Clone, Copy)]
struct Due<'r> {
    /// `None`: in any bucket.
    buckets: Option<&'r Range<u8>>,
    /// At this time or before.
    until: UnixMillis,
}

async fn take(
    session: &mut Session,
    shares: &[(Lane, usize)],
    wanted: Due<'_>,
    lease_until: UnixMillis,
) -> Result<Vec<Taken>, StoreError> {
    let mut query = sqlx::query(if wanted.buckets.is_some() { TAKE_OF_SHARE } else { TAKE })
        .bind(shares.iter().map(|(lane, _)| uuid(lane.destination.to_u128())).bind_iter())
        .bind(shares.iter().map(|(lane, _)| lane.begin_at).bind_iter())
        .bind(shares.iter().map(|(_, most)| i64::try_from(*most).unwrap_or(i64::MAX)).bind_iter())
        .bind(wanted.until)
        .bind(lease_until);
    if let Some(buckets) = wanted.buckets {
        query = query.bind(i64::from(buckets.start)).bind(i64::from(buckets.end) - 1);
    }
    let rows = query.fetch_all(session.statement()).await?;
    rows.iter()
        .map(|row| {
            Ok(Taken {
                id: DeliveryId::from_u128(bits(row, 0)?),
                destination: DestinationId::from_u128(bits(row, 1)?),
                connection: ConnectionId::from_u128(bits(row, 2)?),
                generation: row.try_get::<i32, _>(3)?.cast_unsigned(),
                attempts: u16::try_from(row.try_get::<i32, _>(4)?).unwrap_or(u16::MAX),
                was_due: row.try_get(5)?,
                order: row.try_get::<Option<i64>, _>(6)?.map(OrderKey),
            })
        })
        .collect()
}

async fn with_payloads(
    session: &mut Session,
    mut taken: Vec<Taken>,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>, StoreError> {
    taken.sort_unstable_by_key(|one| (one.was_due, one.id));
    let mut ids: Vec<EventId> = taken.iter().map(|one| one.id.event()).collect();
    ids.sort_unstable();
    ids.dedup();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    let rows = sqlx::query(PAYLOADS)
        .bind(ids.iter().map(|id| uuid(id.to_u128())).bind_iter())
        .bind(uuid(first.to_u128()))
        .bind(uuid(last.to_u128()))
        .fetch_all(session.statement())
        .await?;
    let mut events: HashMap<EventId, Arc<Event>> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let event = rows::event(row)?;
        events.insert(event.id, Arc::new(event));
    }

    let (mut claimed, mut gone) = (Vec::with_capacity(taken.len()), Vec::new());
    for Taken { id, destination, connection, generation, attempts, order, .. } in taken {
        match events.get(&id.event()) {
            Some(event) if !event.payload_is_removed() => claimed.push(Claimed {
                order,
                id,
                destination,
                connection,
                generation,
                attempts,
                lease_until: request.lease_until,
                event: event.clone(),
                received: None,
            }),
            _ => gone.push(Settlement {
                order,
                lease: Lease { delivery: id, generation },
                next: NextState::Cancelled { at: request.now },
                attempt: None,
            }),
        }
    }
    if !gone.is_empty() {
        settle::settle(session, gone).await?;
    }
    Ok(claimed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(begins: &[i64]) -> Vec<Lane> {
        let lane = |(n, begin_at): (usize, &i64)| Lane {
            destination: DestinationId::from_u128(n as u128),
            begin_at: *begin_at,
        };
        begins.iter().enumerate().map(lane).collect()
    }

    fn shared(begins: &[i64], open: usize, limits: &[usize]) -> Vec<(u128, usize)> {
        let limit = |destination: DestinationId| limits[destination.to_u128() as usize];
        let mut shares: Vec<_> = share(&lanes(begins), open, limit)
            .into_iter()
            .map(|(lane, most)| (lane.destination.to_u128(), most))
            .collect();
        shares.sort_unstable();
        shares
    }

    #[test]
    fn places_are_shared_evenly_and_limits_leave_room_to_others() {
        assert_eq!(shared(&[1, 2], 10, &[100, 100]), [(0, 5), (1, 5)]);
        assert_eq!(shared(&[1, 2, 3], 10, &[2, 100, 100]), [(0, 2), (1, 4), (2, 4)]);
        assert_eq!(shared(&[1], 10, &[3]), [(0, 3)]);
    }

    #[test]
    fn a_limit_of_zero_leaves_the_destination_alone() {
        assert_eq!(shared(&[1, 2], 10, &[0, 100]), [(1, 10)]);
        assert_eq!(shared(&[1], 10, &[0]), []);
    }

    #[test]
    fn the_longest_overdue_come_first_when_there_are_more_destinations_than_places() {
        assert_eq!(shared(&[30, 10, 20], 2, &[9, 9, 9]), [(1, 1), (2, 1)]);
    }

    #[test]
    fn a_lane_goes_on_where_its_claim_ended_and_leaves_when_it_had_less_than_its_share() {
        let mut remembered = Remembered { looked: Instant::now(), buckets: None, lanes: lanes(&[1, 2, 3]) };
        let taken = |destination, was_due| Taken {
            id: DeliveryId::from_u128(1),
            destination: DestinationId::from_u128(destination),
            connection: ConnectionId::from_u128(1),
            generation: 1,
            attempts: 0,
            was_due,
            order: None,
        };
        let shares = [(remembered.lanes[0], 2), (remembered.lanes[1], 2)];
        remembered.advance(&shares, &[taken(0, 5), taken(0, 7), taken(1, 4)]);
        assert_eq!(remembered.lanes.iter().map(|lane| lane.begin_at).collect::<Vec<_>>(), [7, 3]);
    }
}
