//! The requests of a flood: everything that stays the same is prepared, what differs is written in just before sending.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spillway_model::{Clock, Secret};
use spillway_signature::{Outgoing, Provider, SchemeError, SchemeOptions, sign_as};

use super::{FloodError, Target};

/// What the number of the request replaces in a body.
pub const PLACEHOLDER: &[u8; 16] = b"################";

/// Largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// What every request of a flood has in common.
#[derive(Debug, Clone)]
pub struct RequestPlan {
    /// `None` is GET without a body and POST with one.
    pub method: Option<Method>,
    /// Headers by name and value. `Host` may be replaced; `Content-Length` and `Transfer-Encoding` are the engine's. A header that
    /// signing would add is left as it is given here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub content: Content,
    /// How each request is signed; `None` is not at all.
    pub signing: Option<Signing>,
}

/// The body of the requests. Each [`PLACEHOLDER`] in it becomes the number of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No body.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes: a JSON object with the number as its id where they are enough for one, and zeros otherwise.
    Generated(usize),
}

/// Signs each request on its own, with its own id and the time at which it is sent.
///
/// This costs the generator about 2 µs and the hash of the body under an HMAC scheme, and about 20 µs under Discord's and SendGrid's.
/// Requests signed beforehand would repeat after a while, and a target that knows duplicates would be measured at those.
#[derive(Clone)]
pub struct Signing {
    /// As whom.
    pub provider: Provider,
    /// The secret that the sender holds.
    pub secret: Secret,
    /// Options of the provider's scheme.
    pub options: SchemeOptions,
    /// Where the timestamps come from.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Requests that are ready to be sent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Requests(Arc<Recipe>);

#[derive(Debug)]
struct Recipe {
    method: Method,
    path: String,
    /// The headers that all requests share, with `host`, without `content-length`.
    headers: HeaderMap,
    /// Request line and headers as HTTP/1.1 writes them, without the empty line at their end.
    head: Vec<u8>,
    body: Vec<u8>,
    /// Where the number goes in the body.
    places: Vec<usize>,
    signing: Option<Signing>,
    base: u64,
    closes: bool,
}

impl RequestPlan {
    /// Prepares the requests to `target`, and tries to sign one.
    ///
    /// `run` tells this run from others, in milliseconds since the Unix epoch: requests are numbered in microseconds from there, so that
    /// those of two runs differ as long as neither sends more than a million a second.
    ///
    /// # Errors
    /// [`FloodError::Setting`]: a header that cannot be sent, a body over [`MAX_BODY`], a secret or option that cannot sign.
    pub fn build(&self, target: &Target, run: u64) -> Result<Requests, FloodError> {
        let body = self.content.bytes()?;
        let method = self.method.clone().unwrap_or(if body.is_empty() { Method::GET } else { Method::POST });
        let mut headers = self.headers()?;
        headers.entry(HOST).or_insert_with(|| target.origin.host_header.clone());
        if matches!(self.content, Content::Generated(_)) {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let path = target.path.as_str().to_owned();
        let head = head(&method, &path, &headers, body.len());
        let closes = headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let recipe = Recipe {
            places: places(&body),
            signing: self.signing.clone(),
            base: run.wrapping_mul(1_000),
            method,
            path,
            headers,
            head,
            body,
            closes,
        };
        let signed = recipe.signed(recipe.base, &recipe.body);
        signed.map_err(|error| FloodError::Setting { name: "sign", reason: error.to_string() })?;
        Ok(Requests(Arc::new(recipe)))
    }

    fn headers(&self) -> Result<HeaderMap, FloodError> {
        let problem = |reason: String| FloodError::Setting { name: "header", reason };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).map_err(|_| problem(format!("{name:?} is no name of a header")))?;
            if [CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&parsed) {
                return Err(problem(format!("{name:?} cannot be set: it follows from the body")));
            }
            let value = HeaderValue::try_from(value)
                .map_err(|_| problem(format!("the value of {name:?} has characters that no header may have")))?;
            headers.append(parsed, value);
        }
        Ok(headers)
    }
}

