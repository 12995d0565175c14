use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value, cmd};
use tokio::time::sleep;

use super::codec::{self, MalformedEntry};
use super::demand::Demand;
use super::stream::{EntryId, Stream};
use crate::backlog::Backlog;

const GROUP: &str = "workers";
/// All workers share one name: without acknowledgements there is nothing that belongs to one of them.
const CONSUMER: &str = "worker";
/// How long one read waits at the server.
const BLOCK: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Reads for the poppers of this process until the queue is dropped, over lost connections, restarts and flushes.
pub(super) async fn read(stream: Arc<Stream>, demand: Arc<Demand>, backlog: Arc<Backlog>) {
    loop {
        demand.wait(&backlog).await;
        stream.link.up().await;
        let error = match stream.link.open(BLOCK * 2).await {
            Ok(mut connection) => serve(&stream, &demand, &backlog, &mut connection).await,
            Err(error) => error,
        };
        stream.link.doubt(&error);
        sleep(RETRY_PAUSE).await;
    }
}

/// Reads on one connection until it fails.
async fn serve(
    stream: &Stream,
    demand: &Demand,
    backlog: &Backlog,
    connection: &mut MultiplexedConnection,
) -> RedisError {
    loop {
        let max = demand.wait(backlog).await;
        match read_once(stream, connection, max).await {
            Ok(reply) => take(stream, backlog, reply).await,
            Err(error) if is_group_missing(&error) => {
                if let Err(error) = create_group(stream, connection).await {
                    return error;
                }
            }
            Err(error) => return error,
        }
    }
}

async fn read_once(stream: &Stream, connection: &mut MultiplexedConnection, max: usize) -> RedisResult<Value> {
    let mut command = cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(CONSUMER).arg("COUNT").arg(max);
    command.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(1)).arg("NOACK");
    command.arg("STREAMS").arg(&stream.key).arg(">");
    command.query_async(connection).await
}

/// The stream was flushed, the server came back empty, or this is the very first read. `UNBLOCKED` is what servers before
/// version 7 say to a read that waits at that moment.
fn is_group_missing(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}

/// From the first entry, because pushes do not wait for the group.
async fn create_group(stream: &Stream, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut command = cmd("XGROUP");
    command.arg("CREATE").arg(&stream.key).arg(GROUP).arg("0").arg("MKSTREAM");
    match command.exec_async(connection).await {
        // Another worker was faster.
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        result => result,
    }
}

/// Hands over what was read first, and removes it from the stream afterwards.
async fn take(stream: &Stream, backlog: &Backlog, reply: Value) {
    let mut last = None;
    let mut deliveries = Vec::new();
    let mut malformed = (0, MalformedEntry::Shape);
    for (id, payload) in entries(reply) {
        last = last.max(id);
        match payload.ok_or(MalformedEntry::Shape).and_then(codec::decode) {
            Ok(claimed) => deliveries.push(claimed),
            Err(error) => malformed = (malformed.0 + 1, error),
        }
    }
    backlog.push(deliveries, None);
    if malformed.0 > 0 {
        stream.drop_malformed(malformed.0, &malformed.1);
    }
    if let Some(last) = last {
        stream.remove_read(&last).await;
    }
}

/// Names and payloads of the entries in a reply of the form `[[stream, [[id, [field, payload]], …]]]`; nothing when the wait ended
/// without any.
fn entries(reply: Value) -> impl Iterator<Item = (Option<EntryId>, Option<Bytes>)> {
    list(reply).into_iter().flat_map(|stream| list(stream).into_iter().nth(1).map(list).unwrap_or_default()).map(
        |entry| {
            let mut parts = list(entry).into_iter();
            let id = parts.next().and_then(bytes).and_then(|id| EntryId::parse(&id));
            let mut fields = parts.next().map(list).unwrap_or_default();
            let payload = if fields.len() == 2 { fields.pop().and_then(bytes) } else { None };
            (id, payload)
        },
    )
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::BulkString(value.as_bytes().to_vec())
    }

    #[test]
    fn a_reply_of_any_shape_is_read_as_far_as_it_goes() {
        let good = Value::Array(vec![text("1-2"), Value::Array(vec![text("d"), text("payload")])]);
        let deleted = Value::Array(vec![text("1-3"), Value::Nil]);
        let odd = Value::Array(vec![text("1-4"), Value::Array(vec![text("a"), text("b"), text("c"), text("d")])]);
        let reply =
            Value::Array(vec![Value::Array(vec![text("stream"), Value::Array(vec![good, deleted, odd, Value::Nil])])]);
        let read: Vec<_> = entries(reply).collect();
        assert_eq!(read[0], (EntryId::parse(b"1-2"), Some(Bytes::from_static(b"payload"))));
        assert_eq!(read[1], (EntryId::parse(b"1-3"), None));
        assert_eq!(read[2..], [(EntryId::parse(b"1-4"), None), (None, None)]);
        for nothing in [Value::Nil, Value::Okay, Value::Array(vec![Value::Int(1)]), Value::Array(vec![])] {
            assert_eq!(entries(nothing).count(), 0);
        }
    }
}
