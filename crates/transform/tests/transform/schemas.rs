use serde_json::{Value, json};
use spillway_transform::{Schema, SchemaError, limits};

#[track_caller]
fn schema(schema: &Value) -> Schema {
    Schema::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn invoice() -> Schema {
    schema(&json!({
        "type": "object",
        "required": ["id", "amount"],
        "properties": {
            "id": {"type": "string", "pattern": "^inv_"},
            "amount": {"type": "integer", "minimum": 1},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        },
        "$defs": {"line": {"type": "object", "required": ["sku"]}},
    }))
}

#[test]
fn a_body_satisfies_its_schema_or_is_told_where_it_does_not() {
    assert_eq!(invoice().validate(br#"{"id":"inv_1","amount":5,"lines":[{"sku":"a"}]}"#), Ok(()));
    let error = invoice().validate(br#"{"id":"x","amount":0,"lines":[{"sku":"a"},{}]}"#).expect_err("violations");
    insta::assert_snapshot!(error, @r#"/amount: value is less than the minimum of 1; /id: value does not match "^inv_"; /lines/1: "sku" is a required property"#);
    let error = invoice().validate(b"[]").expect_err("not an object");
    assert_eq!(error.to_string(), "the body: value is not of type \"object\"");
    let error = invoice().validate(b"{\"id\":").expect_err("not JSON");
    assert!(matches!(&error, SchemaError::NotJson { reason } if reason.contains("line 1")), "{error}");
}

#[test]
fn only_the_first_violations_are_told_and_none_shows_the_senders_values() {
    let names = schema(&json!({"type": "array", "items": {"type": "integer"}}));
    let body = json!(vec!["4111 1111 1111 1111"; 1_000]).to_string();
    let Err(SchemaError::Violated(violations)) = names.validate(body.as_bytes()) else { panic!("violations") };
    assert_eq!(violations.len(), limits::MAX_VIOLATIONS);
    assert!(!violations[0].reason.contains("4111"), "{}", violations[0]);
    assert_eq!(violations[1].pointer, "/1");
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (invalid, hint) in [
        (json!({"type": "strin"}), "/type"),
        (json!({"properties": {"a": {"minimum": "x"}}}), "/properties/a/minimum"),
        (json!({"pattern": "("}), "pattern"),
        (json!({"pattern": "(?=a)"}), "pattern"),
        (json!({"$ref": "https://example.com/schema.json"}), "https://example.com/schema.json is another document"),
        (json!({"$ref": "file:///etc/passwd"}), "another document"),
        (json!({"$ref": "other.json"}), "another document"),
        (json!({"$ref": "#/$defs/missing"}), "missing"),
        (json!("text"), ""),
        (json!({"$schema": "https://example.com/own-draft"}), "example.com"),
    ] {
        let error = Schema::compile(&invalid).expect_err(&invalid.to_string());
        let text = error.to_string();
        assert!(matches!(error, SchemaError::Invalid { .. }) && text.contains(hint), "{invalid}: {text}");
        assert!(text.len() < 1_000, "{text}");
    }
}

#[test]
fn a_huge_schema_is_refused() {
    let huge = json!({"enum": vec!["x".repeat(1_000); 70]});
    assert!(matches!(Schema::compile(&huge), Err(SchemaError::TooLarge { bytes }) if bytes > 70_000));
}

#[test]
fn schemas_that_lead_to_themselves_do_not_take_the_process_down() {
    let list = schema(&json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["v"]}));
    assert_eq!(list.validate(br#"{"v":1,"next":{"v":2,"next":{"v":3}}}"#), Ok(()));
    assert!(list.validate(br#"{"v":1,"next":{"v":2,"next":{}}}"#).is_err());
    for loops in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
    ] {
        if let Ok(schema) = Schema::compile(&loops) {
            drop(schema.validate(b"{\"a\":1}"));
        }
    }
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let tree = schema(&json!({"items": {"$ref": "#"}}));
    assert_eq!(tree.validate(deep.as_bytes()), Ok(()));
    let deeper = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(tree.validate(deeper.as_bytes()).is_err_and(|error| matches!(error, SchemaError::NotJson { .. })));
}