impl Content {
    fn bytes(&self) -> Result<Vec<u8>, FloodError> {
        let size = match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Generated(size) => *size,
        };
        if size > MAX_BODY {
            return Err(FloodError::Setting {
                name: "body",
                reason: format!("{size} bytes are more than the {MAX_BODY} that a body may have"),
            });
        }
        Ok(match self {
            Self::Empty => Vec::new(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Generated(size) => generated(*size),
        })
    }
}

fn generated(size: usize) -> Vec<u8> {
    const START: &[u8] = br##"{"id":"evt_################","type":"flood.generated","data":""##;
    const END: &[u8] = br#""}"#;
    match size.checked_sub(START.len() + END.len()) {
        Some(filler) => [START, &vec![b'x'; filler], END].concat(),
        None => vec![b'0'; size],
    }
}

fn head(method: &Method, path: &str, headers: &HeaderMap, length: usize) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        push_header(&mut head, name.as_str(), value.as_bytes());
    }
    if length > 0 || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        push_header(&mut head, "content-length", length.to_string().as_bytes());
    }
    head
}

fn push_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn places(body: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(window) = body.get(at..at + PLACEHOLDER.len()) {
        if window == PLACEHOLDER {
            places.push(at);
            at += PLACEHOLDER.len();
        } else {
            at += 1;
        }
    }
    places
}

/// The last 16 decimal digits of `number`.
fn write_number(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Recipe {
    fn signed(&self, number: u64, body: &[u8]) -> Result<Vec<(String, String)>, SchemeError> {
        let Some(signing) = &self.signing else { return Ok(Vec::new()) };
        let id = format!("flood_{number:016}");
        let now_unix_ms = signing.clock.now();
        let outgoing = Outgoing { id: &id, body, path_and_query: &self.path, now_unix_ms };
        let mut headers = sign_as(signing.provider, signing.secret.expose(), &signing.options, &outgoing)?;
        headers.retain(|(name, _)| !self.headers.contains_key(name));
        Ok(headers)
    }
}

impl Requests {
    /// What one thread writes its requests with.
    pub(super) fn source(&self) -> Source {
        let recipe = self.0.clone();
        let mut message = recipe.head.clone();
        message.extend_from_slice(b"\r\n");
        let body_at = message.len();
        message.extend_from_slice(&recipe.body);
        Source { body: recipe.body.clone(), recipe, message, body_at }
    }

    /// Answers have no body, whatever their headers say.
    pub(super) fn is_head(&self) -> bool {
        self.0.method == Method::HEAD
    }

    /// Each request asks for the end of its connection.
    pub(super) fn closes(&self) -> bool {
        self.0.closes
    }
}

/// Writes one request at a time into memory that it keeps.
pub(super) struct Source {
    recipe: Arc<Recipe>,
    message: Vec<u8>,
    body_at: usize,
    body: Vec<u8>,
}

impl Source {
    /// Request `index` of the run as HTTP/1.1 sends it. Valid until the next one.
    pub(super) fn message(&mut self, index: u64) -> Result<&[u8], SchemeError> {
        let number = self.recipe.base.wrapping_add(index);
        if self.recipe.signing.is_none() {
            for place in &self.recipe.places {
                let place = self.body_at + place;
                write_number(&mut self.message[place..place + PLACEHOLDER.len()], number);
            }
            return Ok(&self.message);
        }
        self.number_body(number);
        let headers = self.recipe.signed(number, &self.body)?;
        self.message.truncate(self.recipe.head.len());
        for (name, value) in &headers {
            push_header(&mut self.message, name, value.as_bytes());
        }
        self.message.extend_from_slice(b"\r\n");
        self.message.extend_from_slice(&self.body);
        Ok(&self.message)
    }

    /// Request `index` of the run in parts: method, headers and body.
    pub(super) fn parts(&mut self, index: u64) -> Result<(Method, HeaderMap, Bytes), SchemeError> {
        let number = self.recipe.base.wrapping_add(index);
        self.number_body(number);
        let mut headers = self.recipe.headers.clone();
        for (name, value) in self.recipe.signed(number, &self.body)? {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        Ok((self.recipe.method.clone(), headers, Bytes::copy_from_slice(&self.body)))
    }

    fn number_body(&mut self, number: u64) {
        for &place in &self.recipe.places {
            write_number(&mut self.body[place..place + PLACEHOLDER.len()], number);
        }
    }
}

#[cfg(test)]
mod tests;
