//! The known key that a misspelt one was meant to be.

use std::collections::BTreeSet;

use strsim::{damerau_levenshtein, normalized_damerau_levenshtein};

/// What to say of an unknown key.
pub(crate) struct Suggestion {
    /// The nearest known key with its path, if one is near.
    pub(crate) nearest: Option<String>,
    /// Keys of the same table, sorted.
    pub(crate) siblings: Vec<String>,
}

/// Looks among the keys of the same table first, then for the same key in another table, then for a similar path.
///
/// Paths of both sides write a table of a list as `sources[]`.
pub(crate) fn suggest<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> Suggestion {
    let paths: BTreeSet<&str> = known.flat_map(with_tables).collect();
    let (table, leaf) = split(unknown);
    let siblings: Vec<&str> = paths.iter().copied().filter(|path| split(path).0 == table).collect();
    let leaf_score = |path: &str| normalized_damerau_levenshtein(leaf, &spoken(split(path).1));
    let everywhere: Vec<&str> = paths.iter().copied().collect();
    let nearest = best(&siblings, 0.5, leaf_score)
        .or_else(|| best(&everywhere, 0.8, leaf_score))
        .or_else(|| best(&everywhere, 0.6, |path| normalized_damerau_levenshtein(unknown, path)));
    Suggestion { nearest: nearest.map(spoken), siblings: siblings.iter().map(|path| spoken(split(path).1)).collect() }
}

/// The name nearest to `wanted`, if at most a third of it differs.
pub(crate) fn nearest_name<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (damerau_levenshtein(wanted, name), name))
        .filter(|(distance, name)| *distance <= wanted.len().max(name.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

fn best<'p>(candidates: &[&'p str], at_least: f64, score: impl Fn(&str) -> f64) -> Option<&'p str> {
    let scored = candidates.iter().map(|path| (score(path), *path)).filter(|(score, _)| *score >= at_least);
    scored.max_by(|(a, left), (b, right)| a.total_cmp(b).then_with(|| right.cmp(left))).map(|(_, path)| path)
}

/// The path and the tables it lies in.
fn with_tables(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('.').map(|(table, _)| table))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn spoken(path: &str) -> String {
    path.replace("[]", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] =
        ["server.listen", "server.max_body", "store.url", "sources[].secrets", "destinations[].breaker.interval"];

    fn nearest(unknown: &str) -> Option<String> {
        suggest(unknown, KNOWN.into_iter()).nearest
    }

    #[test]
    fn a_misspelt_key_section_or_place_finds_what_was_meant() {
        assert_eq!(nearest("server.lissten").as_deref(), Some("server.listen"));
        assert_eq!(nearest("sevrer").as_deref(), Some("server"));
        assert_eq!(nearest("listen").as_deref(), Some("server.listen"));
        assert_eq!(nearest("source").as_deref(), Some("sources"));
        assert_eq!(nearest("sources[].secret").as_deref(), Some("sources.secrets"));
        assert_eq!(nearest("store.max_body").as_deref(), Some("server.max_body"));
    }

    #[test]
    fn nothing_near_lists_the_keys_of_the_table() {
        let suggestion = suggest("server.zzzzzzzzzz", KNOWN.into_iter());
        assert_eq!(suggestion.nearest, None);
        assert_eq!(suggestion.siblings, ["listen", "max_body"]);
    }

    #[test]
    fn names_are_near_when_few_letters_differ() {
        assert_eq!(nearest_name("bilings", ["billing", "github"].into_iter()), Some("billing"));
        assert_eq!(nearest_name("mail", ["billing", "github"].into_iter()), None);
    }
}
