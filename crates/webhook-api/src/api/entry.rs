//! What sources, destinations, connections and keys have in common: each is an entry of the configuration, found by its id or name.

use std::fmt::Display;
use std::str::FromStr;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spillway_model::{
    ApiKey, Configuration, ConfigurationChange, Connection, ConnectionId, Destination, DestinationId, KeyId, Source,
    SourceId,
};
use utoipa::ToSchema;

use super::access::Caller;
use super::body::from_value;
use super::caching::versioned;
use super::change::{change, check_room};
use super::connections::ConnectionView;
use super::destinations::view::DestinationView;
use super::error::{ApiError, Kind};
use super::keys::KeyView;
use super::merge::merge;
use super::page::PageRequest;
use super::query::ListQuery;
use super::sources::SourceView;
use super::tag::{Tagged, Target};
use crate::gateway::Gateway;

/// A kind of entry.
pub(crate) trait Entry: Clone + Serialize {
    const KIND: Kind;
    const PUT: fn(Self) -> ConfigurationChange;
    const DELETE: fn(Self::Id) -> ConfigurationChange;
    type Id: FromStr + PartialEq + Display;
    /// The entry as the API shows it.
    type View: for<'e> From<&'e Self> + Serialize + ToSchema;

    fn all(configuration: &Configuration) -> &[Self];
    fn id(&self) -> Self::Id;
    /// Its place in a list.
    fn bits(&self) -> u128;
    /// What it can be found by beside its id.
    fn name(&self) -> Option<&str>;
}

macro_rules! entries {
    ($($kind:ident: $entry:ty, $id:ty, $view:ty, $all:ident, $put:ident, $delete:ident, $name:expr;)+) => {$(
        impl Entry for $entry {
            const KIND: Kind = Kind::$kind;
            const PUT: fn(Self) -> ConfigurationChange = ConfigurationChange::$put;
            const DELETE: fn($id) -> ConfigurationChange = ConfigurationChange::$delete;
            type Id = $id;
            type View = $view;

            fn all(configuration: &Configuration) -> &[Self] {
                &configuration.$all
            }

            fn id(&self) -> $id {
                self.id
            }

            fn bits(&self) -> u128 {
                self.id.to_u128()
            }

            fn name(&self) -> Option<&str> {
                let name: fn(&Self) -> Option<&str> = $name;
                name(self)
            }
        }
    )+};
}

entries! {
    Source: Source, SourceId, SourceView, sources, PutSource, DeleteSource, |source| Some(source.name.as_str());
    Destination: Destination, DestinationId, DestinationView, destinations, PutDestination, DeleteDestination,
        |destination| Some(destination.name.as_str());
    Connection: Connection, ConnectionId, ConnectionView, connections, PutConnection, DeleteConnection, |_| None;
    Key: ApiKey, KeyId, KeyView, keys, PutKey, DeleteKey, |key| Some(&key.name);
}

/// A kind of entry whose settings are set through the API.
pub(crate) trait Settable: Entry {
    /// What POST and PUT bring, and what a merge patch applies to.
    type Input: Clone + for<'e> From<&'e Self> + Serialize + DeserializeOwned;

    /// The entry with these settings, `existing` changed or a new one, if it can be used.
    fn set(input: Self::Input, existing: Option<&Self>, circumstances: &Circumstances<'_>) -> Result<Self, ApiError>;
}

/// What decides whether settings can be used.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'c> {
    pub(crate) gateway: &'c Gateway,
    pub(crate) caller: Caller,
    pub(crate) current: &'c Configuration,
}

/// The entry with this id or name.
pub(crate) fn find<'c, E: Entry>(configuration: &'c Configuration, wanted: &str) -> Result<&'c E, ApiError> {
    let id = wanted.parse::<E::Id>().ok();
    let is_wanted = |entry: &&E| id.as_ref() == Some(&entry.id()) || entry.name() == Some(wanted);
    E::all(configuration).iter().find(is_wanted).ok_or_else(|| ApiError::not_found(E::KIND, wanted))
}

/// Answers with a page of the entries, the oldest first.
pub(crate) fn list<E: Entry>(gateway: &Gateway, query: &ListQuery) -> Result<Response, ApiError> {
    let page = PageRequest::of::<E::View>(query)?;
    let configuration = gateway.routing.load().configuration.clone();
    let rows = page.cut(E::all(&configuration), E::bits);
    Ok(versioned(configuration.version, page.answer(rows, E::View::from)))
}

/// One entry.
pub(crate) fn show<E: Entry>(gateway: &Gateway, wanted: &str) -> Result<Tagged<E>, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let entry = find::<E>(&configuration, wanted)?.clone();
    Ok(Tagged::new(entry, &configuration))
}

/// Makes an entry with these settings.
pub(crate) async fn create<E: Settable>(
    gateway: &Gateway,
    caller: Caller,
    input: E::Input,
) -> Result<Tagged<E>, ApiError> {
    let made = |current: &Configuration| {
        check_room(E::KIND, E::all(current).len())?;
        let entry = E::set(input.clone(), None, &Circumstances { gateway, caller, current })?;
        put(entry, current)
    };
    change(gateway, made).await
}

/// Gives an entry other settings.
pub(crate) async fn replace<E: Settable>(
    gateway: &Gateway,
    caller: Caller,
    target: &Target,
    input: E::Input,
) -> Result<Tagged<E>, ApiError> {
    let replaced = |existing: &E, current: &Configuration| {
        E::set(input.clone(), Some(existing), &Circumstances { gateway, caller, current })
    };
    edit(gateway, target, replaced).await
}

/// Gives an entry the settings that a merge patch makes of its own.
pub(crate) async fn update<E: Settable>(
    gateway: &Gateway,
    caller: Caller,
    target: &Target,
    patch: &Value,
) -> Result<Tagged<E>, ApiError> {
    let patched = |existing: &E, current: &Configuration| {
        let mut settings = serde_json::to_value(E::Input::from(existing)).unwrap_or_default();
        merge(&mut settings, patch.clone());
        E::set(from_value(settings)?, Some(existing), &Circumstances { gateway, caller, current })
    };
    edit(gateway, target, patched).await
}

/// Puts what `next` makes of an entry in its place. `next` may be asked again, with the entry as it is then.
pub(crate) async fn edit<E: Entry>(
    gateway: &Gateway,
    target: &Target,
    next: impl Fn(&E, &Configuration) -> Result<E, ApiError>,
) -> Result<Tagged<E>, ApiError> {
    let edited = |current: &Configuration| put(next(target.find(current)?, current)?, current);
    change(gateway, edited).await
}

/// Deletes an entry, unless `check` refuses.
pub(crate) async fn delete<E: Entry>(
    gateway: &Gateway,
    target: &Target,
    check: impl Fn(&E, &Configuration) -> Result<(), ApiError>,
) -> Result<StatusCode, ApiError> {
    let deleted = |current: &Configuration| {
        let entry = target.find::<E>(current)?;
        check(entry, current)?;
        Ok((E::DELETE(entry.id()), ()))
    };
    change(gateway, deleted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The change that inserts or replaces an entry, and what to answer with, unless its name is another one's.
pub(crate) fn put<E: Entry>(entry: E, current: &Configuration) -> Result<(ConfigurationChange, Tagged<E>), ApiError> {
    if let Some(name) = entry.name() {
        let mut others = E::all(current).iter().filter(|other| other.bits() != entry.bits());
        if others.any(|other| other.name() == Some(name)) {
            return Err(ApiError::name_taken(E::KIND, name));
        }
    }
    Ok((E::PUT(entry.clone()), Tagged::new(entry, current)))
}
