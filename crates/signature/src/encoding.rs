//! Text forms of signatures, keys, timestamps and form parameters, read without allocating where a request is checked.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::{SignatureEncoding, TimestampUnit};

/// Standard alphabet; reads with and without padding, writes with.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest signature text: SHA-512 in hex. The longest base64 one is an ECDSA signature of 96 characters.
const MAX_SIGNATURE_TEXT: usize = 128;
const MAX_SIGNATURE_BYTES: usize = 96;

/// A decoded signature, on the stack.
pub(crate) struct SignatureBytes {
    buffer: [u8; MAX_SIGNATURE_BYTES],
    len: usize,
}

impl SignatureBytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// Decodes a signature. None when the text is not in the encoding or longer than any signature.
pub(crate) fn decode_signature(encoding: SignatureEncoding, text: &[u8]) -> Option<SignatureBytes> {
    if text.is_empty() || text.len() > MAX_SIGNATURE_TEXT {
        return None;
    }
    let mut buffer = [0; MAX_SIGNATURE_BYTES];
    let len = match encoding {
        SignatureEncoding::Hex => {
            let len = HEXLOWER_PERMISSIVE.decode_len(text.len()).ok()?;
            HEXLOWER_PERMISSIVE.decode_mut(text, &mut buffer[..len]).ok()?
        }
        SignatureEncoding::Base64 => BASE64.decode_slice(text, &mut buffer).ok()?,
    };
    Some(SignatureBytes { buffer, len })
}

/// Writes a signature.
pub(crate) fn encode_signature(encoding: SignatureEncoding, bytes: &[u8]) -> String {
    match encoding {
        SignatureEncoding::Hex => HEXLOWER.encode(bytes),
        SignatureEncoding::Base64 => BASE64.encode(bytes),
    }
}

/// Reads a timestamp: 1 to 15 decimal digits and nothing else, so that one number has few spellings.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    text.iter().try_fold(0_i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// The time in the unit of a timestamp.
pub(crate) fn now_in(unit: TimestampUnit, now_unix_ms: i64) -> i64 {
    match unit {
        TimestampUnit::Seconds => now_unix_ms.div_euclid(1000),
        TimestampUnit::Milliseconds => now_unix_ms,
    }
}

/// Decodes one name or value of an `application/x-www-form-urlencoded` text. A `%` without two hex digits stays.
pub(crate) fn decode_form_part(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = tail;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

/// The parameters of a form or query, in order, still encoded. A part without `=` has an empty value.
pub(crate) fn form_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[..0]),
        }
    })
}

/// The first parameter of this name in the query of a target, decoded.
pub(crate) fn query_parameter<'a>(path_and_query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    let (_, query) = path_and_query.split_once('?')?;
    form_pairs(query.as_bytes())
        .find(|(candidate, _)| *candidate == name.as_bytes())
        .map(|(_, value)| decode_form_part(value))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
