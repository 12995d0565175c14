//! Cookies of the console. They belong to its paths alone.

use http::{HeaderMap, HeaderValue, header};

/// The sealed session.
pub(crate) const SESSION: &str = "spillway_session";
/// The theme that was chosen.
pub(crate) const THEME: &str = "spillway_theme";

/// The value of the first cookie with this name.
pub(crate) fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Sets a cookie that no script reads and no other site sends. `max_age` is in seconds; zero removes it.
pub(crate) fn set(name: &str, value: &str, max_age: u64, tls: bool) -> HeaderValue {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/console; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("x_spillway_theme=1; a=b"));
        headers.append(header::COOKIE, HeaderValue::from_static("spillway_theme=dark"));
        assert_eq!(get(&headers, THEME), Some("dark"));
        assert_eq!(get(&headers, SESSION), None);
    }

    #[test]
    fn cookies_are_for_no_script_and_no_other_site() {
        let cookie = set(SESSION, "x", 43_200, true);
        let text = cookie.to_str().expect("text");
        assert_eq!(text, "spillway_session=x; Path=/console; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    }
}
