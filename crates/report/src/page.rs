//! A page that needs no other file, light and dark, for the screen and for paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// Nothing may be loaded and nothing runs, whatever stands in a name.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page with its style. `title` is escaped.
#[must_use]
pub fn page(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both themes: text against what lies behind it has a contrast of 4.5 at least (WCAG 2, AA).
    #[test]
    fn text_can_be_read_in_light_and_dark() {
        let themes: Vec<&str> = STYLE.split(":root {").skip(1).filter_map(|theme| theme.split('}').next()).collect();
        assert_eq!(themes.len(), 3, "light, dark, paper");
        for theme in themes {
            let colour = |name: &str| -> [f64; 3] {
                let hex = theme.split(&format!("--{name}: #")).nth(1).and_then(|rest| rest.get(..6)).expect(name);
                [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect(hex)) / 255.0)
            };
            let luminance = |name: &str| {
                let linear =
                    |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
                let [red, green, blue] = colour(name).map(linear);
                0.2126 * red + 0.7152 * green + 0.0722 * blue
            };
            let contrast = |text: &str, behind: &str| {
                let (one, other) = (luminance(text) + 0.05, luminance(behind) + 0.05);
                one.max(other) / one.min(other)
            };
            for text in ["text", "muted", "good", "bad", "wait", "accent", "p50", "p95", "p99"] {
                for behind in ["bg", "panel"] {
                    let contrast = contrast(text, behind);
                    assert!(contrast >= 4.5, "{text} on {behind}: {contrast:.2}");
                }
            }
            for line in ["p50", "p95", "p99", "muted"] {
                assert!(contrast(line, "load") >= 3.0, "{line} before the load");
            }
        }
    }

    #[test]
    fn nothing_foreign_is_loaded_and_titles_are_text() {
        let page = page("<script>", &html! { p { "content" } });
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<title>&lt;script&gt;</title>"), "{page}");
        assert!(page.contains("default-src 'none'"), "{page}");
    }
}
