//! Headers that are not forwarded.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

/// Whether a header concerns one connection only (RFC 9110, section 7.6.1), or says where and how long a message is. Intake
/// keeps none of these; a stored one that came another way must not break the framing of our own request.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 10] = [
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        HOST,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    NAMES.contains(name) || name == "keep-alive" || name == "proxy-connection"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_stays_with_the_connection_and_the_rest_travels() {
        for name in ["host", "content-length", "transfer-encoding", "keep-alive", "te", "upgrade"] {
            assert!(is_of_connection(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["content-type", "authorization", "x-github-event", "content-encoding"] {
            assert!(!is_of_connection(&HeaderName::from_static(name)), "{name}");
        }
    }
}
