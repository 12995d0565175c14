//! Any program over any body: it ends, nothing panics, and the interpreter does not break.
//!
//! Input is the program, a line of three dashes, and the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spillway_model::{Event, EventId, HeaderBlock, SourceId};
use spillway_transform::{Input, Program, ProgramError};

const SEPARATOR: &str = "\n---\n";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (program, body) = text.split_once(SEPARATOR).unwrap_or((text, "{}"));
    let Ok(program) = Program::compile(program) else { return };
    let event = Event {
        id: EventId::first_of(1_700_000_000_000),
        source: SourceId::from_u128(1),
        event_type: Some("fuzzed".into()),
        headers: HeaderBlock::encode([("content-type", b"application/json".as_slice())]),
        body: body.as_bytes().to_vec().into(),
        trace: None,
        quarantine: None,
    };
    let input = Input::new(&event, "fuzz");
    for failed in [program.transform(&input).err(), program.matches(&input).err(), program.key(&input).err()] {
        assert_ne!(failed, Some(ProgramError::Interpreter));
    }
});
