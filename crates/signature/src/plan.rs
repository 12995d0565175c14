//! The schemes that carry one or more signatures in one header, as data. Verifying and signing read the same table.

use std::borrow::Cow;

use crate::options::header_name;
use crate::template::SignedTemplate;
use crate::{HmacAlgorithm, Provider, SchemeError, SchemeOptions, SignatureEncoding, TimestampUnit};

/// How one provider signs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The header with the signature, in lower case.
    pub(crate) header: Cow<'static, str>,
    pub(crate) layout: Layout,
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: SignatureEncoding,
    pub(crate) signed: SignedTemplate,
    pub(crate) timestamp: Option<TimestampRule>,
}

/// What the signature header looks like.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// One signature after a fixed prefix.
    Bare { prefix: Cow<'static, str> },
    /// `name=value` fields, one of which is the timestamp and one or more are signatures.
    Fields { separator: u8, timestamp: &'static str, signature: &'static str },
}

/// The algorithm of a scheme's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Algorithm {
    Hmac(HmacAlgorithm),
    Ed25519,
    EcdsaP256,
}

/// Where the signed timestamp is.
#[derive(Clone, Debug)]
pub(crate) struct TimestampRule {
    pub(crate) source: TimestampSource,
    pub(crate) unit: TimestampUnit,
}

/// The place of a timestamp.
#[derive(Clone, Debug)]
pub(crate) enum TimestampSource {
    /// In a header of its own, named in lower case.
    Header(Cow<'static, str>),
    /// In the field of the signature header that [`Layout::Fields`] names.
    Field,
}

impl Plan {
    /// The plan of a provider; none for those that work in another way.
    pub(crate) fn of(provider: Provider, options: &SchemeOptions) -> Result<Option<Self>, SchemeError> {
        use HmacAlgorithm::{Sha1, Sha256};
        use SignatureEncoding::{Base64, Hex};
        let plan = match provider {
            Provider::Github => Self::over_body("x-hub-signature-256", "sha256=", Sha256, Hex),
            Provider::Shopify => Self::over_body("x-shopify-hmac-sha256", "", Sha256, Base64),
            Provider::Vercel => Self::over_body("x-vercel-signature", "", Sha1, Hex),
            Provider::Woocommerce => Self::over_body("x-wc-webhook-signature", "", Sha256, Base64),
            Provider::Stripe => Self::fields("stripe-signature", b',', "t", "v1", "{timestamp}.{body}"),
            Provider::Paddle => Self::fields("paddle-signature", b';', "ts", "h1", "{timestamp}:{body}"),
            Provider::Elevenlabs => Self::fields("elevenlabs-signature", b',', "t", "v0", "{timestamp}.{body}"),
            Provider::Slack => Self::with_timestamp(
                Self::over_body("x-slack-signature", "v0=", Sha256, Hex)?,
                "x-slack-request-timestamp",
                TimestampUnit::Seconds,
                "v0:{timestamp}:{body}",
            ),
            Provider::Webflow => Self::with_timestamp(
                Self::over_body("x-webflow-signature", "", Sha256, Hex)?,
                "x-webflow-timestamp",
                TimestampUnit::Milliseconds,
                "{timestamp}:{body}",
            ),
            Provider::Discord => Self::with_timestamp(
                Self { algorithm: Algorithm::Ed25519, ..Self::over_body("x-signature-ed25519", "", Sha256, Hex)? },
                "x-signature-timestamp",
                TimestampUnit::Seconds,
                "{timestamp}{body}",
            ),
            Provider::Sendgrid => {
                let header = "x-twilio-email-event-webhook-signature";
                Self::with_timestamp(
                    Self { algorithm: Algorithm::EcdsaP256, ..Self::over_body(header, "", Sha256, Base64)? },
                    "x-twilio-email-event-webhook-timestamp",
                    TimestampUnit::Seconds,
                    "{timestamp}{body}",
                )
            }
            Provider::Hmac => Self::configured(options),
            Provider::StandardWebhooks
            | Provider::Twilio
            | Provider::Gitlab
            | Provider::Basic
            | Provider::Bearer
            | Provider::ApiKey
            | Provider::None => return Ok(None),
        };
        plan.map(Some)
    }

    fn over_body(
        header: &'static str,
        prefix: &'static str,
        algorithm: HmacAlgorithm,
        encoding: SignatureEncoding,
    ) -> Result<Self, SchemeError> {
        Ok(Self {
            header: header.into(),
            layout: Layout::Bare { prefix: prefix.into() },
            algorithm: Algorithm::Hmac(algorithm),
            encoding,
            signed: SignedTemplate::parse("{body}")?,
            timestamp: None,
        })
    }

    fn with_timestamp(
        plan: Self,
        header: &'static str,
        unit: TimestampUnit,
        signed: &'static str,
    ) -> Result<Self, SchemeError> {
        let source = TimestampSource::Header(header.into());
        Ok(Self { timestamp: Some(TimestampRule { source, unit }), signed: SignedTemplate::parse(signed)?, ..plan })
    }

    fn fields(
        header: &'static str,
        separator: u8,
        timestamp: &'static str,
        signature: &'static str,
        signed: &'static str,
    ) -> Result<Self, SchemeError> {
        Ok(Self {
            header: header.into(),
            layout: Layout::Fields { separator, timestamp, signature },
            algorithm: Algorithm::Hmac(HmacAlgorithm::Sha256),
            encoding: SignatureEncoding::Hex,
            signed: SignedTemplate::parse(signed)?,
            timestamp: Some(TimestampRule { source: TimestampSource::Field, unit: TimestampUnit::Seconds }),
        })
    }

    fn configured(options: &SchemeOptions) -> Result<Self, SchemeError> {
        let Some(hmac) = &options.hmac else {
            return Err(SchemeError::MissingOption { provider: Provider::Hmac, option: "hmac" });
        };
        let signed = SignedTemplate::parse(&hmac.signed)?;
        let timestamp = match (&hmac.timestamp_header, signed.has_timestamp()) {
            (Some(header), true) => {
                let header = header_name("hmac.timestamp_header", header)?;
                Some(TimestampRule { source: TimestampSource::Header(header.into()), unit: hmac.timestamp_unit })
            }
            (None, false) => None,
            (Some(_), false) => {
                let reason = "`hmac.signed` has no {timestamp}, so anybody could change the header".to_owned();
                return Err(SchemeError::InvalidOption { option: "hmac.timestamp_header", reason });
            }
            (None, true) => {
                return Err(SchemeError::MissingOption { provider: Provider::Hmac, option: "hmac.timestamp_header" });
            }
        };
        if hmac.crc && (hmac.algorithm != HmacAlgorithm::Sha256 || !signed.is_body_alone()) {
            let reason = "it needs the algorithm sha256 and `{body}` alone as what is signed".to_owned();
            return Err(SchemeError::InvalidOption { option: "hmac.crc", reason });
        }
        Ok(Self {
            header: header_name("hmac.header", &hmac.header)?.into(),
            layout: Layout::Bare { prefix: hmac.prefix.clone().unwrap_or_default().into() },
            algorithm: Algorithm::Hmac(hmac.algorithm),
            encoding: hmac.encoding,
            signed,
            timestamp,
        })
    }
}
