//! What the kinds of things in the API have in common.

use http::Method;
use serde_json::{Value, json};

use super::Client;
use super::error::ClientError;
use super::table::Column;

/// A kind of thing, and how it is shown.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its part of the path.
    pub(crate) path: &'static str,
    /// What one is called.
    pub(crate) word: &'static str,
    /// The columns of its table: fields that fit into 80 characters.
    pub(crate) columns: &'static [Column],
    /// All fields, for one entry.
    pub(crate) details: &'static [Column],
    /// What to say about an empty list: how to get a first entry.
    pub(crate) empty: &'static str,
}

impl Client {
    pub(crate) async fn get(&mut self, resource: &Resource, name: &str) -> Result<(), ClientError> {
        let entry = self.api.get(&[resource.path, name]).await?;
        self.output.entry(resource.details, &entry)
    }

    pub(crate) async fn create(&mut self, resource: &Resource, body: &Value) -> Result<(), ClientError> {
        self.change(resource, Method::POST, &[], Some(body)).await
    }

    pub(crate) async fn update(&mut self, resource: &Resource, name: &str, patch: &Value) -> Result<(), ClientError> {
        self.change(resource, Method::PATCH, &[name], Some(patch)).await
    }

    /// A request that changes something, at this path below the resource's own. Prints what it is now.
    pub(crate) async fn change(
        &mut self,
        resource: &Resource,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<(), ClientError> {
        let path: Vec<&str> = std::iter::once(resource.path).chain(path.iter().copied()).collect();
        let entry = self.api.change(method, &path, body.map(|body| body.to_string().into_bytes())).await?;
        self.output.entry(resource.details, &entry)
    }

    pub(crate) async fn delete(&mut self, resource: &Resource, name: &str) -> Result<(), ClientError> {
        self.api.delete(&[resource.path, name]).await?;
        self.output.line(&format!("deleted {} {name}", resource.word))?;
        self.output.json_line(&json!({ "deleted": name }))
    }
}
