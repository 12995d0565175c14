//! The senders whose scheme is known, by name.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who sends to a source, and so how its requests prove where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Standard Webhooks 1.0.0, with `webhook-*` headers or Svix's `svix-*` (also Resend, Clerk, OpenAI, Replicate).
    StandardWebhooks,
    /// Stripe.
    Stripe,
    /// GitHub.
    Github,
    /// Shopify.
    Shopify,
    /// Slack.
    Slack,
    /// Twilio; needs the source's public URL, which is part of what it signs.
    Twilio,
    /// Discord, interactions and webhook events.
    Discord,
    /// GitLab: a token in a header, the body is not signed.
    Gitlab,
    /// SendGrid's signed event webhook.
    Sendgrid,
    /// Paddle Billing.
    Paddle,
    /// Vercel.
    Vercel,
    /// WooCommerce.
    Woocommerce,
    /// Webflow.
    Webflow,
    /// ElevenLabs.
    Elevenlabs,
    /// Any HMAC over the body, and maybe a timestamp, described by [`HmacOptions`](crate::HmacOptions).
    Hmac,
    /// HTTP basic authentication; the body is not signed.
    Basic,
    /// A bearer token; the body is not signed.
    Bearer,
    /// A key in a header of its own; the body is not signed.
    ApiKey,
    /// Everything is accepted. A source must ask for this by name, and the program warns about it at start.
    None,
}

impl Provider {
    /// Every provider, in the order in which help texts list them.
    pub const ALL: [Self; 19] = [
        Self::StandardWebhooks,
        Self::Stripe,
        Self::Github,
        Self::Shopify,
        Self::Slack,
        Self::Twilio,
        Self::Discord,
        Self::Gitlab,
        Self::Sendgrid,
        Self::Paddle,
        Self::Vercel,
        Self::Woocommerce,
        Self::Webflow,
        Self::Elevenlabs,
        Self::Hmac,
        Self::Basic,
        Self::Bearer,
        Self::ApiKey,
        Self::None,
    ];

    /// The name used in settings, in the API and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::Shopify => "shopify",
            Self::Slack => "slack",
            Self::Twilio => "twilio",
            Self::Discord => "discord",
            Self::Gitlab => "gitlab",
            Self::Sendgrid => "sendgrid",
            Self::Paddle => "paddle",
            Self::Vercel => "vercel",
            Self::Woocommerce => "woocommerce",
            Self::Webflow => "webflow",
            Self::Elevenlabs => "elevenlabs",
            Self::Hmac => "hmac",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::ApiKey => "api-key",
            Self::None => "none",
        }
    }

    /// Whether a body that was changed on the way is noticed. False where the request carries a credential only.
    pub const fn signs_body(self) -> bool {
        !matches!(self, Self::Gitlab | Self::Basic | Self::Bearer | Self::ApiKey | Self::None)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A provider name that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no provider {given:?}; did you mean {nearest:?}?")]
pub struct UnknownProvider {
    /// What was asked for, cut to 64 characters.
    pub given: String,
    /// The known name that is spelled most like it.
    pub nearest: &'static str,
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(given: &str) -> Result<Self, UnknownProvider> {
        if let Some(provider) = Self::ALL.into_iter().find(|provider| provider.name() == given) {
            return Ok(provider);
        }
        let given: String = given.chars().take(64).collect();
        let spelled = given.to_ascii_lowercase();
        let nearest = Self::ALL
            .into_iter()
            .map(Self::name)
            .max_by(|a, b| strsim::jaro_winkler(&spelled, a).total_cmp(&strsim::jaro_winkler(&spelled, b)))
            .unwrap_or_default();
        Err(UnknownProvider { given, nearest })
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}
