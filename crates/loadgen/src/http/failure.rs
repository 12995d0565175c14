//! Why an exchange got no whole answer, as a small set of names.

use std::error::Error;
use std::io;

/// What kept an answer from coming, as the tag `error` says it. The set is closed, so it costs a bounded number of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The host's name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// The other side reset the connection or the stream.
    Reset,
    /// The other side closed the connection before the answer was whole.
    Closed,
    /// The request's time was over.
    Timeout,
    /// No TLS session: certificate, versions, or no TLS at all on the other side.
    Tls,
    /// What came is not HTTP or WebSocket.
    Protocol,
    /// This process may open no more files.
    TooManyOpenFiles,
    /// This machine has no port left for another connection to the same address.
    NoLocalPorts,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// The value of the tag `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::TooManyOpenFiles => "too_many_open_files",
            Self::NoLocalPorts => "no_local_ports",
            Self::Other => "other",
        }
    }
}

/// An exchange that failed before its answer was whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind, for tags.
    pub class: ErrorClass,
    /// What happened, for people.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    pub(crate) fn timeout() -> Self {
        Self::new(ErrorClass::Timeout, "the request's time was over before the answer was whole")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(of_io(&error), error.to_string())
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        let class = causes(&error).find_map(specific).unwrap_or_else(|| match &error {
            error if error.is_parse() => ErrorClass::Protocol,
            error if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => ErrorClass::Closed,
            error if error.is_timeout() => ErrorClass::Timeout,
            _ => ErrorClass::Other,
        });
        let message = causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        Self::new(class, message)
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for Failure {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        use tokio_tungstenite::tungstenite::Error as Ws;
        use tokio_tungstenite::tungstenite::error::ProtocolError;
        let class = match &error {
            Ws::Io(error) => of_io(error),
            Ws::ConnectionClosed
            | Ws::AlreadyClosed
            | Ws::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
                ErrorClass::Closed
            }
            _ => ErrorClass::Protocol,
        };
        Self::new(class, error.to_string())
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn specific(error: &(dyn Error + 'static)) -> Option<ErrorClass> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(of_io(error));
    }
    let error = error.downcast_ref::<h2::Error>()?;
    Some(match error.get_io() {
        Some(error) => of_io(error),
        None if error.is_reset() => ErrorClass::Reset,
        None if error.is_go_away() => ErrorClass::Closed,
        None => ErrorClass::Protocol,
    })
}

fn of_io(error: &io::Error) -> ErrorClass {
    use io::ErrorKind as Kind;
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return ErrorClass::Tls;
    }
    match error.kind() {
        Kind::ConnectionRefused => ErrorClass::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => ErrorClass::Unreachable,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => ErrorClass::Reset,
        Kind::UnexpectedEof | Kind::NotConnected => ErrorClass::Closed,
        Kind::TimedOut => ErrorClass::Timeout,
        Kind::AddrNotAvailable | Kind::AddrInUse => ErrorClass::NoLocalPorts,
        _ if is_file_limit(error) => ErrorClass::TooManyOpenFiles,
        _ => ErrorClass::Other,
    }
}

/// `EMFILE` and `ENFILE`, which the standard library has no kind for.
fn is_file_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
