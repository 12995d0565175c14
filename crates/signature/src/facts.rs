//! What a request says about its event beside the payload: its idempotency key and its type.

use std::borrow::Cow;

use crate::json::scalar_at;
use crate::options::header_name;
use crate::{HeaderSource, IdempotencyKeyError, IdempotencySource, Provider, Request, SchemeError};

/// The longest idempotency key that is accepted.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

const MAX_EVENT_TYPE_BYTES: usize = 128;
const MAX_POINTER_STEPS: usize = 16;

/// Where a source's idempotency key is.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// The first of these headers that is there.
    Headers(Vec<Cow<'static, str>>),
    /// In a JSON body, step by step.
    Body(Vec<Cow<'static, str>>),
    Nowhere,
}

impl KeySource {
    pub(crate) fn new(provider: Provider, configured: Option<&IdempotencySource>) -> Result<Self, SchemeError> {
        match configured {
            None => Ok(Self::of(provider)),
            Some(IdempotencySource::Disabled) => Ok(Self::Nowhere),
            Some(IdempotencySource::Header(name)) => {
                Ok(Self::Headers(vec![header_name("idempotency.header", name)?.into()]))
            }
            Some(IdempotencySource::JsonPointer(pointer)) => Ok(Self::Body(parse_pointer(pointer)?)),
        }
    }

    fn of(provider: Provider) -> Self {
        match provider {
            Provider::StandardWebhooks => Self::Headers(vec!["webhook-id".into(), "svix-id".into()]),
            Provider::Github => Self::Headers(vec!["x-github-delivery".into()]),
            Provider::Shopify => Self::Headers(vec!["x-shopify-event-id".into()]),
            Provider::Twilio => Self::Headers(vec!["i-twilio-idempotency-token".into()]),
            Provider::Gitlab => Self::Headers(vec!["x-gitlab-event-uuid".into()]),
            Provider::Woocommerce => Self::Headers(vec!["x-wc-webhook-delivery-id".into()]),
            Provider::Stripe | Provider::Discord | Provider::Vercel => Self::Body(vec!["id".into()]),
            Provider::Slack | Provider::Paddle => Self::Body(vec!["event_id".into()]),
            Provider::Sendgrid
            | Provider::Webflow
            | Provider::Elevenlabs
            | Provider::Hmac
            | Provider::Basic
            | Provider::Bearer
            | Provider::ApiKey
            | Provider::None => Self::Nowhere,
        }
    }

    /// The header in which a sender puts the key.
    pub(crate) fn header(&self) -> Option<&str> {
        match self {
            Self::Headers(names) => names.first().map(Cow::as_ref),
            Self::Body(_) | Self::Nowhere => None,
        }
    }

    pub(crate) fn read<'r, H: HeaderSource + ?Sized>(
        &self,
        request: &Request<'r, H>,
    ) -> Result<Option<Cow<'r, [u8]>>, IdempotencyKeyError> {
        let key = match self {
            Self::Headers(names) => names.iter().find_map(|name| request.headers.get(name)).map(Cow::Borrowed),
            Self::Body(steps) => scalar_at(request.body, steps).map(|text| match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }),
            Self::Nowhere => None,
        };
        match key.filter(|key| !key.is_empty()) {
            Some(key) if key.len() > MAX_IDEMPOTENCY_KEY_BYTES => {
                Err(IdempotencyKeyError { bytes: key.len(), limit: MAX_IDEMPOTENCY_KEY_BYTES })
            }
            key => Ok(key),
        }
    }
}

/// Where a provider says what kind of event it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventTypeSource {
    Header(&'static str),
    /// The first of these places in a JSON body that has a value.
    Body(&'static [&'static [&'static str]]),
    Nowhere,
}

impl EventTypeSource {
    pub(crate) fn of(provider: Provider) -> Self {
        match provider {
            Provider::Github => Self::Header("x-github-event"),
            Provider::Shopify => Self::Header("x-shopify-topic"),
            Provider::Gitlab => Self::Header("x-gitlab-event"),
            Provider::Woocommerce => Self::Header("x-wc-webhook-topic"),
            Provider::StandardWebhooks | Provider::Stripe | Provider::Vercel | Provider::Elevenlabs => {
                Self::Body(&[&["type"]])
            }
            Provider::Slack => Self::Body(&[&["event", "type"], &["type"]]),
            Provider::Discord => Self::Body(&[&["event", "type"]]),
            Provider::Paddle => Self::Body(&[&["event_type"]]),
            Provider::Webflow => Self::Body(&[&["triggerType"]]),
            Provider::Twilio
            | Provider::Sendgrid
            | Provider::Hmac
            | Provider::Basic
            | Provider::Bearer
            | Provider::ApiKey
            | Provider::None => Self::Nowhere,
        }
    }

    pub(crate) fn read<'r, H: HeaderSource + ?Sized>(&self, request: &Request<'r, H>) -> Option<Cow<'r, str>> {
        let event_type = match self {
            Self::Header(name) => {
                request.headers.get(name).and_then(|value| std::str::from_utf8(value).ok()).map(Cow::Borrowed)
            }
            Self::Body(places) => places.iter().find_map(|steps| scalar_at(request.body, steps)),
            Self::Nowhere => None,
        };
        event_type.filter(|text| !text.is_empty() && text.len() <= MAX_EVENT_TYPE_BYTES)
    }
}

/// The steps of a JSON pointer (RFC 6901), in which `~1` is a slash and `~0` a tilde.
fn parse_pointer(pointer: &str) -> Result<Vec<Cow<'static, str>>, SchemeError> {
    let invalid = |reason: &str| SchemeError::InvalidOption {
        option: "idempotency.json_pointer",
        reason: format!("{pointer:?} {reason}"),
    };
    let Some(steps) = pointer.strip_prefix('/') else {
        return Err(invalid("does not start with a slash, as in `/data/id`"));
    };
    let steps: Vec<Cow<'static, str>> =
        steps.split('/').map(|step| Cow::Owned(step.replace("~1", "/").replace("~0", "~"))).collect();
    if steps.len() > MAX_POINTER_STEPS {
        return Err(invalid("has more than 16 steps"));
    }
    Ok(steps)
}
