//! Where a flood goes.

use std::sync::Arc;

use http::uri::PathAndQuery;
use url::Url;

use super::FloodError;
use crate::http::Origin;

/// One URL, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) origin: Arc<Origin>,
    pub(super) path: PathAndQuery,
    url: Url,
}

impl Target {
    /// The target of `text`: `http://HOST:PORT/PATH` or `https://…`. A fragment is not sent.
    ///
    /// # Errors
    /// [`FloodError::Url`].
    pub fn parse(text: &str) -> Result<Self, FloodError> {
        let problem = |reason: String| FloodError::Url { url: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|error| problem(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(problem(format!("{:?} is neither http nor https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("a user in it is not sent; give an Authorization header instead".to_owned()));
        }
        let origin = Origin::of(&url).map_err(|error| problem(error.to_string()))?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let path = path.parse().map_err(|error: http::uri::InvalidUri| problem(error.to_string()))?;
        Ok(Self { origin: Arc::new(origin), path, url })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}
