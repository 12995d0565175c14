//! What is shown of addresses and answers.

use crate::http::HttpAnswer;

/// Characters of an answer that a summary shows.
const SHOWN: usize = 200;

/// The beginning of a text on one line.
pub(super) fn excerpt(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    let mut shown: String = words.chars().take(SHOWN).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    shown
}

/// `answered 403 Forbidden: no`.
pub(super) fn said(answer: &HttpAnswer) -> String {
    let text = excerpt(&String::from_utf8_lossy(&answer.body));
    let colon = if text.is_empty() { "" } else { ": " };
    format!("answered {}{colon}{text}", answer.status)
}

/// An address without what may be secret: its user, password and query.
pub(super) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_secrets() {
        assert_eq!(shown("https://me:secret@host:1/a@b?token=x"), "https://host:1/a@b");
        assert_eq!(shown("/healthz?key=x"), "/healthz");
    }

    #[test]
    fn texts_are_cut_and_put_on_one_line() {
        assert_eq!(excerpt(" a\n b\u{1b}[31m\t c "), "a b[31m c");
        assert_eq!(excerpt(&"é".repeat(300)).chars().count(), SHOWN + 1);
    }
}
