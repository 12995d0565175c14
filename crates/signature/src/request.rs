//! What a verifier looks at: headers, raw body, target and time.

/// One request as it came in. Nothing of it is copied.
pub struct Request<'a, H: ?Sized> {
    /// The request's headers.
    pub headers: &'a H,
    /// The body's exact bytes, before any parsing. The caller bounds its length.
    pub body: &'a [u8],
    /// Path and query as received, such as `/in/twilio?foo=1`. Only Twilio's scheme reads it.
    pub path_and_query: &'a str,
    /// Now, in milliseconds since the Unix epoch.
    pub now_unix_ms: i64,
}

/// What a request holds under one header name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderValues<'a> {
    /// No such header.
    Missing,
    /// Exactly one value.
    One(&'a [u8]),
    /// Two values or more; this is the first.
    Repeated(&'a [u8]),
}

impl<'a> HeaderValues<'a> {
    /// Sorts the values of one name, in the order of the request, into the three cases.
    pub fn from_values(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::One(value),
            (Some(first), Some(_)) => Self::Repeated(first),
        }
    }
}

/// Where headers are read from. Names are compared without regard to case.
pub trait HeaderSource {
    /// What the request holds under this name.
    fn lookup(&self, name: &str) -> HeaderValues<'_>;

    /// The first value under this name.
    fn get(&self, name: &str) -> Option<&[u8]> {
        match self.lookup(name) {
            HeaderValues::Missing => None,
            HeaderValues::One(value) | HeaderValues::Repeated(value) => Some(value),
        }
    }
}

impl HeaderSource for http::HeaderMap {
    fn lookup(&self, name: &str) -> HeaderValues<'_> {
        HeaderValues::from_values(self.get_all(name).iter().map(http::HeaderValue::as_bytes))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> HeaderSource for [(N, V)] {
    fn lookup(&self, name: &str) -> HeaderValues<'_> {
        let named = self.iter().filter(|(candidate, _)| candidate.as_ref().eq_ignore_ascii_case(name));
        HeaderValues::from_values(named.map(|(_, value)| value.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> HeaderSource for Vec<(N, V)> {
    fn lookup(&self, name: &str) -> HeaderValues<'_> {
        self.as_slice().lookup(name)
    }
}
