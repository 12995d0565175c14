//! From a raw value to a type.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};
use ipnet::IpNet;
use spillway_model::{DestinationUrl, Name, Rate, RetrySchedule, Secret, Slot, Validation};

use crate::urls::without_passwords;
use crate::{ByteSize, CorsOrigin, HttpUrl, is_secret_reference, units};

/// A type that one key can hold.
pub(crate) trait Setting: Sized {
    /// The form with an example, to follow "must be".
    fn expected() -> String;

    /// The value, or what was found instead. What was found holds no secret.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as it would be written, with secrets redacted.
    fn show(&self) -> toml::Value;
}

/// Headers and what they carry, by lower-case name. A value may be `env:NAME` or `file:PATH`.
pub(crate) type Headers = BTreeMap<String, Secret>;

macro_rules! text_settings {
    ($($kind:ty: $expected:literal,)+) => {
        $(impl $crate::value::Setting for $kind {
            fn expected() -> String {
                $expected.to_owned()
            }

            fn read(value: &config::Value) -> Result<Self, String> {
                let text = $crate::value::text_of(value);
                text.and_then(|text| text.parse().ok()).ok_or_else(|| $crate::value::found(value))
            }

            fn show(&self) -> toml::Value {
                toml::Value::String(self.to_string())
            }
        })+
    };
}
pub(crate) use text_settings;

text_settings! {
    SocketAddr: "an address with a port such as \"127.0.0.1:8080\"",
    IpNet: "a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
    Name: "a name of 1 to 64 letters, digits, '.', '_' or '-', such as \"billing\"",
    Rate: "a rate such as \"100/s\", \"600/min\", \"1000/h\" or \"5000/d\"",
    DestinationUrl: "an http or https URL without user and password, such as \"https://example.com/hooks\"",
    HttpUrl: "an http or https URL without user and password, such as \"https://hooks.example.com\"",
    CorsOrigin: "an origin such as \"https://app.example.com\", or \"*\"",
    Slot: "\"blue\" or \"green\"",
    ByteSize: "a size such as \"64KiB\", \"1MiB\" or a number of bytes",
}

macro_rules! whole_numbers {
    ($($kind:ty),+) => {
        $(impl Setting for $kind {
            fn expected() -> String {
                "a whole number".to_owned()
            }

            fn read(value: &Value) -> Result<Self, String> {
                text_of(value).and_then(|text| text.trim().parse().ok()).ok_or_else(|| found(value))
            }

            fn show(&self) -> toml::Value {
                i64::try_from(*self).map_or_else(|_| toml::Value::String(self.to_string()), toml::Value::Integer)
            }
        })+
    };
}

whole_numbers!(u32, u64, usize);

impl Setting for Validation {
    fn expected() -> String {
        "\"off\", \"reject\" or \"quarantine\"".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        match text_of(value).as_deref() {
            Some("off") => Ok(Self::Off),
            Some("reject") => Ok(Self::Reject),
            Some("quarantine") => Ok(Self::Quarantine),
            _ => Err(found(value)),
        }
    }

    fn show(&self) -> toml::Value {
        let word = match self {
            Self::Off => "off",
            Self::Reject => "reject",
            Self::Quarantine => "quarantine",
        };
        toml::Value::String(word.to_owned())
    }
}

impl Setting for f64 {
    fn expected() -> String {
        "a number such as 0.5".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        let number = match &value.kind {
            ValueKind::Float(number) => Some(*number),
            _ => text_of(value).and_then(|text| text.trim().parse().ok()),
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| found(value))
    }

    fn show(&self) -> toml::Value {
        toml::Value::Float(*self)
    }
}

impl Setting for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Boolean(flag) => Ok(*flag),
            _ => Err(found(value)),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

impl Setting for String {
    fn expected() -> String {
        "a text that is not empty".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err(found(value)),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.clone())
    }
}

impl Setting for PathBuf {
    fn expected() -> String {
        "a path such as \"/etc/spillway/tls.pem\"".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        String::read(value).map(Self::from)
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.display().to_string())
    }
}

impl Setting for Duration {
    fn expected() -> String {
        "a duration such as \"250ms\", \"30s\", \"5m\" or \"24h\"".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) => units::parse_duration(text).ok_or_else(|| found(value)),
            _ => Err(found(value)),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(units::show_duration(*self))
    }
}

