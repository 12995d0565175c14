use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::flow::data::Data;
use crate::flow::run::FlowRun;
use crate::flow::tests::plan;

/// Renders `text` for user 7 in iteration 3 of the scenario `peak`.
fn rendered(text: &str, escape: Escape) -> Result<String, String> {
    with(|builder| builder.template(text, Escape::None, escape))
}

fn with(build: impl FnOnce(&mut Builder<'_>) -> Result<(), Problem>) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, "name,age\nada,36\n\"b \"\"o\"\"\",41\n").unwrap();
    let (data, columns) = Data::read(&file).unwrap();
    let scope = Scope {
        env: &BTreeMap::from([("REGION".to_owned(), "eu & us".to_owned())]),
        captured: &["id".to_owned(), "never".to_owned()],
        no_captures: None,
        data: &[("users".to_owned(), columns)],
    };
    let mut builder = Builder::new(&scope);
    build(&mut builder).map_err(|problem| problem.to_string())?;
    let template = builder.build();
    let setup = BTreeMap::from([("token".to_owned(), "s3/cret".to_owned())]);
    let run = FlowRun::new(&plan(None), Arc::new(setup));
    let context = Context {
        vu: 7,
        iteration: 3,
        scenario: "peak",
        run: &run,
        captured: &[Some("a \"b\"".into()), None],
        data: &[data],
        rows: &[1],
    };
    template.text(&context).map_err(|missing| missing.to_string())
}

#[test]
fn values_are_what_they_are_called() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{{vu}}/{{ iteration }}/{{scenario}}", "7/3/peak"),
        ("{{sequence}},{{sequence}}", "1,2"),
        ("{{env.REGION}}", "eu & us"),
        ("{{capture.id}}", "a \"b\""),
        ("{{setup.token}}", "s3/cret"),
        ("{{csv.users.name}} {{csv.users.age}}", "b \"o\" 41"),
        ("{{random.int 5 5}}{{random.int -2 -2}}", "5-2"),
        ("{{random.float 0.5 0.5}}", "0.5"),
        ("{{random.choice one thing}}", "one thing"),
        ("\\{{vu}} {a} }} {{vu}}", "{{vu}} {a} }} 7"),
        ("ünï {{vu}} çödé", "ünï 7 çödé"),
    ] {
        assert_eq!(rendered(text, Escape::None).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(rendered("{{capture.id}}&{{setup.token}}", Escape::Query).as_deref(), Ok("a%20%22b%22&s3%2Fcret"));
    assert_eq!(rendered("/{{capture.id}}/{{setup.token}}", Escape::Path).as_deref(), Ok("/a%20%22b%22/s3/cret"));
    assert_eq!(rendered("\"{{capture.id}}\"", Escape::Json).as_deref(), Ok("\"a \\\"b\\\"\""));
    assert!(rendered("{{capture.never}}", Escape::None).unwrap_err().contains("captured no never"));
    assert!(rendered("{{setup.other}}", Escape::None).unwrap_err().contains("captured no other"));
}

#[test]
fn random_values_have_their_form() {
    let text = |text| rendered(text, Escape::None).unwrap();
    let all_are =
        |text: &str, length, allowed: fn(&u8) -> bool| text.len() == length && text.as_bytes().iter().all(allowed);
    assert!(all_are(&text("{{random.string 700}}"), 700, u8::is_ascii_alphanumeric));
    assert!(all_are(&text("{{random.hex 40}}"), 40, |byte| b"0123456789abcdef".contains(byte)));
    assert_ne!(text("{{random.string 32}}"), text("{{random.string 32}}"));
    assert_eq!(uuid::Uuid::parse_str(&text("{{uuid}}")).unwrap().get_version_num(), 4);
    for _ in 0..200 {
        assert!((1..=3).contains(&text("{{random.int 1 3}}").parse().unwrap()));
        assert!((0.5..=1.5).contains(&text("{{random.float 0.5 1.5}}").parse().unwrap()));
        assert!(["red", "green", "blue"].contains(&&*text("{{random.choice red | green|blue}}")));
    }
    let (seconds, millis): (i64, i64) =
        (text("{{timestamp}}").parse().unwrap(), text("{{timestamp_ms}}").parse().unwrap());
    assert!(seconds > 1_700_000_000 && (millis / 1000 - seconds).abs() <= 1);
}

#[test]
fn json_texts_with_one_number_are_numbers() {
    for (text, expected) in [
        ("{{random.int 4 4}}", "4"),
        ("{{ vu }}", "7"),
        ("n{{random.int 4 4}}", "\"n4\""),
        ("{{vu}}{{vu}}", "\"77\""),
        ("{{scenario}}", "\"peak\""),
        ("say \"{{capture.id}}\"\n", "\"say \\\"a \\\"b\\\"\\\"\\n\""),
    ] {
        assert_eq!(with(|builder| builder.json(text)).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn bad_templates_say_what_to_write() {
    for (text, part) in [
        ("{{vu", "close the template"),
        ("{{}}", "there is no such value"),
        ("{{randm.int 1 2}}", "did you mean random.int?"),
        ("{{vu 3}}", "nothing stands after vu"),
        ("{{random.int 3}}", "{{random.int 1 6}}"),
        ("{{random.int 3 1}}", "the first number is the smaller one"),
        ("{{random.int a b}}", "write two numbers"),
        ("{{random.float 0 inf}}", "too large"),
        ("{{random.string}}", "write a length"),
        ("{{random.string 99999999999}}", "16777216"),
        ("{{random.choice}}", "red|green|blue"),
        ("{{env.SPILLWAY_NO_SUCH_VARIABLE}}", "has SPILLWAY_NO_SUCH_VARIABLE: set one of them"),
        ("{{capture.other}}", "captured by then: id, never"),
        ("{{csv.users.nam}}", "its columns are name, age"),
        ("{{csv.orders.id}}", "data = { orders = \"orders.csv\" }"),
    ] {
        let error = rendered(text, Escape::None).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}
