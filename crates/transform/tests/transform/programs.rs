use spillway_transform::{Place, Program, ProgramError};

use crate::support::{input, program, transform};

#[test]
fn programs_do_what_jq_does() {
    for (text, body, expected) in [
        (".", r#"{"b":1,"a":[true,false,null]}"#, r#"{"b":1,"a":[true,false,null]}"#),
        (".amount * 100", r#"{"amount":12.5}"#, "1250"),
        (
            "{id, total: (.lines | map(.price * .count) | add)}",
            r#"{"id":"i","lines":[{"price":2,"count":3},{"price":0.5,"count":1}]}"#,
            r#"{"id":"i","total":6.5}"#,
        ),
        ("[.[] | select(.ok)] | length", r#"[{"ok":true},{"ok":false},{}]"#, "1"),
        ("del(.secret) | .a.b.c = 1", r#"{"secret":"x"}"#, r#"{"a":{"b":{"c":1}}}"#),
        (".items |= map(.n += 1)", r#"{"items":[{"n":1},{"n":2}]}"#, r#"{"items":[{"n":2},{"n":3}]}"#),
        ("to_entries | map(\"\\(.key)=\\(.value)\") | join(\"&\")", r#"{"a":1,"b":"c"}"#, r#""a=1&b=c""#),
        ("with_entries(.value |= tostring)", r#"{"a":1}"#, r#"{"a":"1"}"#),
        (
            "group_by(.k) | map({k: .[0].k, n: length})",
            r#"[{"k":2},{"k":1},{"k":2}]"#,
            r#"[{"k":1,"n":1},{"k":2,"n":2}]"#,
        ),
        ("[paths]", r#"{"a":[1]}"#, r#"[["a"],["a",0]]"#),
        ("[.. | numbers]", r#"{"a":[1,{"b":2}]}"#, "[1,2]"),
        ("walk(if type == \"string\" then ascii_upcase else . end)", r#"{"a":["b"]}"#, r#"{"a":["B"]}"#),
        (".name | test(\"^inv-[0-9]+$\"; \"i\")", r#"{"name":"INV-12"}"#, "true"),
        (
            ".s | [match(\"(?<year>\\\\d{4})\"; \"g\") | .offset, .captures[0].name]",
            r#"{"s":"ä 2024, 2025"}"#,
            r#"[2,"year",8,"year"]"#,
        ),
        (".s | sub(\"(?<a>.)b\"; \"\\(.a)c\")", r#"{"s":"xbxb"}"#, r#""xcxb""#),
        (".s | gsub(\"b\"; \"\")", r#"{"s":"abcb"}"#, r#""ac""#),
        (".s | split(\", *\"; null)", r#"{"s":"a,  b"}"#, r#"["a","b"]"#),
        ("[splits(\"-\")]", r#""a-b""#, r#"["a","b"]"#),
        ("@base64 | @base64d", r#""ünï""#, r#""ünï""#),
        ("@uri \"https://x/?q=\\(.)\"", r#""a b""#, r#""https://x/?q=a%20b""#),
        ("@json", r#"{"a":1}"#, r#""{\"a\":1}""#),
        ("fromjson | .a", r#""{\"a\":[1]}""#, "[1]"),
        ("tonumber + 1", r#""41""#, "42"),
        ("todate", "1767225600", r#""2026-01-01T00:00:00Z""#),
        ("fromdate", r#""2026-01-01T00:00:00Z""#, "1767225600"),
        (".[1:3]", "[0,1,2,3]", "[1,2]"),
        (".[-2:]", r#""äöü""#, r#""öü""#),
        ("first(range(10; 0; -3))", "null", "10"),
        ("[limit(3; repeat(1))]", "null", "[1,1,1]"),
        ("reduce .[] as [$a, $b] (0; . + $a * $b)", "[[1,2],[3,4]]", "14"),
        ("[foreach .[] as $x (0; . + $x)]", "[1,2,3]", "[1,3,6]"),
        ("def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; fac", "10", "3628800"),
        ("def f: def g: 3; g * 2; f", "null", "6"),
        (". as {a: $x, b: [$y]} | $x + $y", r#"{"a":1,"b":[2]}"#, "3"),
        ("try error(\"no\") catch \"caught \\(.)\"", "null", r#""caught no""#),
        ("[.[] | tonumber?]", r#"["1","x"]"#, "[1]"),
        (".a // \"none\"", "{}", r#""none""#),
        ("label $out | [.[] | if . > 2 then . else empty end] | first", "[1,3,4]", "3"),
        ("isempty(empty), (. | not) | tostring", "null", ""),
        ("contains({a: [1]})", r#"{"a":[0,1],"b":2}"#, "true"),
        ("indices(\"b\")", r#""abcb""#, "[1,3]"),
        ("has(\"a\"), has(\"b\") | not | tostring | length", r#"{"a":1}"#, ""),
        ("[getpath([\"a\",\"b\"]), (setpath([\"a\"]; 2) | .a)]", r#"{"a":{"b":1}}"#, "[1,2]"),
        ("min_by(.n).n, max_by(.n).n | [.]  | add", r#"[{"n":2},{"n":1}]"#, ""),
        ("[.[] | floor, sqrt]", "[16]", "[16,4]"),
        ("{(.k): 1}", r#"{"k":"x"}"#, r#"{"x":1}"#),
        ("flatten | unique", "[3,[1,[3]]]", "[1,3]"),
        ("transpose", "[[1],[2,3]]", "[[1,2],[null,3]]"),
        (".[3] = 1", "[0]", "[0,null,null,1]"),
        ("ltrimstr(\"a\") | rtrimstr(\"c\") | explode | implode", r#""abc""#, r#""b""#),
        ("\"ab\" * 3", "null", r#""ababab""#),
        (". - [2]", "[1,2,3]", "[1,3]"),
        ("\"a,b\" / \",\"", "null", r#"["a","b"]"#),
        ("{a: {b: 1}} * {a: {c: 2}}", "null", r#"{"a":{"b":1,"c":2}}"#),
        ("nan | isnan", "null", "true"),
        ("[nan] | tojson", "null", r#""[null]""#),
    ] {
        if expected.is_empty() {
            let error = transform(text, body).expect_err(text);
            assert_eq!(error, ProgramError::SeveralOutputs, "{text}");
        } else {
            assert_eq!(transform(text, body).as_deref(), Ok(expected), "{text}");
        }
    }
}

#[test]
fn numbers_and_texts_pass_through_as_they_came() {
    for body in [
        "12345678901234567890123",
        "0.10",
        "1e400",
        "-0.5e-7",
        "9007199254740993",
        "123456789012345678901234567890123456789012345678901234567890",
        r#""\"\\/\u0001ünï😀""#,
        r#"{"z":1,"a":{},"":[]}"#,
    ] {
        assert_eq!(transform(".", body).as_deref(), Ok(body));
    }
    assert_eq!(transform(".", r#""\ud83d\ude00 \ud83d""#).as_deref(), Ok("\"😀 \u{fffd}\""));
    assert_eq!(transform(".", r#" { "a" : 1 , "a" : 2 } "#).as_deref(), Ok(r#"{"a":2}"#));
}

#[test]
fn what_is_beside_the_body_can_be_read() {
    for (text, expected) in [
        ("$source", r#""billing""#),
        ("$type", r#""invoice.paid""#),
        ("$received_at", r#""2026-01-01T00:00:00.000Z""#),
        ("$headers[\"x-shop\"]", r#""eu-1""#),
        ("$headers.\"x-tag\"", r#""a, b""#),
        ("$headers | keys | length", "3"),
        ("$id | startswith(\"evt_\")", "true"),
        ("def f($x): $x + $source; f(\"from \")", r#""from billing""#),
    ] {
        assert_eq!(transform(text, "this is not JSON").as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_body_that_is_not_json_fails_what_reads_it_and_nothing_else() {
    let text = input("plain text");
    for reads in [
        ".",
        ".a",
        "length",
        "[.]",
        "{a: .}",
        ". == 1",
        "tojson",
        "try .a catch 1",
        ".a?",
        "if . then 1 else 2 end",
        "[..]",
        "map(.)",
        "tostring",
    ] {
        let error = program(reads).transform(&text).expect_err(reads);
        assert!(matches!(error, ProgramError::BodyNotJson { .. }), "{reads}: {error}");
    }
    for ignores in [
        "$type == \"invoice.paid\"",
        "$headers[\"x-shop\"] | startswith(\"eu\")",
        "true",
        "empty, true",
        "[$source] | map(length) | add",
    ] {
        assert_eq!(program(ignores).matches(&text), Ok(true), "{ignores}");
    }
    for (body, hint) in [
        ("", "empty"),
        ("{\"a\":1", "too early"),
        ("[1,]", "byte 3"),
        ("\u{1}", "byte 0"),
        ("{'a':1}", "byte 1"),
        ("NaN", "byte 0"),
        ("01", "byte 1"),
        ("1 2", "byte 2"),
        ("\"\t\"", "byte 1"),
    ] {
        let error = transform(".", body).expect_err(body);
        assert!(error.to_string().contains("not JSON") && error.to_string().contains(hint), "{body:?}: {error}");
    }
    let bytes = program(".").transform(&input(&b"\"\xff\""[..])).expect_err("not UTF-8");
    assert!(bytes.to_string().contains("UTF-8"), "{bytes}");
}

#[test]
fn a_filter_goes_by_its_first_output() {
    let event = input(r#"{"type":"paid","tags":["a"]}"#);
    for (text, expected) in [
        (".type == \"paid\"", true),
        (".type == \"open\"", false),
        (".missing", false),
        ("0", true),
        ("empty", false),
        ("false, true", false),
        (".tags | index(\"a\")", true),
        (".tags | any(. == \"b\")", false),
    ] {
        assert_eq!(program(text).matches(&event), Ok(expected), "{text}");
    }
}

#[test]
fn a_transform_has_one_output_and_it_is_json() {
    assert_eq!(transform("empty", "1"), Err(ProgramError::NoOutput));
    assert_eq!(transform("1, 2", "1"), Err(ProgramError::SeveralOutputs));
    assert_eq!(transform("nan", "1"), Err(ProgramError::OutputNotJson { what: "nan" }));
    assert_eq!(transform("[infinite]", "1"), Err(ProgramError::OutputNotJson { what: "infinite" }));
    let error = transform(".a.b", r#"{"a":[1]}"#).expect_err("an array has no b");
    assert_eq!(error.to_string(), "the program failed: cannot index [1] with \"b\"");
    let error = transform("error({code: 7})", "1").expect_err("its own error");
    assert_eq!(error.to_string(), "the program failed: {\"code\":7}");
    let error = transform("{(.): 1}", "1").expect_err("a key that is a number");
    assert!(error.to_string().contains("key of an object"), "{error}");
}

#[test]
fn an_error_shows_no_more_than_the_beginning_of_a_value() {
    let body = format!("[\"{}\"]", "ä".repeat(10_000));
    let error = transform(".a", &body).expect_err("an array has no a");
    assert!(error.to_string().len() < 600, "{error}");
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_place() {
    for (text, place, hint) in [
        (".a ==", Some((1, 6)), "term"),
        (".a\n | foo(1)", Some((2, 4)), "\"foo\" with 1 argument"),
        ("$nope", Some((1, 1)), "variable \"$nope\""),
        ("env", Some((1, 1)), "\"env\" without"),
        ("$ENV.PATH", Some((1, 1)), "\"$ENV\""),
        ("input", Some((1, 1)), "\"input\""),
        ("halt_error", Some((1, 1)), "\"halt_error\""),
        ("debug", Some((1, 1)), "\"debug\""),
        ("import \"a\" as a; .", Some((1, 8)), "operator"),
        ("a::b", Some((1, 1)), "module"),
        ("{a: 1", Some((1, 6)), "closing brace"),
        ("\"abc", Some((1, 5)), "closing quote"),
        (". & 1", Some((1, 3)), "'&' has no meaning"),
        ("break $x", Some((1, 7)), "label"),
        ("!guard", Some((1, 1)), "\"!\""),
        ("if . then 1", Some((1, 12)), "else or end"),
        ("   ", None, "empty"),
    ] {
        let error = Program::compile(text).expect_err(text);
        assert_eq!(error.place(), place.map(|(line, column)| Place { line, column }), "{text}: {error}");
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
}

#[test]
fn keys_are_compact_json() {
    let event = input(r#"{"customer":{"id":"cus_1"},"n":7}"#);
    for (text, expected) in [
        (".customer.id", Some("\"cus_1\"")),
        (".n", Some("7")),
        ("[.customer.id, .n]", Some("[\"cus_1\",7]")),
        (".customer", Some("{\"id\":\"cus_1\"}")),
        ("false", Some("false")),
        (".missing", None),
        ("empty", None),
    ] {
        assert_eq!(program(text).key(&event).expect(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn one_reading_serves_all_programs() {
    let event = input(r#"{"a":1}"#);
    let programs: Vec<_> = [".a == 1", ".a", "{b: .a}"].into_iter().map(program).collect();
    std::thread::scope(|scope| {
        for program in &programs {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(program.matches(&event), Ok(true))));
        }
    });
}
