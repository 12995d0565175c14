//! Answers of HTTP/1.1 as they come in: where one ends, its status, and whether the connection can be used again. Bodies are skipped.

/// Longest head or trailer of an answer, in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;

const MAX_HEADERS: usize = 128;

/// Follows the answers on one connection.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The beginning of a head that is not whole yet.
    held: Vec<u8>,
    state: State,
    status: u16,
    reusable: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size {
        value: u64,
        digits: u8,
        extension: bool,
    },
    Data(u64),
    DataEnd,
    /// In line of the trailer that has so many bytes so far, after so many in all.
    Trailer {
        line: usize,
        all: usize,
    },
}

const CHUNK_START: Chunk = Chunk::Size { value: 0, digits: 0, extension: false };

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// The server keeps the connection, and sent nothing after the answer.
    pub(super) reusable: bool,
}

/// Bytes that are no HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Answer {
    /// Takes the next bytes of the connection; an answer once it is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], to_head: bool) -> Result<Option<Answered>, Malformed> {
        let mut rest = bytes;
        loop {
            match self.state {
                State::Head => {
                    let Some(n) = self.head(rest, to_head)? else { return Ok(None) };
                    rest = &rest[n..];
                    if self.state == State::Length(0) {
                        return Ok(Some(self.done(rest)));
                    }
                    if rest.is_empty() {
                        return Ok(None);
                    }
                }
                State::Length(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    rest = &rest[n..];
                    let left = left - n as u64;
                    self.state = State::Length(left);
                    return Ok((left == 0).then(|| self.done(rest)));
                }
                State::Chunked(chunk) => {
                    let (chunk, n) = chunk.step(rest)?;
                    rest = &rest[n..];
                    match chunk {
                        None => return Ok(Some(self.done(rest))),
                        Some(chunk) => self.state = State::Chunked(chunk),
                    }
                    if rest.is_empty() {
                        return Ok(None);
                    }
                }
                State::UntilClose => return Ok(None),
            }
        }
    }

    /// The server closed the connection: the answer, if that is how it ends.
    pub(super) fn close(&mut self) -> Option<Answered> {
        (self.state == State::UntilClose).then(|| self.done(&[]))
    }

    fn done(&mut self, rest: &[u8]) -> Answered {
        self.state = State::Head;
        Answered { status: self.status, reusable: self.reusable && rest.is_empty() }
    }

    /// Reads a head; how many of `bytes` belong to it, or `None` if more are needed.
    fn head(&mut self, bytes: &[u8], to_head: bool) -> Result<Option<usize>, Malformed> {
        if self.held.is_empty() {
            let whole = self.parse(bytes, to_head)?;
            if whole.is_none() {
                self.hold(bytes)?;
            }
            return Ok(whole);
        }
        let before = self.held.len();
        self.hold(bytes)?;
        let held = std::mem::take(&mut self.held);
        let whole = self.parse(&held, to_head)?;
        if whole.is_none() {
            self.held = held;
        }
        Ok(whole.map(|n| n.saturating_sub(before)))
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.held.extend_from_slice(bytes);
        // What was read at once may hold the beginning of the body too.
        if self.held.len() > 2 * MAX_HEAD { Err(Malformed) } else { Ok(()) }
    }

    fn parse(&mut self, bytes: &[u8], to_head: bool) -> Result<Option<usize>, Malformed> {
        let mut at = 0;
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&bytes[at..]) {
                Ok(httparse::Status::Complete(n)) => at += n,
                Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
                _ => return Err(Malformed),
            }
            match head.code {
                // After it another protocol would follow, and none was asked for.
                None | Some(101) => return Err(Malformed),
                Some(status) if (100..200).contains(&status) => {}
                Some(status) => {
                    self.begin(status, head.version == Some(0), &Framing::of(head.headers)?, to_head);
                    return Ok(Some(at));
                }
            }
        }
    }

    fn begin(&mut self, status: u16, http10: bool, framing: &Framing, to_head: bool) {
        self.status = status;
        self.state = match framing {
            _ if to_head || matches!(status, 204 | 304) => State::Length(0),
            Framing { chunked: Some(true), .. } => State::Chunked(CHUNK_START),
            Framing { chunked: None, length: Some(length), .. } => State::Length(*length),
            _ => State::UntilClose,
        };
        let keeps = if http10 { framing.keeps } else { !framing.closes };
        self.reusable = keeps && self.state != State::UntilClose;
    }
}

/// What the headers of an answer say about its end and the connection's.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    /// The last transfer coding is `chunked`; `None` without any.
    chunked: Option<bool>,
    closes: bool,
    keeps: bool,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Malformed> {
        let mut framing = Self::default();
        for header in headers {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let length =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let length = length.and_then(|text| text.parse().ok()).ok_or(Malformed)?;
                if framing.length.is_some_and(|other| other != length) {
                    return Err(Malformed);
                }
                framing.length = Some(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked =
                    Some(tokens(value).last().is_some_and(|token| token.eq_ignore_ascii_case(b"chunked")));
            } else if header.name.eq_ignore_ascii_case("connection") {
                framing.closes |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                framing.keeps |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        Ok(framing)
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

impl Chunk {
    /// What follows after some of `bytes`, and how many of them that takes; no chunk after the last.
    fn step(self, bytes: &[u8]) -> Result<(Option<Self>, usize), Malformed> {
        if let Self::Data(left) = self {
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let left = left - n as u64;
            return Ok((Some(if left == 0 { Self::DataEnd } else { Self::Data(left) }), n));
        }
        let Some(&byte) = bytes.first() else { return Ok((Some(self), 0)) };
        let next = match (self, byte) {
            (Self::Size { digits: 0, .. }, b'\n') => return Err(Malformed),
            (Self::Size { value: 0, .. }, b'\n') => Self::Trailer { line: 0, all: 0 },
            (Self::Size { value, .. }, b'\n') => Self::Data(value),
            (Self::Size { value, digits, extension: false }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                Self::Size { value: value << 4 | u64::from(digit), digits: digits + 1, extension: false }
            }
            (Self::Size { value, digits: 1.., .. }, b'\r' | b';' | b' ' | b'\t') => {
                Self::Size { value, digits: 1, extension: true }
            }
            (Self::Size { value, extension: true, .. }, _) => Self::Size { value, digits: 1, extension: true },
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => CHUNK_START,
            (Self::Trailer { line: 0, .. }, b'\n') => return Ok((None, 1)),
            (Self::Trailer { all, .. }, b'\n') => Self::Trailer { line: 0, all: all + 1 },
            (Self::Trailer { line, all }, b'\r') => Self::Trailer { line, all: all + 1 },
            (Self::Trailer { line, all }, _) if all < MAX_HEAD => Self::Trailer { line: line + 1, all: all + 1 },
            _ => return Err(Malformed),
        };
        Ok((Some(next), 1))
    }
}

#[cfg(test)]
mod tests;
