//! Forms of arguments that several commands share.

use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use spillway_model::Secret;

use super::error::ClientError;

/// Most bytes that are read from a file or from standard input: as much as a source may take.
const MAX_INPUT_BYTES: u64 = 64 << 20;

/// A time such as `500ms`, `30s`, `5m` or `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Milliseconds(u64);

impl Milliseconds {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// Text that is no [`Milliseconds`].
#[derive(Debug, thiserror::Error)]
#[error("write a time such as 500ms, 30s, 5m or 24h")]
pub(crate) struct InvalidTime;

impl FromStr for Milliseconds {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let duration: jiff::SignedDuration = text.parse().map_err(|_| InvalidTime)?;
        u64::try_from(duration.as_millis()).map(Self).map_err(|_| InvalidTime)
    }
}

/// A value, or the word `none`, which removes what is set.
#[derive(Debug, Clone)]
pub(crate) struct OrNone<T>(Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}

impl<T: Serialize> Serialize for OrNone<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The body of a request to create or change something: only what was given.
#[derive(Debug, Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    pub(crate) fn set(&mut self, name: &str, value: Option<impl Serialize>) -> &mut Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        }
        self
    }

    /// Sets a list unless it is empty.
    pub(crate) fn set_list(&mut self, name: &str, list: &[impl Serialize]) -> &mut Self {
        self.set(name, (!list.is_empty()).then_some(list))
    }

    /// Sets an object unless it is empty.
    pub(crate) fn set_object(&mut self, name: &str, object: Body) -> &mut Self {
        self.set(name, (!object.0.is_empty()).then_some(object.0))
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The same for a change, which has to change something.
    pub(crate) fn into_patch(self) -> Result<Value, ClientError> {
        if self.0.is_empty() {
            return Err(ClientError::Usage(
                "nothing to change: give at least one option with its new value, see --help".to_owned(),
            ));
        }
        Ok(self.into_value())
    }
}

/// Wraps a secret as it stands on the command line.
pub(crate) fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// The secrets to send: each as it was given, and `-` as the first line of standard input.
pub(crate) fn secrets(given: &[Secret]) -> Result<Vec<Secret>, ClientError> {
    given.iter().map(one_secret).collect()
}

/// The secret to send, as [`secrets`] has it.
pub(crate) fn one_secret(given: &Secret) -> Result<Secret, ClientError> {
    if given.expose() != "-" {
        return Ok(given.clone());
    }
    let input = bytes("-")?;
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match std::str::from_utf8(line).map(str::trim_end) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        _ => Err(ClientError::Usage("the secret on standard input is empty or not UTF-8".to_owned())),
    }
}

/// What an argument stands for: the file for `@FILE`, standard input for `-`, else its own text.
pub(crate) fn bytes(argument: &str) -> Result<Vec<u8>, ClientError> {
    let unreadable = |source| ClientError::Input { name: argument.trim_start_matches('@').to_owned(), source };
    let mut content = Vec::new();
    let read = match argument.strip_prefix('@') {
        Some(path) => File::open(path).map_err(unreadable)?.take(MAX_INPUT_BYTES + 1).read_to_end(&mut content),
        None if argument == "-" => std::io::stdin().take(MAX_INPUT_BYTES + 1).read_to_end(&mut content),
        None => return Ok(argument.as_bytes().to_vec()),
    };
    read.map_err(unreadable)?;
    if content.len() as u64 > MAX_INPUT_BYTES {
        return Err(ClientError::Usage(format!("{argument} is larger than {MAX_INPUT_BYTES} bytes")));
    }
    Ok(content)
}

/// The JSON object that an argument stands for; `option` names it in the error.
pub(crate) fn json_object(option: &str, argument: &str) -> Result<Value, ClientError> {
    match serde_json::from_slice(&bytes(argument)?) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ClientError::Usage(format!("{option} must be a JSON object, such as '{{\"tolerance\":\"5m\"}}'"))),
        Err(error) => Err(ClientError::Usage(format!("{option} is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_are_not_negative() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("0s", 0)] {
            assert_eq!(text.parse::<Milliseconds>().map(|time| time.0).ok(), Some(ms), "{text}");
        }
        for text in ["", "30", "-1s", "soon"] {
            assert!(text.parse::<Milliseconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_has_what_was_given_and_null_for_none() {
        let mut body = Body::default();
        body.set("rate_limit", Some("none".parse::<OrNone<String>>().expect("none")));
        body.set("name", None::<String>).set_list("secrets", &[] as &[String]);
        body.set_object("breaker", Body::default());
        assert_eq!(body.into_value(), serde_json::json!({"rate_limit": null}));
        assert!(Body::default().into_patch().is_err());
    }
}
