//! Style, script and mark, under names that say what is in them: browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderValue, StatusCode, header};
use ring::digest::{SHA256, digest};

/// A file of the console.
pub(crate) struct Asset {
    /// Where it is, such as `/console/assets/console-0123456789ab.css`.
    pub(crate) path: String,
    kind: &'static str,
    content: &'static str,
}

/// How the console looks.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("../assets/console.css")));

/// What it does without loading a page.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});

/// Its mark.
pub(crate) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("../assets/mark.svg")));

impl Asset {
    fn new(name: &str, ending: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = HEXLOWER.encode(&digest(&SHA256, content.as_bytes()).as_ref()[..6]);
        Self { path: format!("/console/assets/{name}-{hash}.{ending}"), kind, content }
    }
}

/// Serves a file. A name of another version is none: its page is another version's too, and says so to nobody.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let wanted = format!("/console/assets/{name}");
    let assets: [&Asset; 3] = [&STYLE, &SCRIPT, &MARK];
    let Some(asset) = assets.into_iter().find(|asset| asset.path == wanted) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text against what lies behind it has a contrast of 4.5 at least (WCAG 2, AA), in both themes.
    #[test]
    fn text_can_be_read_in_light_and_dark() {
        let themes: Vec<&str> = STYLE.content.split("/* theme */").skip(1).collect();
        assert_eq!(themes.len(), 3, "light, dark by the system, dark by choice");
        for theme in themes {
            let theme = theme.split('}').next().expect("a theme");
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
            for text in [
                "text",
                "muted",
                "good",
                "wait",
                "bad",
                "accent",
                "received",
                "delivered",
                "failed",
                "p50",
                "p95",
                "p99",
            ] {
                for behind in ["bg", "panel", "rail"] {
                    let contrast = contrast(text, behind);
                    assert!(contrast >= 4.5, "{text} on {behind}: {contrast:.2}");
                }
            }
            for (text, behind) in [
                ("good", "good-bg"),
                ("wait", "wait-bg"),
                ("bad", "bad-bg"),
                ("on-accent", "accent-bg"),
                ("muted", "hover"),
            ] {
                let contrast = contrast(text, behind);
                assert!(contrast >= 4.5, "{text} on {behind}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn nothing_names_another_host() {
        for asset in [&*STYLE, &*SCRIPT, &*MARK] {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("http://") && !content.contains("https://"), "{}", asset.path);
        }
    }
}
