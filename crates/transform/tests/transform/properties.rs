//! Whatever the program and the body: an output or an error, no panic, and an output is JSON.

use proptest::prelude::*;
use spillway_transform::{Program, ProgramError};

use crate::support::input;

/// Pieces that programs are made of, so that many of those that are made can be compiled.
fn programs() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        ".",
        "..",
        ".a",
        ".[0]",
        ".[]",
        ".[]?",
        ".a?",
        ".[1:]",
        ".[:-1]",
        "$headers",
        "$type",
        "$source",
        "1",
        "-1",
        "0.5",
        "1e308",
        "null",
        "true",
        "\"a\"",
        "\"\"",
        "[]",
        "{}",
        "empty",
        "not",
        "length",
        "keys",
        "add",
        "any",
        "all",
        "flatten",
        "sort",
        "unique",
        "reverse",
        "tojson",
        "fromjson",
        "tostring",
        "tonumber",
        "type",
        "floor",
        "sqrt",
        "explode",
        "implode",
        "paths",
        "to_entries",
        "from_entries",
        "ascii_downcase",
        "trim",
        "min",
        "max",
        "first",
        "last",
        "transpose",
        "combinations",
        "@base64",
        "@base64d",
        "@uri",
        "@html",
        "@sh",
        "todate",
        "fromdate",
        "gmtime",
        "mktime",
        "now | 0",
        "nan",
        "infinite",
        "error",
        "tojson",
        "isvalid",
        "group_by(.)",
        "utf8bytelength",
        "split(\",\")",
        "test(\"a\")",
        "[match(\".\"; \"g\")]",
        "gsub(\"a\"; \"b\")",
        "strptime(\"%Y\")",
        "ltrimstr(\"a\")",
        "f",
        "f",
        "g(.)",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let operators = prop::sample::select(vec![
            "|",
            ",",
            "+",
            "-",
            "*",
            "/",
            "%",
            "==",
            "<",
            "and",
            "or",
            "//",
            "=",
            "|=",
            "+=",
            "//=",
            "as $x |",
            "as [$x] |",
        ]);
        prop_oneof![
            (two.clone(), operators).prop_map(|((left, right), operator)| format!("({left} {operator} {right})")),
            inner.clone().prop_map(|inner| format!("[{inner}]")),
            two.clone().prop_map(|(key, value)| format!("{{({key}): {value}}}")),
            inner.clone().prop_map(|inner| format!("\"x\\({inner})\"")),
            two.clone().prop_map(|(tried, caught)| format!("(try ({tried}) catch ({caught}))")),
            two.clone().prop_map(|(condition, then)| format!("(if {condition} then {then} else {condition} end)")),
            two.clone().prop_map(|(over, update)| format!("(reduce ({over}) as $x (.; {update}))")),
            two.clone().prop_map(|(over, update)| format!("(foreach ({over}) as $x (0; {update}; [., $x]))")),
            two.clone().prop_map(|(body, inner)| format!("(def f: {body}; def g(h): h | {body}; {inner})")),
            (
                prop::sample::select(vec![
                    "map",
                    "select",
                    "path",
                    "del",
                    "first",
                    "last",
                    "repeat",
                    "recurse",
                    "walk",
                    "isempty",
                    "sort_by",
                    "min_by",
                    "with_entries",
                    "paths",
                    "to_entries | map",
                    "limit(3; .[]?) | [.] | map",
                    "range",
                    "has",
                    "contains",
                    "indices",
                    "getpath",
                    "splits",
                    "any",
                    "all",
                    "add"
                ]),
                inner.clone()
            )
                .prop_map(|(name, inner)| format!("{name}({inner})")),
            (
                two,
                prop::sample::select(vec![
                    "until", "while", "limit", "range", "nth", "skip", "setpath", "sub", "any", "recurse", "test"
                ])
            )
                .prop_map(|((first, second), name)| format!("{name}({first}; {second})")),
        ]
    })
}

fn bodies() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        any::<i64>().prop_map(|int| int.to_string()),
        (-1e9..1e9_f64).prop_map(|float| format!("{float:?}")),
        ".{0,12}".prop_map(|text: String| serde_json::to_string(&text).expect("JSON")),
        prop::sample::select(vec![
            "1e999",
            "-0",
            "12345678901234567890123456789",
            "\"2026-01-01T00:00:00Z\"",
            "\"\\ud800\""
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let keys = prop::sample::select(vec!["a", "b", "key", "value", "name", ""]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((keys, inner), 0..5).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn programs_over_bodies_end(text in programs(), body in bodies()) {
        let Ok(program) = Program::compile(&text) else { return Ok(()) };
        let event = input(body.clone());
        match program.transform(&event) {
            Ok(output) => {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&output).is_ok() || output.starts_with(b"1e") || output.windows(5).any(|part| part == b"1e999"), "{text} over {body}: {output:?}");
            }
            Err(ProgramError::Interpreter) => prop_assert!(false, "{text} over {body} broke the interpreter"),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        prop_assert_eq!(program.matches(&event).is_ok(), program.matches(&event).is_ok());
        drop(program.key(&event));
    }

    #[test]
    fn any_text_is_a_program_or_an_error(text in "\\PC{0,200}") {
        if let Err(error) = Program::compile(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn bodies_pass_through(body in bodies()) {
        let program = Program::compile(".").expect("the identity");
        let output = program.transform(&input(body.clone())).expect("the body");
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
        let lone = body.contains("\\ud800") || body.contains("1e999");
        prop_assert!(lone || read(&output) == read(body.as_bytes()), "{body} became {output:?}");
    }

    #[test]
    fn any_bytes_are_a_body_or_an_error(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let program = Program::compile(".").expect("the identity");
        let reads = program.transform(&input(body.clone())).is_ok();
        let is_json = serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        // Beyond what a machine's number holds, and half of a pair, only one of both is strict.
        if is_json {
            prop_assert!(reads);
        }
    }
}
