//! What a scheme signs, as a text with holes: `v0:{timestamp}:{body}`.

use ring::hmac;

use crate::SchemeError;

/// Messages up to this length are put together on the stack for the asymmetric schemes.
const STACK_MESSAGE_BYTES: usize = 4096 + 256;

/// A parsed template with `{body}` once and `{timestamp}` at most once.
#[derive(Clone, Debug)]
pub(crate) struct SignedTemplate {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(Box<str>),
    Timestamp,
    Body,
}

impl SignedTemplate {
    pub(crate) fn parse(template: &str) -> Result<Self, SchemeError> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once('{') {
            let Some((name, tail)) = tail.split_once('}') else {
                return Err(invalid(format!("{template:?} has a `{{` without `}}`")));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            pieces.push(match name {
                "timestamp" => Piece::Timestamp,
                "body" => Piece::Body,
                _ => return Err(invalid(format!("{{{name}}} is unknown; use {{timestamp}} and {{body}}"))),
            });
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        let template = Self { pieces };
        if template.count(&Piece::Body) != 1 {
            return Err(invalid("it needs {body} exactly once, or the body would not be protected".to_owned()));
        }
        if template.count(&Piece::Timestamp) > 1 {
            return Err(invalid("it has {timestamp} more than once".to_owned()));
        }
        Ok(template)
    }

    pub(crate) fn has_timestamp(&self) -> bool {
        self.count(&Piece::Timestamp) > 0
    }

    pub(crate) fn is_body_alone(&self) -> bool {
        self.pieces == [Piece::Body]
    }

    /// The HMAC of the filled template.
    pub(crate) fn mac(&self, key: &hmac::Key, timestamp: &[u8], body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        for part in self.parts(timestamp, body) {
            context.update(part);
        }
        context.sign()
    }

    /// Hands the filled template over in one piece.
    pub(crate) fn with_message<R>(&self, timestamp: &[u8], body: &[u8], use_message: impl FnOnce(&[u8]) -> R) -> R {
        with_joined(self.parts(timestamp, body), use_message)
    }

    fn parts<'a>(&'a self, timestamp: &'a [u8], body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.pieces.iter().map(move |piece| match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Timestamp => timestamp,
            Piece::Body => body,
        })
    }

    fn count(&self, piece: &Piece) -> usize {
        self.pieces.iter().filter(|candidate| *candidate == piece).count()
    }
}

/// Joins parts into one slice: on the stack when they are short, as most webhooks are.
pub(crate) fn with_joined<'a, R>(
    parts: impl Iterator<Item = &'a [u8]> + Clone,
    use_message: impl FnOnce(&[u8]) -> R,
) -> R {
    let total: usize = parts.clone().map(<[u8]>::len).sum();
    if total > STACK_MESSAGE_BYTES {
        let mut message = Vec::with_capacity(total);
        parts.for_each(|part| message.extend_from_slice(part));
        return use_message(&message);
    }
    let mut message = [0; STACK_MESSAGE_BYTES];
    let mut filled = 0;
    for part in parts {
        message[filled..filled + part.len()].copy_from_slice(part);
        filled += part.len();
    }
    use_message(&message[..filled])
}

fn invalid(reason: String) -> SchemeError {
    SchemeError::InvalidOption { option: "hmac.signed", reason }
}
