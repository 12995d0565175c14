//! For every provider: what its sender signs verifies, and nothing else does.

use crate::fixture::{BODY, NOW_MS, fixtures};
use spillway_signature::*;

#[test]
fn a_signed_request_verifies_and_names_the_secret_that_matched() {
    for fixture in fixtures() {
        let [first, second] = &fixture.sender_secrets;
        let verifier = fixture.verifier(&[first, second]);
        for (index, secret) in [first, second].into_iter().enumerate() {
            let headers = fixture.sign(secret, BODY);
            let verified = verifier.verify(&fixture.request(&headers, BODY));
            let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", fixture.label));
            assert_eq!(verified.secret_index(), Some(index), "{}", fixture.label);
        }
    }
}

#[test]
fn a_changed_body_is_refused_where_the_body_is_signed() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let headers = fixture.sign(secret, BODY);
        let verifier = fixture.verifier(&[secret]);
        for changed in [&BODY[1..], &BODY[..BODY.len() - 1], b"", &[BODY, b" "].concat()] {
            let result = verifier.verify(&fixture.request(&headers, changed));
            match fixture.provider.signs_body() {
                true => assert_eq!(result, Err(VerifyError::Mismatch), "{}", fixture.label),
                false => assert!(result.is_ok(), "{}", fixture.label),
            }
        }
    }
}

#[test]
fn another_secret_is_refused() {
    for fixture in fixtures() {
        let [first, second] = &fixture.sender_secrets;
        let headers = fixture.sign(second, BODY);
        let result = fixture.verifier(&[first]).verify(&fixture.request(&headers, BODY));
        assert_eq!(result, Err(VerifyError::Mismatch), "{}", fixture.label);
    }
}

#[test]
fn every_header_of_the_scheme_is_needed_once() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let verifier = fixture.verifier(&[secret]);
        let headers = fixture.sign(secret, BODY);
        let mut needed = 0;
        for index in 0..headers.len() {
            let mut without = headers.clone();
            let (name, value) = without.remove(index);
            let result = verifier.verify(&fixture.request(&without, BODY));
            if result.is_ok() {
                continue;
            }
            needed += 1;
            assert_eq!(result, Err(VerifyError::MissingHeader { name: name.clone() }), "{}", fixture.label);

            let mut twice = headers.clone();
            twice.push((name.to_ascii_uppercase(), value));
            let result = verifier.verify(&fixture.request(&twice, BODY));
            assert_eq!(result, Err(VerifyError::RepeatedHeader { name }), "{}", fixture.label);
        }
        assert!(needed >= 1, "{}", fixture.label);
    }
}

#[test]
fn a_signature_header_that_is_cut_or_garbled_is_refused() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let verifier = fixture.verifier(&[secret]);
        let headers = fixture.sign(secret, BODY);
        let good = &headers[0].1;
        for bad in [String::new(), good[..good.len() / 2].to_owned(), format!("{good}!"), "\u{fffd}".to_owned()] {
            let mut headers = headers.clone();
            headers[0].1 = bad;
            assert!(verifier.verify(&fixture.request(&headers, BODY)).is_err(), "{}: {headers:?}", fixture.label);
        }
    }
}

#[test]
fn a_timestamp_is_tolerated_to_the_second_in_both_directions() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let headers = fixture.sign(secret, BODY);
        let verifier = fixture.verifier(&[secret]);
        let at = |now_unix_ms| verifier.verify(&Request { now_unix_ms, ..fixture.request(&headers, BODY) });
        let Some(_) = at(NOW_MS).expect("verified").timestamp() else {
            assert!(at(0).is_ok(), "{} has no timestamp to check", fixture.label);
            continue;
        };
        assert!(at(NOW_MS + 300_000).is_ok(), "{}", fixture.label);
        assert!(at(NOW_MS - 300_000).is_ok(), "{}", fixture.label);
        for (now, skew_seconds) in [(NOW_MS + 301_000, -301), (NOW_MS - 301_000, 301)] {
            let refused = VerifyError::TimestampOutOfTolerance { skew_seconds, tolerance_seconds: 300 };
            assert_eq!(at(now), Err(refused), "{}", fixture.label);
        }
        assert!(at(i64::MIN).is_err() && at(i64::MAX).is_err(), "{}", fixture.label);
    }
}

#[test]
fn a_timestamp_that_was_changed_after_signing_is_refused() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let mut headers = fixture.sign(secret, BODY);
        let later = (NOW_MS / 1000 + 1).to_string();
        let now = (NOW_MS / 1000).to_string();
        let mut changed = false;
        for (_, value) in &mut headers {
            changed |= value.contains(&now);
            *value = value.replace(&now, &later);
        }
        if changed {
            let result = fixture.verifier(&[secret]).verify(&fixture.request(&headers, BODY));
            assert_eq!(result, Err(VerifyError::Mismatch), "{}", fixture.label);
        }
    }
}

#[test]
fn provider_none_accepts_everything() {
    let verifier = Verifier::new::<&str>(Provider::None, &[], &SchemeOptions::default()).expect("verifier");
    let headers: Vec<(String, String)> = Vec::new();
    let request = Request { headers: &headers, body: BODY, path_and_query: "/", now_unix_ms: NOW_MS };
    assert_eq!(verifier.verify(&request).expect("accepted").secret_index(), None);
}

#[test]
fn a_header_map_is_read_like_a_list() {
    for fixture in fixtures() {
        let secret = &fixture.sender_secrets[0];
        let mut headers = http::HeaderMap::new();
        for (name, value) in fixture.sign(secret, BODY) {
            let name = http::HeaderName::try_from(name).expect("header name");
            headers.insert(name, value.parse().expect("header value"));
        }
        let path_and_query = &fixture.path_and_query;
        let request = Request { headers: &headers, body: BODY, path_and_query, now_unix_ms: NOW_MS };
        assert!(fixture.verifier(&[secret]).verify(&request).is_ok(), "{}", fixture.label);
    }
}
