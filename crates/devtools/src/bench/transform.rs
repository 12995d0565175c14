//! Filters, transforms and keys over a body of 1 KiB, beside reading the body alone.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use spillway_model::{Event, EventId, HeaderBlock, SourceId};
use spillway_transform::{Input, Program, Schema};

use super::BenchArgs;
use super::table::{Bar, Figure, Table};
use crate::Failure;

const EVALUATIONS: u32 = 10_000;
/// Evaluations of what is stopped by its limits.
const STOPPED: u32 = 20;
const MOST_MICROSECONDS: f64 = 20.0;

const PROGRAMS: [(&str, &str); 6] = [
    ("filter on the type", "$type == \"invoice.paid\""),
    ("filter on a field", ".type == \"invoice.paid\" and .data.amount > 1000"),
    ("filter with a regular expression", ".data.customer.email | test(\"@example\\\\.com$\")"),
    ("transform to a few fields", "{id, amount: (.data.amount / 100), customer: .data.customer.id}"),
    ("transform that changes a list", ".data.lines |= map({sku, total: (.price * .count)})"),
    ("order by customer", ".data.customer.id"),
];

/// What does not end by itself.
const ENDLESS: [(&str, &str); 3] = [
    ("stopped: an endless call", "def f: f; f"),
    ("stopped: an endless sum", "reduce range(1e12) as $i (0; . + $i)"),
    ("stopped: a deep recursion", "def f: [f]; f"),
];

pub(crate) fn run(arguments: &BenchArgs) -> Result<Table, Failure> {
    let mut table = Table::new("programs over a body of 1 KiB".to_owned());
    let event = event();
    let rounds = arguments.rounds();
    let alone = figure("serde_json: the body alone", rounds, EVALUATIONS, || {
        serde_json::from_slice::<serde_json::Value>(black_box(&event.body)).is_ok()
    });
    for (what, text) in PROGRAMS {
        let program = Program::compile(text)?;
        // Each evaluation reads the body anew, as the first program of an event does.
        let evaluation = || program.transform(&Input::new(black_box(&event), "billing")).is_ok();
        let figure = figure(what, rounds, EVALUATIONS, evaluation);
        table.push(figure.against(&alone).bar(Bar::AtMost(MOST_MICROSECONDS)));
    }
    let schema = serde_json::from_str(SCHEMA)?;
    let schema = Schema::compile(&schema)?;
    table.push(
        figure("validation by a schema", rounds, EVALUATIONS, || schema.validate(&event.body).is_ok()).against(&alone),
    );
    for (what, text) in ENDLESS {
        let program = Program::compile(text)?;
        table.push(figure(what, rounds, STOPPED, || program.matches(&Input::new(&event, "billing")).is_err()));
    }
    table.push(alone);
    Ok(table)
}

fn event() -> Event {
    let body = format!(
        r#"{{"id":"evt_1","type":"invoice.paid","data":{{"amount":125000,"currency":"eur","customer":{{"id":"cus_42","email":"ada@example.com","address":{{"city":"London","zip":"N1"}}}},"lines":[{}],"note":"{}"}}}}"#,
        (0..6)
            .map(|n| format!(r#"{{"sku":"sku-{n}","price":{}.5,"count":{n},"tax":"standard"}}"#, n * 10))
            .collect::<Vec<_>>()
            .join(","),
        "x".repeat(1_024 - 590),
    );
    Event {
        id: EventId::first_of(1_767_225_600_000),
        source: SourceId::from_u128(1),
        event_type: Some("invoice.paid".into()),
        headers: HeaderBlock::encode([("content-type", b"application/json".as_slice())]),
        body: Bytes::from(body),
        trace: None,
        quarantine: None,
    }
}

const SCHEMA: &str = r#"{
    "type": "object", "required": ["id", "type", "data"],
    "properties": {"data": {"type": "object", "required": ["amount"], "properties": {
        "amount": {"type": "integer", "minimum": 0},
        "customer": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "pattern": "^cus_"}}},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "price", "count"]}}
    }}}
}"#;

/// Microseconds of one evaluation.
fn figure(what: &str, rounds: usize, evaluations: u32, evaluate: impl Fn() -> bool) -> Figure {
    let round = |_| {
        let begun = Instant::now();
        let good = (0..evaluations).filter(|_| evaluate()).count();
        assert_eq!(good, evaluations as usize, "{what}: an evaluation failed");
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(evaluations)
    };
    Figure::new(what, "µs", (0..rounds).map(round).collect())
}
