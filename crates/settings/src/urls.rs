//! Addresses of what the gateway talks to, and of itself.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use spillway_model::{DestinationUrl, Secret};

/// Text that is none of the URLs of this module. Says nothing of the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URL of the expected form")]
pub struct InvalidUrl;

/// Where events are kept. `Display` hides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite database in this file: `sqlite://PATH`, with a third slash for an absolute path.
    Sqlite(PathBuf),
    /// A PostgreSQL database: `postgres://…` or `postgresql://…`, with its password.
    Postgres(Secret),
}

impl StoreUrl {
    /// Whether the database takes processor time of this machine: SQLite does, and a server at a loopback address or a socket.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        let Self::Postgres(url) = self else { return true };
        let Ok(url) = url::Url::parse(url.expose()) else { return false };
        let named = url.query_pairs().find(|(name, _)| matches!(&**name, "host" | "hostaddr")).map(|(_, host)| host);
        let host = named.as_deref().or(url.host_str()).unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_socket = host.is_empty() || host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f");
        is_socket || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            let is_file = !path.is_empty() && !path.contains(['?', '#']) && !path.contains(":memory:");
            return if is_file { Ok(Self::Sqlite(path.into())) } else { Err(InvalidUrl) };
        }
        network_url(text, &["postgres://", "postgresql://"]).map(Self::Postgres)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_passwords(url.expose())),
        }
    }
}

/// A Redis server: `redis://…`, or `rediss://…` with TLS; or the sentinels that know where it is: `redis+sentinel://host,host/service`, or
/// `rediss+sentinel://…`. `Display` hides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl(Secret);

impl RedisUrl {
    /// The URL with its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        network_url(text, &["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://"]).map(Self)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_passwords(self.0.expose()))
    }
}

/// An absolute `http` or `https` URL without credentials and fragment, and without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url: DestinationUrl = text.parse().map_err(|_| InvalidUrl)?;
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A web origin that browsers may call the API from: `https://host[:port]` without a path, or `*` for every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// The origin as the `Origin` header spells it, or `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every origin.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }
}

impl FromStr for CorsOrigin {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
        if text == "*" || (!has_path && text.parse::<DestinationUrl>().is_ok()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidUrl)
        }
    }
}

impl fmt::Display for CorsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` with `***` in place of what may be a password: the part of a URL between the user and the last `@`, and
/// parameters whose name speaks of a secret.
pub(crate) fn without_passwords(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (credentials, rest) =
        rest.rsplit_once('@').map_or((None, rest), |(credentials, rest)| (Some(credentials), rest));
    let credentials = match credentials.map(|credentials| credentials.split_once(':')) {
        Some(Some((user, _))) => format!("{user}:***@"),
        Some(None) => format!("{}@", credentials.unwrap_or_default()),
        None => String::new(),
    };
    let Some((address, query)) = rest.split_once('?') else { return format!("{scheme}://{credentials}{rest}") };
    let pairs: Vec<String> = query.split('&').map(without_secret_parameter).collect();
    format!("{scheme}://{credentials}{address}?{}", pairs.join("&"))
}

/// Whether the URL carries a password that [`without_passwords`] would hide.
pub(crate) fn has_password(text: &str) -> bool {
    without_passwords(text) != text
}

fn without_secret_parameter(pair: &str) -> String {
    let secret =
        |name: &str| ["pass", "secret", "token", "key"].iter().any(|word| name.to_ascii_lowercase().contains(word));
    match pair.split_once('=') {
        Some((name, _)) if secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    }
}

fn network_url(text: &str, schemes: &[&str]) -> Result<Secret, InvalidUrl> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(InvalidUrl)?;
    let printable = rest.bytes().all(|byte| byte.is_ascii_graphic());
    if !rest.is_empty() && printable && text.len() <= 2_048 { Ok(Secret::new(text)) } else { Err(InvalidUrl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_urls_name_a_file_or_a_server() {
        assert_eq!("sqlite://data/a.db".parse(), Ok(StoreUrl::Sqlite("data/a.db".into())));
        assert_eq!("sqlite:///var/a.db".parse(), Ok(StoreUrl::Sqlite("/var/a.db".into())));
        assert!(matches!("postgresql://u@h/d".parse(), Ok(StoreUrl::Postgres(_))));
        for bad in
            ["", "sqlite://", "sqlite::memory:", "sqlite://:memory:", "sqlite://a?mode=ro", "mysql://h", "postgres://"]
        {
            assert_eq!(bad.parse::<StoreUrl>(), Err(InvalidUrl), "{bad}");
        }
    }

    #[test]
    fn a_database_is_on_this_machine_unless_its_server_is_elsewhere() {
        for (url, expected) in [
            ("sqlite://a.db", true),
            ("postgres://localhost/d", true),
            ("postgres://u:p@127.0.0.1:5433/d", true),
            ("postgres://[::1]/d", true),
            ("postgres:///d?user=u", true),
            ("postgres://%2Frun%2Fpostgresql/d", true),
            ("postgres://elsewhere/d?host=/run/postgresql", true),
            ("postgres://localhost/d?host=elsewhere", false),
            ("postgres://localhost.example/d", false),
            ("postgres://10.0.0.7/d", false),
            ("postgres://[fd00::7]/d", false),
        ] {
            assert_eq!(url.parse::<StoreUrl>().unwrap().is_on_this_machine(), expected, "{url}");
        }
    }

    #[test]
    fn passwords_are_hidden_wherever_a_url_can_hold_them() {
        for (url, shown) in [
            ("postgres://user:hid/den@host/db", "postgres://user:***@host/db"),
            ("postgres://user@host/db", "postgres://user@host/db"),
            ("redis://:hidden@host:6379/1", "redis://:***@host:6379/1"),
            ("redis+sentinel://:hidden@a,b:26379/main", "redis+sentinel://:***@a,b:26379/main"),
            ("postgres://host/db?sslmode=require&password=hidden", "postgres://host/db?sslmode=require&password=***"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(without_passwords(url), shown);
        }
    }

    #[test]
    fn origins_have_no_path() {
        assert!("https://console.example".parse::<CorsOrigin>().is_ok());
        assert!("*".parse::<CorsOrigin>().is_ok_and(|origin| origin.is_any()));
        for bad in ["console.example", "https://a/", "https://a?b", "https://u:p@a", ""] {
            assert_eq!(bad.parse::<CorsOrigin>(), Err(InvalidUrl), "{bad}");
        }
    }

    #[test]
    fn http_urls_lose_a_slash_at_their_end() {
        assert_eq!(
            "https://hooks.example/".parse::<HttpUrl>().map(|url| url.to_string()),
            Ok("https://hooks.example".into())
        );
    }
}
