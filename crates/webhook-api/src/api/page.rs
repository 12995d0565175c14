//! Lists: pages, cursors and the selection of fields.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use spillway_store::{Cursor, Page};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::error::ApiError;
use super::query::ListQuery;
use super::suggest::nearest;

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The entries, each with the fields that were asked for.
    data: Vec<T>,
    /// Pass it as `cursor` to get the page after this one; null on the last page.
    next: Option<String>,
}

impl<T> List<T> {
    /// A list that is not paged.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self { data, next: None }
    }
}

/// The part of a list of `T` that was asked for.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<Cursor>,
    fields: Option<Vec<String>>,
}

impl PageRequest {
    /// Checks limit, cursor and fields, the latter against those that `T` has.
    pub(crate) fn new<T: PartialSchema>(
        limit: Option<u64>,
        cursor: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::Query { reason: format!("limit is {limit}, it must be from 1 to {MAX_LIMIT}") });
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let cursor = cursor.map(str::parse).transpose()?;
        let fields = fields.map(|text| select(text, &fields_of::<T>())).transpose()?;
        Ok(Self { limit, cursor, fields })
    }

    pub(crate) fn of<T: PartialSchema>(query: &ListQuery) -> Result<Self, ApiError> {
        Self::new::<T>(query.limit, query.cursor.as_deref(), query.fields.as_deref())
    }

    /// The page out of `all`, which are in the order of their ids.
    pub(crate) fn cut<'a, T>(&self, all: &'a [T], id: impl Fn(&T) -> u128) -> Page<&'a T> {
        let after = |entry: &&T| self.cursor.is_none_or(|cursor| id(entry) > cursor.id);
        let rows = all.iter().filter(after).take(self.limit + 1).collect();
        Page::cut(rows, self.limit, |entry| Cursor { at: 0, id: id(entry) })
    }

    /// Answers with a page, each row as `view` shows it.
    pub(crate) fn answer<R, V: Serialize>(&self, page: Page<R>, view: impl Fn(R) -> V) -> Response {
        let next = page.next.map(|cursor| cursor.to_string());
        let rows = page.rows.into_iter().map(view);
        match &self.fields {
            None => Json(List { data: rows.collect(), next }).into_response(),
            Some(fields) => Json(List { data: rows.map(|row| keep(&row, fields)).collect(), next }).into_response(),
        }
    }
}

impl PageRequest {
    /// An entry with the fields that were asked for.
    pub(crate) fn selected(&self, row: &impl Serialize) -> Box<RawValue> {
        let written = match &self.fields {
            None => to_raw_value(row),
            Some(fields) => to_raw_value(&keep(row, fields)),
        };
        written.unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

fn keep(row: &impl Serialize, fields: &[String]) -> serde_json::Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| fields.contains(name));
    }
    value
}

fn fields_of<T: PartialSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn select(text: &str, known: &[String]) -> Result<Vec<String>, ApiError> {
    let wanted = text.split(',').map(str::trim).filter(|field| !field.is_empty());
    wanted
        .map(
            |field| {
                if known.iter().any(|name| name == field) { Ok(field.to_owned()) } else { Err(unknown(field, known)) }
            },
        )
        .collect()
}

fn unknown(field: &str, known: &[String]) -> ApiError {
    let list = known.join(", ");
    let hint = match nearest(field, known.iter().map(String::as_str)) {
        Some(meant) => format!("Did you mean {meant:?}? There are {list}."),
        None => format!("There are {list}."),
    };
    ApiError::Field { unknown: field.chars().take(100).collect(), hint }
}
