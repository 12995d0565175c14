//! `/api/v1/attempts`: what was tried for a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use spillway_model::{Attempt, AttemptClass, AttemptId, DeliveryId};
use utoipa::{IntoParams, ToSchema};

use super::deliveries::delivery_id;
use super::error::{ApiError, Kind};
use super::events::text_or_base64;
use super::page::{List, PageRequest};
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::timestamp::Timestamp;
use crate::gateway::Gateway;

/// One request to a destination and how it ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Identifier.
    #[schema(value_type = String, example = "att_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: AttemptId,
    /// The delivery that was attempted.
    #[schema(value_type = String)]
    delivery: DeliveryId,
    /// Counted from one.
    number: u16,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// From the start until the whole answer was read, or the failure.
    duration_ms: f64,
    /// How it ended: `success`, `redirect`, `client_error`, `server_error`, `timeout`, `connect`, `tls`, `protocol`, `blocked`
    /// or `platform`.
    #[schema(value_type = String, example = "success")]
    class: AttemptClass,
    /// The answer's status; null when there was none.
    status: Option<u16>,
    /// The answer's first bytes, at most 1 KiB, if they are UTF-8; null otherwise.
    response: Option<String>,
    /// The answer's first bytes in base64, if they are not UTF-8; null otherwise.
    response_base64: Option<String>,
    /// What went wrong; null on success.
    error: Option<String>,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        let (response, response_base64) = text_or_base64(&attempt.response);
        Self {
            id: attempt.id,
            delivery: attempt.id.delivery(),
            number: attempt.id.number(),
            started_at: Timestamp(attempt.started_at),
            duration_ms: (attempt.duration.as_secs_f64() * 1e6).round() / 1e3,
            class: attempt.class,
            status: attempt.status,
            response,
            response_base64,
            error: attempt.error.as_deref().map(str::to_owned),
        }
    }
}

/// Which attempts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AttemptQuery {
    /// The delivery's id.
    delivery: String,
    /// Most entries to answer with, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// The field `next` of the page before, unchanged.
    cursor: Option<String>,
    /// Fields of the entries to answer with, separated by commas; all when absent.
    fields: Option<String>,
}

/// List the attempts of the delivery in the query, the first one first.
#[utoipa::path(get, path = "/api/v1/attempts", tag = "deliveries", operation_id = "list_attempts", params(AttemptQuery),
    responses((status = 200, description = "A page of attempts", body = List<AttemptView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<AttemptQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::new::<AttemptView>(query.limit, query.cursor.as_deref(), query.fields.as_deref())?;
    answer(&gateway, &query.delivery, &page).await
}

/// List the attempts of a delivery, the first one first.
#[utoipa::path(get, path = "/api/v1/deliveries/{delivery}/attempts", tag = "deliveries",
    operation_id = "list_delivery_attempts", params(("delivery" = String, Path, description = "Id"), ListQuery),
    responses((status = 200, description = "A page of attempts", body = List<AttemptView>)))]
pub(crate) async fn of_delivery(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<AttemptView>(&query)?;
    answer(&gateway, &wanted, &page).await
}

async fn answer(gateway: &Gateway, wanted: &str, page: &PageRequest) -> Result<Response, ApiError> {
    let id = delivery_id(wanted)?;
    let attempts = gateway.store.attempts(id).await?;
    if attempts.is_empty() && gateway.store.delivery(id).await?.is_none() {
        return Err(ApiError::not_found(Kind::Delivery, wanted));
    }
    Ok(page.answer(page.cut(&attempts, |attempt| attempt.id.to_u128()), AttemptView::from))
}
