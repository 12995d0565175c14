//! Events as they are stored: rows that the API's stream brings, drawn here.

use axum::body::BodyDataStream;
use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::Method;
use serde_json::{Value, json};

use super::{Message, message};
use crate::api::{Change, Problem, with_query};
use crate::pages::events;
use crate::read::Read as _;
use crate::visit::Visit;

/// Longest message of the API that is waited for.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Rows of events, oldest first.
pub(super) async fn follow(visit: Visit) -> BoxStream<'static, Message> {
    let path = with_query("/api/v1/events/stream", [("source", visit.form.get("source"))]);
    let answer = match visit.api.stream(Method::GET, &path, Change::default()).await {
        Ok(answer) if answer.status().is_success() => answer,
        Ok(answer) => {
            return over(if answer.status() == 404 {
                "Live rows are not available here"
            } else {
                "Not live: load the page again"
            });
        }
        Err(Problem { .. }) => return over("Not live: load the page again"),
    };
    let state = Reader { body: answer.into_body().into_data_stream(), buffer: BytesMut::new() };
    stream::unfold(state, |mut reader| async move { Some((reader.next().await?, reader)) })
        .flat_map(move |data| stream::iter(rows(&data, &visit)))
        .boxed()
}

fn over(text: &str) -> BoxStream<'static, Message> {
    stream::iter([message("over", &json!({ "text": text }))]).chain(stream::pending()).boxed()
}

/// A message of the API as messages for the page.
fn rows(data: &Value, visit: &Visit) -> Vec<Message> {
    let now = visit.console.settings.clock.now();
    let row = |event| message("row", &json!({"html": events::row(event, now).into_string()}));
    match data.text("/type") {
        "events" => data.list("/events").iter().map(row).collect(),
        "end" => vec![message("over", &json!({"text": "Not live: load the page again"}))],
        _ => Vec::new(),
    }
}

/// Reads the messages of a stream of server-sent events.
struct Reader {
    body: BodyDataStream,
    buffer: BytesMut,
}

impl Reader {
    /// The data of the next message that has some; none when the stream ends, or a message is too long.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let data = data_of(&self.buffer[..end]);
                self.buffer.advance(end + 2);
                if let Some(value) = serde_json::from_slice(&data).ok().filter(|_| !data.is_empty()) {
                    return Some(value);
                }
            }
            if self.buffer.len() > MAX_MESSAGE_BYTES {
                return None;
            }
            self.buffer.extend_from_slice(&self.body.next().await?.ok()?);
        }
    }
}

/// The data of a message: its lines, joined.
fn data_of(message: &[u8]) -> Vec<u8> {
    let lines = message.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    let lines: Vec<&[u8]> = lines.map(|line| line.strip_prefix(b" ").unwrap_or(line)).collect();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[tokio::test]
    async fn messages_are_whole_however_they_are_cut() {
        let text = "retry: 2000\n: ready\n\nid: evt_1\nevent: events\ndata: {\"type\":\n data\ndata: \"events\"}\n\n: alive\n\ndata: {\"type\":\"end\"}\n\n";
        for size in [1, 7, 1_000] {
            let parts: Vec<Result<_, std::io::Error>> =
                text.as_bytes().chunks(size).map(|part| Ok(part.to_vec())).collect();
            let body = Body::from_stream(stream::iter(parts)).into_data_stream();
            let mut reader = Reader { body, buffer: BytesMut::new() };
            assert_eq!(reader.next().await, Some(json!({"type": "events"})), "{size}");
            assert_eq!(reader.next().await, Some(json!({"type": "end"})));
            assert_eq!(reader.next().await, None);
        }
    }
}
