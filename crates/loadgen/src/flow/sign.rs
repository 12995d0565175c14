//! Signatures of requests, as providers make them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use spillway_model::{Clock, Secret, SystemClock};
use spillway_signature::{Outgoing, Provider, SchemeOptions, sign_as, twilio_body_hash_query};

use super::spec::SignSpec;
use super::template::{Context, Scope, Template};
use super::text::Escape;
use crate::http::Origin;

/// An id that no delivery has.
const PROBE: &str = "id-of-a-probe";

/// Signs requests of one provider.
#[derive(Debug)]
pub(super) struct Signer {
    provider: Provider,
    secret: Secret,
    options: SchemeOptions,
    id: Template,
    /// The headers in which the provider sends the delivery's id.
    id_headers: Vec<HeaderName>,
}

impl Signer {
    /// A signer; `None` for the provider that does not sign.
    pub(super) fn compile(spec: &SignSpec, origin: &Origin, scope: &Scope<'_>) -> Result<Option<Self>, String> {
        if spec.provider == Provider::None {
            return Ok(None);
        }
        let secret = Template::compile(spec.secret.expose(), Escape::None, scope)
            .map_err(|problem| format!("secret: {problem}"))?;
        let secret = secret.constant().ok_or("secret: it may use {{env.NAME}} and no other template")?;
        let id = Template::compile(spec.id.as_deref().unwrap_or("{{uuid}}"), Escape::None, scope);
        let own_url = || Some(format!("{}://{}", origin.scheme(), origin.authority));
        let options = SchemeOptions {
            hmac: spec.hmac.clone(),
            public_url: match spec.provider {
                Provider::Twilio => spec.public_url.clone().or_else(own_url),
                _ => spec.public_url.clone(),
            },
            credential_header: spec.credential_header.clone(),
            username: spec.username.clone(),
            idempotency: spec.idempotency.clone(),
            ..SchemeOptions::default()
        };
        let mut signer = Self {
            provider: spec.provider,
            secret: Secret::new(String::from_utf8_lossy(secret)),
            options,
            id: id.map_err(|problem| format!("id: {problem}"))?,
            id_headers: Vec::new(),
        };
        let headers =
            signer.headers(PROBE, b"", "/").map_err(|error| format!("provider {}: {error}", spec.provider))?;
        let id_headers = headers.into_iter().filter(|(_, value)| value == PROBE);
        signer.id_headers = id_headers.filter_map(|(name, _)| name.parse().ok()).collect();
        Ok(Some(signer))
    }

    /// What has to be added to the query before signing; empty with most providers.
    pub(super) fn query(&self, headers: &HeaderMap, body: &Bytes) -> String {
        let kind = headers.get(http::header::CONTENT_TYPE);
        let is_form = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        match self.provider {
            Provider::Twilio if !is_form && !body.is_empty() => twilio_body_hash_query(body),
            _ => String::new(),
        }
    }

    /// Adds the provider's headers. Those that the request has already stay as they are.
    pub(super) fn sign(
        &self,
        headers: &mut HeaderMap,
        body: &[u8],
        path: &str,
        context: &Context<'_>,
    ) -> Result<(), String> {
        let own = self.id_headers.iter().find_map(|name| headers.get(name)?.to_str().ok());
        let id = match own {
            Some(id) => id.to_owned(),
            None => self.id.text(context).map_err(|missing| format!("id: {missing}"))?,
        };
        for (name, value) in self.headers(&id, body, path).map_err(|error| error.to_string())? {
            let invalid = || format!("provider {}: the header {name} cannot have its value", self.provider);
            let value = HeaderValue::try_from(value).map_err(|_| invalid())?;
            headers.entry(HeaderName::try_from(&name).map_err(|_| invalid())?).or_insert(value);
        }
        Ok(())
    }

    pub(super) fn setup_names(&self) -> impl Iterator<Item = &str> {
        self.id.setup_names()
    }

    fn headers(
        &self,
        id: &str,
        body: &[u8],
        path: &str,
    ) -> Result<Vec<(String, String)>, spillway_signature::SchemeError> {
        let outgoing = Outgoing { id, body, path_and_query: path, now_unix_ms: SystemClock.now() };
        sign_as(self.provider, self.secret.expose(), &self.options, &outgoing)
    }
}