impl Setting for RetrySchedule {
    fn expected() -> String {
        format!(
            "a list of 1 to {} durations of at most \"30d\", such as [\"0s\", \"5s\", \"5m\"]",
            RetrySchedule::LIMIT
        )
    }

    fn read(value: &Value) -> Result<Self, String> {
        let delays = Vec::<Duration>::read(value)?;
        let n_delays = delays.len();
        Self::new(delays).map_err(|_| match n_delays {
            1..=Self::LIMIT => "a longer delay".to_owned(),
            _ => format!("{n_delays} delays"),
        })
    }

    fn show(&self) -> toml::Value {
        let delays = Vec::<u64>::from(self.clone()).into_iter().map(Duration::from_millis);
        toml::Value::Array(delays.map(|delay| delay.show()).collect())
    }
}

impl Setting for Secret {
    fn expected() -> String {
        "a secret: \"env:NAME\", \"file:PATH\" or a text that is not empty".to_owned()
    }

    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) if !matches!(text.as_str(), "" | "env:" | "file:") => Ok(Self::new(text)),
            ValueKind::String(_) => Err("an empty one".to_owned()),
            _ => Err(kind_of(value).to_owned()),
        }
    }

    fn show(&self) -> toml::Value {
        let text = if is_secret_reference(self) { self.expose() } else { "[redacted]" };
        toml::Value::String(text.to_owned())
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }

    /// A text is a list with commas between its items, as variables of the environment write lists.
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Array(items) => items.iter().map(T::read).collect(),
            ValueKind::String(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| T::read(&Value::new(None, item))).collect()
            }
            _ => Err(kind_of(value).to_owned()),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(Setting::show).collect())
    }
}

impl Setting for Headers {
    fn expected() -> String {
        "a table of headers such as { authorization = \"env:NAME\" }".to_owned()
    }

    /// A text is `name=value,name=value`, as variables of the environment write tables.
    fn read(value: &Value) -> Result<Self, String> {
        let pairs: Vec<(String, Secret)> = match &value.kind {
            ValueKind::Table(table) => table
                .iter()
                .map(|(name, value)| Secret::read(value).map(|secret| (name.clone(), secret)))
                .collect::<Result<_, _>>()?,
            ValueKind::String(text) => text
                .split(',')
                .map(|pair| {
                    pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), Secret::new(value.trim())))
                })
                .collect::<Option<_>>()
                .ok_or("a text without '='")?,
            _ => return Err(kind_of(value).to_owned()),
        };
        match pairs.iter().position(|(name, _)| !is_header_name(name)) {
            Some(_) => Err("a name that is no header name".to_owned()),
            None => Ok(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::Table(self.iter().map(|(name, value)| (name.clone(), value.show())).collect())
    }
}

/// The value as JSON. Times have become text when the file was read.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    match &value.kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::I128(_) | ValueKind::U128(_) => value.to_string().into(),
        ValueKind::Array(items) => items.iter().map(to_json).collect(),
        ValueKind::Table(table) => table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}

/// The value as it would be written.
pub(crate) fn to_toml(value: &Value) -> toml::Value {
    match &value.kind {
        ValueKind::Boolean(flag) => toml::Value::Boolean(*flag),
        ValueKind::I64(number) => toml::Value::Integer(*number),
        ValueKind::Float(number) => toml::Value::Float(*number),
        ValueKind::Array(items) => toml::Value::Array(items.iter().map(to_toml).collect()),
        ValueKind::Table(table) => {
            toml::Value::Table(table.iter().map(|(key, value)| (key.clone(), to_toml(value))).collect())
        }
        _ => toml::Value::String(value.to_string()),
    }
}

/// What to say that stands there: the value itself when it is short and simple, without passwords.
pub(crate) fn found(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if text.is_empty() => "an empty text".to_owned(),
        ValueKind::String(text) => format!("{:?}", without_passwords(text).chars().take(80).collect::<String>()),
        ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::Float(_) => value.to_string(),
        _ => kind_of(value).to_owned(),
    }
}

/// What kind of value stands there.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match &value.kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) | ValueKind::Float(_) => {
            "a number"
        }
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}

/// The text of a text or of a whole number, so that `1024` and `"1024"` are one size.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        ValueKind::I64(number) => Some(number.to_string()),
        _ => None,
    }
}

/// RFC 9110, section 5.1: a field name is a token.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
