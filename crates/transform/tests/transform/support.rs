use bytes::Bytes;
use spillway_model::{Event, EventId, HeaderBlock, SourceId};
use spillway_transform::{Input, Program, ProgramError};

/// An event of type `invoice.paid` from the source `billing`, received at 2026-01-01T00:00:00Z.
pub(crate) fn event(body: impl Into<Bytes>) -> Event {
    let headers: [(&str, &[u8]); 4] =
        [("Content-Type", b"application/json"), ("X-Shop", b"eu-1"), ("X-Tag", b"a"), ("x-tag", b"b")];
    Event {
        id: EventId::first_of(1_767_225_600_000),
        source: SourceId::from_u128(7),
        event_type: Some("invoice.paid".into()),
        headers: HeaderBlock::encode(headers),
        body: body.into(),
        trace: None,
        quarantine: None,
    }
}

pub(crate) fn input(body: impl Into<Bytes>) -> Input {
    Input::new(&event(body), "billing")
}

#[track_caller]
pub(crate) fn program(text: &str) -> Program {
    Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What the program makes of a body.
pub(crate) fn transform(text: &str, body: &str) -> Result<String, ProgramError> {
    let output = program(text).transform(&input(body.to_owned()))?;
    Ok(String::from_utf8(output.to_vec()).expect("UTF-8"))
}
