//! What Twilio signs, for both sides: the URL as Twilio knows it, then the form parameters sorted by name; for other
//! bodies the URL alone, whose query then has the body's hash.

use std::borrow::Cow;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::{digest, hmac};

use crate::encoding::{decode_form_part, form_pairs, query_parameter};
use crate::{Provider, SchemeError, SchemeOptions, VerifyError};

pub(crate) const SIGNATURE_HEADER: &str = "x-twilio-signature";

const BODY_HASH_PARAMETER: &str = "bodySHA256";

/// Most form parameters of one request. Twilio sends a few dozen.
const MAX_PARAMETERS: usize = 1024;

/// A decoded form parameter.
pub(crate) type Parameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The query parameter that Twilio adds for a body that is not a form, such as JSON: `bodySHA256=<hex>`. A sender puts
/// it into the URL before it signs.
pub fn body_hash_query(body: &[u8]) -> String {
    format!("{BODY_HASH_PARAMETER}={}", HEXLOWER.encode(digest::digest(&digest::SHA256, body).as_ref()))
}

/// The URL of an endpoint up to its path, in the spellings that Twilio may have signed: as it is configured, and with
/// the scheme's default port added or the port left out.
#[derive(Clone, Debug)]
pub(crate) struct PublicUrl {
    bases: [String; 2],
    has_path: bool,
}

impl PublicUrl {
    pub(crate) fn of(options: &SchemeOptions) -> Result<Self, SchemeError> {
        let Some(url) = &options.public_url else {
            return Err(SchemeError::MissingOption { provider: Provider::Twilio, option: "public_url" });
        };
        let invalid = || SchemeError::InvalidOption {
            option: "public_url",
            reason: "it is the URL that the sender calls, such as https://hooks.example.com/in/twilio".to_owned(),
        };
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let default_port = match scheme {
            "https" => "443",
            "http" => "80",
            _ => return Err(invalid()),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) if &rest[at..] != "/" => rest.split_at(at),
            Some(at) => (&rest[..at], ""),
            None => (rest, ""),
        };
        if authority.is_empty() || url.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(invalid());
        }
        let other = match authority.rsplit_once(':') {
            // The colon is not one inside the brackets of an IPv6 address.
            Some((host, port)) if !port.contains(']') => host.to_owned(),
            _ => format!("{authority}:{default_port}"),
        };
        Ok(Self {
            bases: [format!("{scheme}://{authority}{path}"), format!("{scheme}://{other}{path}")],
            has_path: !path.is_empty(),
        })
    }

    /// The URLs that may have been signed for a request to this target, each in two parts, the configured one first.
    pub(crate) fn spellings<'a>(&'a self, path_and_query: &'a str) -> [[&'a str; 2]; 2] {
        let tail = match (self.has_path, path_and_query.find('?')) {
            (false, _) => path_and_query,
            (true, Some(at)) => &path_and_query[at..],
            (true, None) => "",
        };
        [[&self.bases[0], tail], [&self.bases[1], tail]]
    }
}

/// The signature over a URL and sorted parameters.
pub(crate) fn mac(key: &hmac::Key, url: [&str; 2], parameters: &[Parameter<'_>]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in url {
        context.update(part.as_bytes());
    }
    for (name, value) in parameters {
        context.update(name);
        context.update(value);
    }
    context.sign()
}

/// The body's hash as the query states it; none without such a parameter, an error when it is no SHA-256.
pub(crate) fn body_hash(path_and_query: &str) -> Option<Result<[u8; 32], VerifyError>> {
    let text = query_parameter(path_and_query, BODY_HASH_PARAMETER)?;
    let hash = HEXLOWER_PERMISSIVE.decode(&text).ok().and_then(|hash| hash.try_into().ok());
    Some(hash.ok_or(VerifyError::MalformedBody { reason: "does not have the `bodySHA256` of the query" }))
}

/// The parameters of a form body, decoded, sorted by name and then value, each pair once.
pub(crate) fn sorted_parameters(body: &[u8]) -> Result<Vec<Parameter<'_>>, VerifyError> {
    if form_pairs(body).nth(MAX_PARAMETERS).is_some() {
        return Err(VerifyError::MalformedBody { reason: "has more form parameters than Twilio sends" });
    }
    let mut parameters: Vec<Parameter<'_>> =
        form_pairs(body).map(|(name, value)| (decode_form_part(name), decode_form_part(value))).collect();
    parameters.sort_unstable();
    parameters.dedup();
    Ok(parameters)
}
