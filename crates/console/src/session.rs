//! Sessions: the key of the API, sealed in a cookie. Nothing is stored on the server.

mod keyring;

use data_encoding::BASE64URL_NOPAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use spillway_model::{Scope, Secret, UnixMillis};
use subtle::ConstantTimeEq as _;

pub use keyring::{Keyring, KeyringError};

/// How long a session holds, in seconds: 12 hours.
pub(crate) const LIFETIME_SECONDS: u64 = 12 * 60 * 60;
/// What is sealed is for this use alone.
const PURPOSE: &[u8] = b"spillway console session 1";
/// Longest cookie that is looked at.
const MAX_COOKIE_BYTES: usize = 4_096;
const TOKEN_BYTES: usize = 16;

/// A key of the cookies.
pub(crate) type SealingKey = [u8; 32];

/// Who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The key of the API.
    pub(crate) key: Secret,
    /// What it may do.
    pub(crate) scope: Scope,
    /// When it began.
    began: UnixMillis,
    /// What every form of the session carries.
    token: [u8; TOKEN_BYTES],
}

impl Session {
    /// A session that begins now.
    pub(crate) fn begin(key: Secret, scope: Scope, now: UnixMillis) -> Self {
        Self { key, scope, began: now, token: rand::random() }
    }

    /// What forms carry, so that no other page can post them.
    pub(crate) fn token(&self) -> String {
        BASE64URL_NOPAD.encode(&self.token)
    }

    /// Whether a form carries it; the time that this takes says nothing.
    pub(crate) fn owns(&self, token: &str) -> bool {
        self.token().as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Milliseconds until it ends.
    pub(crate) fn remaining(&self, now: UnixMillis) -> UnixMillis {
        let lifetime = i64::try_from(LIFETIME_SECONDS * 1_000).unwrap_or(i64::MAX);
        self.began.saturating_add(lifetime).saturating_sub(now)
    }

    /// The cookie's value.
    pub(crate) fn seal(&self, key: &SealingKey) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = self.began.to_be_bytes().to_vec();
        sealed.push(self.scope as u8);
        sealed.extend(self.token);
        sealed.extend(self.key.expose().as_bytes());
        let nonce_of_seal = Nonce::assume_unique_for_key(nonce);
        cipher(key)?.seal_in_place_append_tag(nonce_of_seal, Aad::from(PURPOSE), &mut sealed).ok()?;
        Some(BASE64URL_NOPAD.encode(&[nonce.as_slice(), &sealed].concat()))
    }

    /// The session that a cookie holds, unless it was made with another key, changed, or has ended.
    pub(crate) fn open(cookie: &str, key: &SealingKey, now: UnixMillis) -> Option<Self> {
        if cookie.len() > MAX_COOKIE_BYTES {
            return None;
        }
        let mut bytes = BASE64URL_NOPAD.decode(cookie.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = &*cipher(key)?.open_in_place(nonce, Aad::from(PURPOSE), sealed).ok()?;
        let (began, rest) = opened.split_first_chunk::<8>()?;
        let (scope, rest) = rest.split_first()?;
        let (token, text) = rest.split_first_chunk::<TOKEN_BYTES>()?;
        let scope = [Scope::Read, Scope::Write, Scope::Admin].into_iter().find(|known| *known as u8 == *scope)?;
        let key = Secret::new(std::str::from_utf8(text).ok()?);
        let session = Self { key, scope, began: i64::from_be_bytes(*began), token: *token };
        (session.remaining(now) > 0 && session.began <= now).then_some(session)
    }
}

fn cipher(key: &SealingKey) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SealingKey = [7; 32];
    const HOUR: i64 = 3_600_000;

    fn session() -> Session {
        Session::begin(Secret::new("spk_text"), Scope::Write, 1_000)
    }

    #[test]
    fn a_sealed_session_comes_back_whole_and_shows_nothing() {
        let session = session();
        let cookie = session.seal(&KEY).expect("a cookie");
        let opened = Session::open(&cookie, &KEY, 1_000 + HOUR).expect("a session");
        assert_eq!((opened.key.expose(), opened.scope, opened.token()), ("spk_text", Scope::Write, session.token()));
        assert!(!cookie.contains("spk_text") && cookie != session.seal(&KEY).expect("another cookie"));
    }

    #[test]
    fn it_ends_after_twelve_hours_and_never_begins_in_the_future() {
        let cookie = session().seal(&KEY).expect("a cookie");
        assert!(Session::open(&cookie, &KEY, 999 + 12 * HOUR).is_some());
        assert!(Session::open(&cookie, &KEY, 1_000 + 12 * HOUR).is_none());
        assert!(Session::open(&cookie, &KEY, 0).is_none());
    }

    #[test]
    fn forms_are_known_by_their_token() {
        let session = session();
        assert!(session.owns(&session.token()));
        for other in ["", "x", &session.token()[1..], &format!("{}A", session.token())] {
            assert!(!session.owns(other), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_changed_is_no_session(at in 0_usize..120, bit in 0_u8..6, other in proptest::collection::vec(0_u8..=255, 0..80)) {
            let cookie = session().seal(&KEY).expect("a cookie");
            let mut changed = cookie.clone().into_bytes();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            let changed = String::from_utf8(changed).expect("text");
            proptest::prop_assert!(Session::open(&changed, &KEY, 2_000).is_none());
            proptest::prop_assert!(Session::open(&cookie, &[8; 32], 2_000).is_none());
            proptest::prop_assert!(Session::open(&BASE64URL_NOPAD.encode(&other), &KEY, 2_000).is_none());
        }
    }
}
