//! JSON for people: indented and coloured, every name and number byte by byte as it came.

use maud::{Markup, html};
use serde::de::IgnoredAny;

/// Most of a text that is shown.
const MAX_SHOWN_BYTES: usize = 128 << 10;
/// Deeper things are not indented further.
const MAX_INDENT: usize = 32;

/// What a part of JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Text,
    Number,
    Word,
    Mark,
}

impl Part {
    const fn class(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("j-name"),
            Self::Text => Some("j-text"),
            Self::Number => Some("j-number"),
            Self::Word => Some("j-word"),
            Self::Mark => None,
        }
    }
}

/// A body, indented if it is JSON. What is too long to be shown is cut off, and says so.
pub(crate) fn body(text: &str) -> Markup {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let mut end = text.len().min(MAX_SHOWN_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = &text[..end];
    html! {
        pre.body tabindex="0" aria-label="Body" { code {
            @if is_json { @for (part, piece) in indent(shown) {
                @if let Some(class) = part.class() { span class=(class) { (piece) } } @else { (piece) }
            } } @else { (shown) }
        } }
        @if end < text.len() { p.muted { "The first " (MAX_SHOWN_BYTES / 1024) " KiB. The API and the command line give the whole body." } }
    }
}

/// The parts of a text that is JSON, or the beginning of one, with the white space that makes it readable.
fn indent(text: &str) -> Vec<(Part, String)> {
    let mut parts: Vec<(Part, String)> = Vec::new();
    let mut space = String::new();
    let (mut depth, mut rest) = (0_usize, text.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        match first {
            '{' | '[' => {
                let is_empty = rest.starts_with(if first == '{' { '}' } else { ']' });
                depth += 1;
                push(&mut parts, &mut space, Part::Mark, token);
                if !is_empty {
                    new_line(&mut space, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                let was_empty =
                    parts.last().is_some_and(|(_, piece)| piece.ends_with(if first == '}' { '{' } else { '[' }));
                if !was_empty {
                    space.clear();
                    new_line(&mut space, depth);
                }
                push(&mut parts, &mut space, Part::Mark, token);
            }
            ',' => {
                push(&mut parts, &mut space, Part::Mark, token);
                new_line(&mut space, depth);
            }
            ':' => {
                push(&mut parts, &mut space, Part::Mark, token);
                space.push(' ');
            }
            '"' => push(&mut parts, &mut space, if rest.starts_with(':') { Part::Name } else { Part::Text }, token),
            '-' | '0'..='9' => push(&mut parts, &mut space, Part::Number, token),
            _ => push(&mut parts, &mut space, Part::Word, token),
        }
    }
    parts
}

fn push(parts: &mut Vec<(Part, String)>, space: &mut String, part: Part, token: &str) {
    match parts.last_mut() {
        // White space belongs to no part, so marks take it with them.
        Some((Part::Mark, piece)) => piece.push_str(space),
        _ if space.is_empty() => {}
        _ => parts.push((Part::Mark, space.clone())),
    }
    space.clear();
    match parts.last_mut() {
        Some((Part::Mark, piece)) if part == Part::Mark => piece.push_str(token),
        _ => parts.push((part, token.to_owned())),
    }
}

fn new_line(space: &mut String, depth: usize) {
    space.push('\n');
    space.extend(std::iter::repeat_n("  ", depth.min(MAX_INDENT)));
}

/// Bytes of the token that a text begins with.
fn token_length(text: &str, first: char) -> usize {
    match first {
        '"' => string_length(text),
        '{' | '}' | '[' | ']' | ',' | ':' => 1,
        _ => {
            let end = text.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"'));
            end.unwrap_or(text.len()).max(first.len_utf8())
        }
    }
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        indent(text).into_iter().map(|(_, piece)| piece).collect()
    }

    #[test]
    fn it_is_indented_and_every_number_stays_as_it_was() {
        let text = r#"{"z":1.10,"a":[ ],"n":12345678901234567890,"deep":{"x":[true,null,"a\"b:{"]},"e":{}}"#;
        insta::assert_snapshot!(written(text), @r#"
        {
          "z": 1.10,
          "a": [],
          "n": 12345678901234567890,
          "deep": {
            "x": [
              true,
              null,
              "a\"b:{"
            ]
          },
          "e": {}
        }
        "#);
    }

    #[test]
    fn script_in_a_body_is_text() {
        let drawn = body(r#"{"</code><script>alert(1)</script>":"<img onerror=x>"}"#).into_string();
        assert!(!drawn.contains("<script>") && !drawn.contains("<img"), "{drawn}");
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_white_space_is_added(text in ".{0,200}") {
            let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(plain(&written(&text)), plain(&text));
        }

        #[test]
        fn what_was_json_is_the_same_json(numbers in proptest::collection::vec(proptest::num::i64::ANY, 0..8), name in ".{0,20}") {
            let value = serde_json::json!({ name: numbers, "in": {"a": [[], {}]} });
            let read: serde_json::Value = serde_json::from_str(&written(&value.to_string())).expect("JSON");
            proptest::prop_assert_eq!(read, value);
        }
    }
}
