//! Where requests go.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::PathAndQuery;
use url::Url;

use crate::flow::spec::Scalar;
use crate::flow::template::{Builder, Context, Scope, Template};
use crate::flow::text::Escape;
use crate::http::Origin;

/// A server, and a path with its query.
#[derive(Debug)]
pub(in crate::flow) struct Destination {
    pub(in crate::flow) origin: Arc<Origin>,
    path: Path,
}

#[derive(Debug)]
enum Path {
    Constant(PathAndQuery),
    Template(Template),
}

/// The servers of a flow, each of them once.
#[derive(Debug, Default)]
pub(in crate::flow) struct Origins(pub(in crate::flow) Vec<Arc<Origin>>);

impl Origins {
    fn intern(&mut self, origin: Origin) -> Arc<Origin> {
        if let Some(known) = self.0.iter().find(|known| ***known == origin) {
            return known.clone();
        }
        let origin = Arc::new(origin);
        self.0.push(origin.clone());
        origin
    }
}

impl Destination {
    /// The destination that `path` after `target`, or `url` alone, describes, with the parameters of `query` added.
    pub(in crate::flow) fn compile(
        path: Option<&str>,
        url: Option<&str>,
        query: &BTreeMap<String, Scalar>,
        target: Option<&Url>,
        origins: &mut Origins,
        scope: &Scope<'_>,
    ) -> Result<Self, String> {
        let compile = |text: &str| Template::compile(text, Escape::Path, scope).map_err(|problem| problem.to_string());
        let (origin, base, rest) = match (path, url) {
            (Some(path), None) => {
                let target =
                    target.ok_or("it has a path and there is no target: give --target URL, or write url instead")?;
                let origin = Origin::of(target).map_err(|error| format!("target: {error}"))?;
                let rest = compile(path)?;
                if rest.starts_with_text() && !rest.prefix().starts_with(b"/") {
                    return Err(format!("path {path:?} begins with no slash: write \"/{path}\""));
                }
                (origin, target.path().trim_end_matches('/'), rest)
            }
            (None, Some(url)) => {
                let (origin, rest) = split(compile(url)?)?;
                (origin, "", rest)
            }
            (Some(_), Some(_)) => return Err("it has a path and a url: keep one".to_owned()),
            (None, None) => return Err("it goes nowhere: give a path, such as \"/in/github\", or a url".to_owned()),
        };
        let mut separator: &[u8] = if path.or(url).is_some_and(|written| written.contains('?')) { b"&" } else { b"?" };
        let mut builder = Builder::new(scope);
        builder.literal(base.as_bytes());
        if rest.starts_with_text() && !rest.prefix().starts_with(b"/") {
            builder.literal(b"/");
        }
        builder.append(rest);
        for (name, Scalar(value)) in query {
            builder.literal(std::mem::replace(&mut separator, b"&"));
            let pair = |builder: &mut Builder<'_>| {
                builder.template(name, Escape::Query, Escape::Query)?;
                builder.literal(b"=");
                builder.template(value, Escape::Query, Escape::Query)
            };
            pair(&mut builder).map_err(|problem| format!("query {name}: {problem}"))?;
        }
        let template = builder.build();
        let constant = template.constant().is_some();
        let mut example = template.example();
        if !example.starts_with(b"/") {
            example.insert(0, b'/');
        }
        let example = PathAndQuery::try_from(example);
        let example =
            example.map_err(|error| format!("path: {error}: percent-encode what stands outside of {{{{}}}}"))?;
        let path = if constant { Path::Constant(example) } else { Path::Template(template) };
        Ok(Self { origin: origins.intern(origin), path })
    }

    /// Path and query as they are this time, `added` to the query.
    pub(in crate::flow) fn render(&self, added: &str, context: &Context<'_>) -> Result<PathAndQuery, String> {
        let mut out = Vec::new();
        match &self.path {
            Path::Constant(path) if added.is_empty() => return Ok(path.clone()),
            Path::Constant(path) => out.extend_from_slice(path.as_str().as_bytes()),
            Path::Template(template) => template.render(context, &mut out).map_err(|missing| missing.to_string())?,
        }
        if !added.is_empty() {
            out.push(if out.contains(&b'?') { b'&' } else { b'?' });
            out.extend_from_slice(added.as_bytes());
        }
        if !out.starts_with(b"/") {
            return Err(format!("path: {:?} begins with no slash", String::from_utf8_lossy(&out)));
        }
        PathAndQuery::try_from(out).map_err(|error| format!("path: {error}"))
    }

    pub(in crate::flow) fn setup_names(&self) -> impl Iterator<Item = &str> {
        let template = match &self.path {
            Path::Template(template) => Some(template),
            Path::Constant(_) => None,
        };
        template.into_iter().flat_map(Template::setup_names)
    }
}

/// Splits a URL into the server, which has to be constant, and the rest.
fn split(url: Template) -> Result<(Origin, Template), String> {
    const FORM: &str = "a url begins with http:// or https:// and a host; up to the end of the host it may use {{env.NAME}} and no other template";
    let prefix = String::from_utf8_lossy(url.prefix()).into_owned();
    let host = prefix.find("://").map(|scheme| scheme + 3).ok_or_else(|| format!("{prefix:?}: {FORM}"))?;
    let end = match prefix[host..].find(['/', '?', '#']) {
        Some(length) => host + length,
        None if url.constant().is_some() => prefix.len(),
        None => return Err(format!("{prefix:?}: {FORM}")),
    };
    let parsed = Url::parse(&prefix[..end]).map_err(|error| format!("{:?}: {error}: {FORM}", &prefix[..end]))?;
    let origin = Origin::of(&parsed).map_err(|error| error.to_string())?;
    Ok((origin, url.without_prefix(end)))
}
