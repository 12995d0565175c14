//! How a value is written where it stands.

/// The characters that have to be written in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// None.
    None,
    /// Those of a JSON text.
    Json,
    /// Those that mean something in a query or form: all but letters, digits and `-._~`.
    Query,
    /// Those that cannot stand in a path with its query. Slashes and what is percent-encoded already stay as they are.
    Path,
}

impl Escape {
    /// Appends `text`.
    pub(super) fn append(self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(text),
            Self::Json => json(text, out),
            Self::Query => percent(text, |_| false, out),
            Self::Path => percent(text, |byte| b"!$&'()*+,;=:@/?%".contains(&byte), out),
        }
    }
}

fn json(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
}

fn percent(text: &[u8], allowed: fn(u8) -> bool, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || allowed(*byte) {
            out.push(*byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}
