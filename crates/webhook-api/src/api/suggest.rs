//! What a misspelt word was meant to be.

use strsim::damerau_levenshtein;

/// The known word nearest to `given`, if at most a third of it differs.
pub(super) fn nearest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing costs the product of the lengths; nobody misspells a word into this many letters.
    if given.len() > 100 {
        return None;
    }
    known
        .map(|word| (damerau_levenshtein(given, word), word))
        .filter(|(distance, word)| *distance <= given.len().max(word.len()).div_ceil(3))
        .min()
        .map(|(_, word)| word)
}

/// Serde's complaint about an unknown field, with the nearest known one added; any other complaint as it is.
///
/// Serde writes ``unknown field `x`, expected one of `a`, `b` ``.
pub(super) fn with_nearest_field(complaint: &str) -> String {
    let Some((_, rest)) = complaint.split_once("unknown field `") else { return complaint.to_owned() };
    let mut quoted = rest.split('`').step_by(2);
    let Some(unknown) = quoted.next() else { return complaint.to_owned() };
    match nearest(unknown, quoted.filter(|word| !word.is_empty())) {
        Some(meant) => format!("{complaint}; did you mean `{meant}`?").replace("?.", "?"),
        None => complaint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_names_the_nearest_known_one() {
        let complaint = "unknown field `secretts`, expected one of `name`, `provider`, `secrets` at line 1 column 9";
        assert!(with_nearest_field(complaint).ends_with("did you mean `secrets`?"));
        let far = "unknown field `zzzzzzzz`, expected `name` or `provider`";
        assert_eq!(with_nearest_field(far), far);
        assert_eq!(with_nearest_field("missing field `name`"), "missing field `name`");
    }
}
