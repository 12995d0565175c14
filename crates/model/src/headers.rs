//! The end-to-end headers of a request as one compact block, kept as they came: any bytes, any order, repeats included.

use bytes::Bytes;

/// Header names and values in the order of the request, as one immutable buffer.
///
/// Layout: for each header a big-endian `u16` length and the name, then a `u16` length and the value. A name or value over
/// 65 535 bytes cannot be held; intake's limits are far below.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderBlock(Bytes);

impl HeaderBlock {
    /// The block for these headers. Pairs that are too long to be held are left out.
    pub fn encode<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut block = Vec::with_capacity(512);
        for (name, value) in headers {
            if let (Ok(name_length), Ok(value_length)) = (u16::try_from(name.len()), u16::try_from(value.len())) {
                block.extend_from_slice(&name_length.to_be_bytes());
                block.extend_from_slice(name.as_bytes());
                block.extend_from_slice(&value_length.to_be_bytes());
                block.extend_from_slice(value);
            }
        }
        Self(block.into())
    }

    /// A block read back from storage. Damaged bytes end the iteration early; they never panic.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// What is left of headers that retention removed. No encoding of headers looks like it.
    #[must_use]
    pub const fn removed() -> Self {
        Self(Bytes::from_static(&[0]))
    }

    /// Whether this is [`HeaderBlock::removed`].
    #[must_use]
    pub fn is_removed(&self) -> bool {
        *self.0 == [0]
    }

    /// The stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let name = std::str::from_utf8(take(&mut rest)?).ok()?;
            Some((name, take(&mut rest)?))
        })
    }

    /// The first value of the header `name` (any case), if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl std::fmt::Debug for HeaderBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<2>()?;
    let (taken, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repeated_headers_and_raw_bytes_survive() {
        let block = HeaderBlock::encode([("x-a", &b"\xff\x00"[..]), ("X-A", b""), ("x-b", b"2")]);
        let read: Vec<_> =
            HeaderBlock::from_bytes(block.as_bytes().clone()).iter().map(|(n, v)| (n.to_owned(), v.to_vec())).collect();
        assert_eq!(read, [("x-a".into(), vec![0xff, 0]), ("X-A".into(), vec![]), ("x-b".into(), b"2".to_vec())]);
        assert_eq!(block.get("X-B"), Some(&b"2"[..]));
    }

    #[test]
    fn removed_headers_are_told_from_none_and_from_the_shortest_one() {
        assert!(HeaderBlock::from_bytes(HeaderBlock::removed().as_bytes().clone()).is_removed());
        assert_eq!(HeaderBlock::removed().iter().count(), 0);
        for kept in [HeaderBlock::default(), HeaderBlock::encode([("", &b""[..])])] {
            assert!(!kept.is_removed(), "{kept:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_blocks_never_panic(bytes: Vec<u8>) {
            let shown = HeaderBlock::from_bytes(bytes.clone()).iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
            prop_assert!(shown <= bytes.len());
        }
    }
}
