//! JSON for people: the same text on several lines, with members in the order in which they were answered.

/// `json`, which must be valid, with one member on each line. `depth` is how deep its first line stands already.
pub(crate) fn indented(json: &str, mut depth: usize) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut characters = json.chars().filter({
        let mut in_string = InString::default();
        move |character| in_string.after(*character) || !character.is_ascii_whitespace()
    });
    let mut in_string = InString::default();
    let mut next = characters.next();
    while let Some(character) = next {
        next = characters.next();
        if in_string.after(character) {
            text.push(character);
            continue;
        }
        match character {
            '{' | '[' if matches!(next, Some('}' | ']')) => {
                text.push(character);
                text.extend(next);
                next = characters.next();
            }
            '{' | '[' => {
                depth += 1;
                text.push(character);
                new_line(&mut text, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => text.push(character),
        }
    }
    text
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Whether a character belongs to a string, its quotes included.
#[derive(Default)]
struct InString {
    is_inside: bool,
    is_escaped: bool,
}

impl InString {
    fn after(&mut self, character: char) -> bool {
        let was_inside = self.is_inside;
        match character {
            _ if self.is_escaped => self.is_escaped = false,
            '\\' if was_inside => self.is_escaped = true,
            '"' => self.is_inside = !was_inside,
            _ => {}
        }
        was_inside || self.is_inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_strings_their_characters() {
        let json = r#"{"b":1,"a":[{"x": "{\"y\\\":[ ,"},null],"e":{},"f":[ ]}"#;
        let expected = "{\n  \"b\": 1,\n  \"a\": [\n    {\n      \"x\": \"{\\\"y\\\\\\\":[ ,\"\n    },\n    null\n  ],\n  \"e\": {},\n  \"f\": []\n}";
        assert_eq!(indented(json, 0), expected);
        assert_eq!(indented("[1]", 1), "[\n    1\n  ]");
        assert_eq!(indented("\"a: b\"", 0), "\"a: b\"");
    }
}
