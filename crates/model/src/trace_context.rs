//! W3C trace context, version 00: <https://www.w3.org/TR/trace-context/>.

use std::fmt;

/// What a `traceparent` header says: the trace, the span that caused this work, and whether the trace is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace_id: u128,
    /// The parent span; never zero.
    pub span_id: u64,
    /// Bit 0 says that the trace is sampled.
    pub flags: u8,
}

impl TraceContext {
    /// The context in a `traceparent` value, or `None` when the value is malformed, all zero, or of the invalid version ff.
    /// Later versions are read as version 00, as the specification asks.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(55)?;
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        let version = hexadecimal(&known[..2])?;
        if !dashes || version == 0xff || (version == 0 && !rest.is_empty()) || rest.first().is_some_and(|b| *b != b'-')
        {
            return None;
        }
        let trace_id = hexadecimal(&known[3..35])?;
        let span_id = u64::try_from(hexadecimal(&known[36..52])?).ok()?;
        let flags = u8::try_from(hexadecimal(&known[53..55])?).ok()?;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags })
    }

    /// Whether the sender records this trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent` header value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Some(value << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(value << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_value_reads_and_writes_back() {
        let context = TraceContext::parse(VALID.as_bytes());
        assert!(context.is_some_and(TraceContext::is_sampled));
        assert_eq!(context.map(|context| context.to_string()).as_deref(), Some(VALID));
    }

    #[test]
    fn a_later_version_with_more_fields_is_read() {
        assert!(TraceContext::parse(VALID.replacen("00", "01", 1).as_bytes()).is_some());
        assert!(TraceContext::parse(format!("01{}-more", &VALID[2..]).as_bytes()).is_some());
    }

    #[test]
    fn malformed_values_are_refused() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let upper = VALID.to_uppercase();
        let version_ff = format!("ff{}", &VALID[2..]);
        let longer = format!("{VALID}-x");
        for bad in ["", "00", zero_trace, zero_span, &upper, &version_ff, &longer, &VALID[..54]] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
