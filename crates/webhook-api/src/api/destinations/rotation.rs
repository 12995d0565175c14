//! New signing secrets, with a time in which the old ones sign too.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use spillway_model::{Configuration, Destination, Secret, SigningSecret, UnixMillis};
use spillway_signature::{MAX_SECRETS, generate_secret};
use utoipa::ToSchema;

use super::input::check_secrets;
use super::routes::with_secret;
use super::view::DestinationWithSecret;
use crate::api::access::Caller;
use crate::api::body::OptionalJsonBody;
use crate::api::entry;
use crate::api::error::ApiError;
use crate::api::secrets::check_references;
use crate::api::tag::Target;
use crate::gateway::Gateway;

const DEFAULT_GRACE_SECONDS: u64 = 86_400;
const MAX_GRACE_SECONDS: u64 = 30 * 86_400;

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rotation {
    /// How long the old secrets sign beside the new one, in seconds: at most 2 592 000 (30 days), 86 400 (a day) when absent.
    /// Zero drops them at once.
    grace_seconds: Option<u64>,
    /// The new secret; one is made when this is absent.
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
}

/// Give a destination a new signing secret. A secret that is made here is shown in this answer only.
#[utoipa::path(post, path = "/api/v1/destinations/{destination}/rotate-secret", tag = "configuration",
    operation_id = "rotate_destination_secret", params(("destination" = String, Path, description = "Id or name")),
    request_body = Option<Rotation>,
    responses((status = 200, description = "The destination, with its new secret", body = DestinationWithSecret)))]
pub(crate) async fn rotate_secret(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    OptionalJsonBody(rotation): OptionalJsonBody<Rotation>,
) -> Result<Response, ApiError> {
    check_references(caller, &rotation.secret)?;
    let grace = rotation.grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    if grace > MAX_GRACE_SECONDS {
        return Err(ApiError::invalid("grace_seconds", format!("it must be at most {MAX_GRACE_SECONDS}")));
    }
    let generated = rotation.secret.is_none().then(|| Secret::new(generate_secret(rand::random())));
    let new = rotation.secret.or_else(|| generated.clone()).into_iter();
    let new: Vec<_> = new.map(|secret| SigningSecret { secret, expires_at: None }).collect();
    check_secrets(&new, &gateway)?;
    let now = gateway.clock.now();
    let rotated = |destination: &Destination, _: &Configuration| {
        let mut destination = destination.clone();
        let old = retire(std::mem::take(&mut destination.signing_secrets), now, grace);
        destination.signing_secrets = new.iter().cloned().chain(old).collect();
        if destination.signing_secrets.len() > MAX_SECRETS {
            let reason = format!(
                "A destination signs with at most {MAX_SECRETS} secrets at once. \
                 Wait until an old one expires, or rotate with grace_seconds 0."
            );
            return Err(ApiError::Conflict { code: "too_many_secrets", reason });
        }
        Ok(destination)
    };
    let destination = entry::edit(&gateway, &target, rotated).await?;
    Ok(with_secret(StatusCode::OK, &destination, generated))
}

/// The old secrets that go on signing, each until the grace is over or its own end, whichever is first.
fn retire(old: Vec<SigningSecret>, now: UnixMillis, grace_seconds: u64) -> impl Iterator<Item = SigningSecret> {
    let end = now.saturating_add(i64::try_from(grace_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX));
    old.into_iter()
        .map(move |signing| SigningSecret {
            expires_at: Some(signing.expires_at.map_or(end, |known| known.min(end))),
            ..signing
        })
        .filter(move |signing| signing.expires_at.is_some_and(|end| end > now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signing(text: &str, expires_at: Option<UnixMillis>) -> SigningSecret {
        SigningSecret { secret: Secret::new(text), expires_at }
    }

    #[test]
    fn old_secrets_sign_until_the_grace_is_over_and_never_longer_than_before() {
        let old = vec![signing("current", None), signing("older", Some(5_000)), signing("expired", Some(900))];
        let kept: Vec<_> = retire(old, 1_000, 60).collect();
        assert_eq!(kept, [signing("current", Some(61_000)), signing("older", Some(5_000))]);
    }

    #[test]
    fn without_grace_nothing_is_kept() {
        assert_eq!(retire(vec![signing("current", None)], 1_000, 0).count(), 0);
    }
}
