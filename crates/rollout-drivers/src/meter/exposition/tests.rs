use super::*;

fn samples(text: &str) -> Vec<Line<'_>> {
    let items = read(text).map(|item| item.unwrap());
    items.filter_map(|item| if let Item::Sample(line) = item { Some(line) } else { None }).collect()
}

#[test]
fn labels_may_hold_braces_commas_quotes_and_escapes() {
    let text = r#"http_count{route="/sources/{id},x",note="a \"b\" \\ c\nd",} 7 # {trace_id="abc"} 0.2 1.5"#;
    let line = &samples(text)[0];
    assert_eq!((line.name, line.value), ("http_count", 7.0));
    assert_eq!(line.labels, [("route", "/sources/{id},x".into()), ("note", "a \"b\" \\ c\nd".into())]);
}

#[test]
fn both_formats_are_read() {
    let text = "# HELP a_b Text with {braces}\n# TYPE a_b histogram\r\n\na_b_bucket{le=\"+Inf\"} 3 1700000000000\n\
                a_b_count 3\nns:rule{ x = \"1\" , y=\"2\" } NaN\nneg -1.5e3\n# EOF\n";
    let lines = samples(text);
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    assert_eq!(names, ["a_b_bucket", "a_b_count", "ns:rule", "neg"]);
    assert_eq!(lines[2].labels.len(), 2);
    assert!(lines[2].value.is_nan());
    assert_eq!(lines[3].value, -1500.0);
    assert!(read(text).any(|item| item == Ok(Item::Family("a_b"))));
}

#[test]
fn garbage_is_named_by_its_line() {
    let wrong = [
        "<html>",
        "name",
        "9lives 1",
        "a{b=\"c\" 1",
        "a{b=\"c} 1",
        "a{b=c} 1",
        "a{b=\"c\"d=\"e\"} 1",
        "a one",
        "a 1 two",
        "a{\"b\"} 1",
        "ä 1",
    ];
    for wrong in wrong {
        let text = format!("ok 1\n{wrong}\n");
        let error = read(&text).find_map(Result::err).unwrap_or_else(|| panic!("{wrong} passed"));
        assert!(error.to_string().starts_with("line 2 is no metric"), "{error}");
    }
}

#[test]
fn any_bytes_are_read_or_refused_without_a_panic() {
    let text = "a{b=\"\\\"} 1\n a{b=\"é\\";
    for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
        let _ = read(&text[..end]).count();
    }
}
