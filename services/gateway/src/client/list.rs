//! Lists, page after page.

use clap::Args;
use serde_json::Value;

use super::Client;
use super::api::PAGE;
use super::error::ClientError;
use super::output::ListOutput;
use super::resource::Resource;

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Most entries to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Show every entry
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl ListOptions {
    fn limit(&self) -> usize {
        if self.all { usize::MAX } else { usize::try_from(self.limit).unwrap_or(usize::MAX) }
    }
}

impl Client {
    /// Prints the list of a resource.
    pub(crate) async fn list(&mut self, resource: &Resource, options: &ListOptions) -> Result<(), ClientError> {
        self.list_at(resource, &[resource.path], Vec::new(), options, |_| {}).await
    }

    /// Prints a list that is not paged.
    pub(crate) async fn list_whole(
        &mut self,
        resource: &Resource,
        query: Vec<(&str, String)>,
    ) -> Result<(), ClientError> {
        let mut list = ListOutput::default();
        let page = self.api.page(&[resource.path], &query).await?;
        self.output.page(resource.columns, &page.data, |_| {}, &mut list)?;
        self.output.end(&list, resource.empty)
    }

    /// Prints a list of `resource` that is found at `path` with this query. `fill` adds what only a table shows.
    pub(crate) async fn list_at(
        &mut self,
        resource: &Resource,
        path: &[&str],
        mut query: Vec<(&str, String)>,
        options: &ListOptions,
        fill: impl Fn(&mut Value),
    ) -> Result<(), ClientError> {
        let mut list = ListOutput::default();
        let n_filters = query.len();
        let mut cursor = None;
        loop {
            let wanted = options.limit().saturating_sub(list.n_entries()).min(PAGE);
            query.truncate(n_filters);
            query.push(("limit", wanted.to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page = self.api.page(path, &query).await?;
            self.output.page(resource.columns, &page.data, &fill, &mut list)?;
            cursor = page.next;
            let is_full = list.n_entries() >= options.limit();
            if cursor.is_none() || is_full {
                break;
            }
        }
        self.output.end(&list, resource.empty)?;
        if cursor.is_some() {
            self.output.hint("There are more: show them with --all, or another number of them with --limit.");
        }
        Ok(())
    }
}
