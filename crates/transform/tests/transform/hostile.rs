//! Programs that loop, explode, or look where they should not. Each must end with an error of its own, quickly, on a test's small stack.

use std::time::{Duration, Instant};

use spillway_transform::{Program, ProgramError, limits};

use crate::support::{input, program, transform};

/// Longer than any of them takes, even without optimisation on a machine that does much else.
const FAR_TOO_LONG: Duration = Duration::from_secs(20);

#[track_caller]
fn stopped(text: &str) -> ProgramError {
    let program = program(text);
    let event = input(r#"{"a":[1,2,3],"s":"text"}"#);
    let begun = Instant::now();
    let error = program.transform(&event).expect_err(text);
    assert!(begun.elapsed() < FAR_TOO_LONG, "{text} took {:?}", begun.elapsed());
    error
}

#[test]
fn loops_end() {
    let mut others = Vec::new();
    for text in [
        "def f: f; f",
        "def f: def g: f; g; f",
        "def f(x): f(x); f(.)",
        "def f(x): f(x | x); f(.)",
        "def f($x): f($x + 1); f(0)",
        "[range(1e12)]",
        "last(range(1e12))",
        "reduce range(1e12) as $i (0; . + $i)",
        "reduce range(1e12) as $i (0; .)",
        "last(foreach range(1e12) as $i (0; .))",
        "range(0; 1; 0)",
        "[range(0; 1; 0)]",
        "until(false; .)",
        "last(repeat(1))",
        "[limit(1e9; repeat(1))]",
        "first(repeat(1) | select(. == 2))",
        "0 | [recurse(. + 1; true)]",
        "0 | last(recurse(. + 1))",
        "last(while(true; .))",
        "isempty(repeat(empty))",
        "def f: try error(1) catch f; f",
        "def f: (error(1))? // f; f",
        "label $x | repeat(if false then break $x else empty end)",
        "any(repeat(false); .)",
        "def f: if . then f else 1 end; f",
        "def f: . as $x | f; f",
        "path(repeat(.))",
        "repeat(.) |= .",
        ".s | [splits(\"a*\")] | until(false; .)",
        "combinations(1000000000)",
        "[range(100)] | [., ., ., ., ., .] | [combinations] | length",
    ] {
        let error = stopped(text);
        let is_stopped = matches!(
            error,
            ProgramError::Steps { .. }
                | ProgramError::Memory { .. }
                | ProgramError::SeveralOutputs
                | ProgramError::Recursion
        );
        others.extend((!is_stopped).then(|| format!("{text}: {error}")));
    }
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn many_paths_through_few_characters_end() {
    let doubled = vec!["(.,.)"; 60].join(" | ");
    for text in [
        format!("last({doubled})"),
        format!("reduce ({doubled}) as $x (0; .)"),
        format!("[{doubled}]"),
        format!("first({doubled} | empty)"),
        format!("isempty({doubled} | select(false))"),
        format!("try ({doubled} | error) catch 1 | {doubled} | empty"),
        format!("path({doubled})"),
        format!("({doubled}) |= ."),
        format!("any({doubled}; false)"),
        "[[limit(40; repeat([0,1]))] | combinations] | length".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | [..] | length".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | tojson".to_owned(),
        "reduce range(60) as $i ([0]; [., .])".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | . == (reduce range(60) as $i ([0]; [., .]))".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | [., .] | sort".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | flatten".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | contains(reduce range(60) as $i ([1]; [., .]))".to_owned(),
        "reduce range(60) as $i ({}; {a: ., b: .}) | . * .".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | .. |= 1".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | [paths] | length".to_owned(),
        "reduce range(60) as $i ([0]; [., .]) | walk(.)".to_owned(),
    ] {
        let error = stopped(&text);
        assert!(
            matches!(
                error,
                ProgramError::Steps { .. }
                    | ProgramError::Memory { .. }
                    | ProgramError::OutputTooLarge
                    | ProgramError::SeveralOutputs
            ),
            "{text}: {error}"
        );
    }
}

#[test]
fn calls_in_calls_end_and_the_process_lives() {
    let mut others = Vec::new();
    for text in [
        "def f: [f]; f",
        "def f: f | .; f",
        "def f: 1 + f; f",
        "def f: {a: f}; f",
        "def f: f, f | f; [f]",
        "def f: try f catch 1 | .; f",
        "def f: if f then 1 else 2 end; f",
        "def f: reduce f as $x (0; .); f",
        "def f: (f | 1) as $x | $x; f",
        "def f: \"\\(f)\"; f",
        "def f: -f; f",
        "def f: .a[f]; f",
        "def f: f and true; f",
        "def f: label $x | f | .; f",
        "def f: [1, 2] | sort_by(f); f",
        "def f: first(f); f",
        "def f(g): g | f(g | g) | .; f(.)",
        "def f: [recurse(f)]; f",
        "def f: limit(1; f); f",
        "def f: 1, (f | . + 1); last(f)",
        "def f: ([f] | length) as [$a] | $a; f",
    ] {
        let error = stopped(text);
        let is_stopped = matches!(error, ProgramError::Recursion | ProgramError::Steps { .. });
        others.extend((!is_stopped).then(|| format!("{text}: {error}")));
    }
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn what_calls_bind_in_a_long_chain_is_let_go_of_safely() {
    let mut others = Vec::new();
    for text in [
        "def f(g): if . > 1e9 then . else . + 1 | f(g) end; 0 | f(.)",
        "def f(g; h): f(h; g | h); f(.; .)",
        "def f(g): def h: g; f(h); f(.)",
        "null | first(path(def f: .a | f; f))",
        "null | path(last(recurse(.a)))",
        "null | path(reduce range(1e9) as $i (.; .a))",
        "null | path(last(limit(1e9; recurse(.[0]))))",
    ] {
        let error = stopped(text);
        let is_stopped = matches!(error, ProgramError::Steps { .. } | ProgramError::Path | ProgramError::Recursion);
        others.extend((!is_stopped).then(|| format!("{text}: {error}")));
    }
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn memory_is_bounded() {
    let mut others = Vec::new();
    for text in [
        "\"x\" * 1e9",
        "\"x\" * 1000000000000",
        "\"xxxxxxxxxx\" * 1e6 | [., ., ., ., .] | map(ascii_upcase) | add",
        "reduce range(100) as $i (\"xxxxxxxx\"; . + .)",
        "reduce range(100) as $i ([1]; . + .)",
        "[limit(1e7; repeat(\"x\" * 1000))]",
        ".[1e9] = 1",
        ".[1000000000] = 1",
        "null | .[999999999999] |= 1",
        "reduce range(100) as $i (\"a\"; @json)",
        "[range(1e6)] | implode",
        "\"x\" * 1e7 | explode",
        "\"x\" * 1e7 | split(\"\")",
        "[range(100000)] | [., ., ., .] | map(sort) | map(reverse)",
    ] {
        let body = if text.starts_with(".[") { "[]" } else { "1" };
        let begun = Instant::now();
        let outcome = transform(text, body);
        assert!(begun.elapsed() < FAR_TOO_LONG, "{text} took {:?}", begun.elapsed());
        let is_stopped = matches!(
            outcome,
            Err(ProgramError::Memory { .. } | ProgramError::Steps { .. } | ProgramError::OutputTooLarge)
        );
        others.extend((!is_stopped).then(|| format!("{text}: {outcome:.200?}")));
    }
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn numbers_are_bounded() {
    assert_eq!(transform("reduce range(100) as $i (3; . * .)", "1"), Err(ProgramError::Integer));
    let digits = "9".repeat(500_000);
    assert_eq!(transform(".", &digits).as_deref(), Ok(digits.as_str()), "it is not calculated with");
    assert_eq!(transform(". > 1", &digits).as_deref(), Ok("true"));
    let literal = format!("{} | . + 1", "9".repeat(16_000));
    assert!(transform(&literal, "1").is_err_and(|error| matches!(error, ProgramError::OutputNotJson { .. })));
    assert_eq!(transform("-9223372036854775808 | -(.)", "1").as_deref(), Ok("9223372036854775808"));
    assert_eq!(transform("9223372036854775807 + 1", "1").as_deref(), Ok("9223372036854775808"));
    assert!(transform("1 % 0", "1").is_err_and(|error| error.to_string().contains("calculate")));
    assert_eq!(transform("[nan, 1, nan, 2, nan] * 10 | length", "1").ok(), None);
    assert_eq!(transform("[range(50) | if . % 2 == 0 then nan else . end] | sort | length", "1").as_deref(), Ok("50"));
}

#[test]
fn nesting_is_bounded() {
    assert_eq!(transform("reduce range(100000) as $i (null; [.])", "1"), Err(ProgramError::Nesting));
    assert_eq!(transform("reduce range(100000) as $i (null; {a: .})", "1"), Err(ProgramError::Nesting));
    assert_eq!(transform("reduce range(100000) as $i (null; .a = .)", "{}"), Err(ProgramError::Nesting));
    assert!(transform("setpath([range(2000) | tostring]; 1)", "null").is_err());
    assert_eq!(
        transform("reduce range(2000) as $i (1; [.] | .[0])", "1").as_deref(),
        Ok("1"),
        "it is not nested in the end"
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let error = transform(".", &deep).expect_err("too deep");
    assert!(error.to_string().contains("nested deeper than 128"), "{error}");
    let fits = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(transform(".", &fits).as_deref(), Ok(fits.as_str()));
    let again = format!("{:?} | fromjson", deep.get(..8_000).unwrap_or_default());
    let error = transform(&again, "1").expect_err("too deep");
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn outputs_are_bounded() {
    let most = limits::MAX_OUTPUT_BYTES;
    assert_eq!(transform(&format!("\"x\" * {} | .", most - 2), "1").map(|output| output.len()), Ok(most));
    assert_eq!(transform(&format!("\"x\" * {}", most - 1), "1"), Err(ProgramError::OutputTooLarge));
    let body = format!("\"{}\"", "x".repeat(most - 2));
    assert_eq!(transform(".", &body).map(|output| output.len()), Ok(most), "a body of the same size passes");
}

#[test]
fn texts_of_programs_are_bounded_and_nest_only_so_deep() {
    let long = " ".repeat(limits::MAX_PROGRAM_BYTES) + ".";
    assert!(matches!(Program::compile(&long), Err(ProgramError::TooLong { .. })));
    let most = limits::MAX_PROGRAM_BYTES;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("-", ""),
        (".|", "."),
        (". as $x|", "."),
        ("label $x|", "."),
        ("try ", "."),
        ("if . then ", " end"),
        ("def f:", ";."),
        ("f(", ")"),
        ("\"\\(", ")\""),
        (".[", "]"),
        ("reduce . as $x (.;", ")"),
        ("@json \"\\(", ")\""),
        (". as [", "] | ."),
        ("1+", "1"),
        (".,", "."),
        (".//", "."),
        (".=", "."),
    ] {
        let levels = most / (open.len() + close.len()) - 2;
        let nested = if close == "." || close == "1" || close.is_empty() {
            format!("{}{}", open.repeat(levels), if close.is_empty() { "." } else { close })
        } else {
            format!("{}.{}", open.repeat(levels), close.repeat(levels))
        };
        match Program::compile(&nested) {
            Ok(_) => assert_eq!(open, "(", "brackets leave nothing behind that is nested"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let unclosed = open.repeat(most / open.len());
        assert!(Program::compile(&unclosed).is_err(), "{open}");
    }
    let wide = vec!["."; most / 2 - 1].join("+");
    assert_eq!(Program::compile(&wide), Err(ProgramError::TooNested));
}

#[test]
fn regular_expressions_are_bounded() {
    let text = format!("{:?}", "a".repeat(30_000));
    for (expression, hint) in [
        ("(a+)+$b", None),
        ("(a|aa)+$", None),
        ("((a{0,100}){0,100}){0,100}", Some("not a regular expression that can be used")),
        ("(?=a)", Some("not a regular expression")),
        ("(", Some("not a regular expression")),
    ] {
        let begun = Instant::now();
        let outcome = transform(&format!("test({expression:?})"), &text);
        assert!(begun.elapsed() < FAR_TOO_LONG, "{expression} took {:?}", begun.elapsed());
        match hint {
            None => assert!(outcome.is_ok(), "{expression}: {outcome:?}"),
            Some(hint) => assert!(outcome.as_ref().is_err_and(|error| error.to_string().contains(hint)), "{outcome:?}"),
        }
    }
    let long = format!("test(\"{}\")", "a".repeat(2_000));
    assert!(transform(&long, &text).is_err_and(|error| error.to_string().contains("2000 bytes")));
    assert!(transform("test(\"a\"; \"q\")", &text).is_err_and(|error| error.to_string().contains("'q' is not a flag")));
    assert!(matches!(
        stopped("[range(1e6) | tostring as $r | try test($r) catch 1]"),
        ProgramError::Failed { .. } | ProgramError::Steps { .. } | ProgramError::Memory { .. }
    ));
}

#[test]
fn large_bodies_have_more_steps() {
    let body: Vec<String> =
        (0..8_000).map(|n| format!(r#"{{"id":{n},"name":"customer {n}","ok":true,"tags":["a","b"]}}"#)).collect();
    let body = format!("[{}]", body.join(","));
    assert_eq!(transform("map({id, name: (.name | ascii_upcase)}) | length", &body).as_deref(), Ok("8000"));
    assert_eq!(transform("map(select(.id % 2 == 0)) | sort_by(.name) | length", &body).as_deref(), Ok("4000"));
    assert_eq!(transform("[.[] | .name] | join(\",\") | length > 1", &body).as_deref(), Ok("true"));
}

#[test]
fn nothing_catches_a_limit() {
    for text in [
        "try (def f: f; f) catch 1",
        "(def f: f; f)? // 1",
        "[.[]? | try repeat(1) catch 1]",
        "first(try last(repeat(1)) catch 1, 2)",
    ] {
        let error = stopped(text);
        assert!(matches!(error, ProgramError::Steps { .. } | ProgramError::Memory { .. }), "{text}: {error}");
    }
}
