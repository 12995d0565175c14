//! Headers, most of which are the same in each request.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::flow::spec::Scalar;
use crate::flow::template::{Context, Scope, Template};
use crate::flow::text::Escape;

#[derive(Debug)]
pub(in crate::flow) struct Headers {
    constant: HeaderMap,
    rendered: Box<[(HeaderName, Template)]>,
}

/// Headers that follow from the request itself.
const OWN: [HeaderName; 3] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

impl Headers {
    /// The headers of `all`, where later maps hide earlier ones.
    pub(in crate::flow) fn compile<const N: usize>(
        all: [&BTreeMap<String, Scalar>; N],
        scope: &Scope<'_>,
    ) -> Result<Self, String> {
        let mut templates: Vec<(HeaderName, Template)> = Vec::new();
        for (written, Scalar(value)) in all.into_iter().flatten() {
            let name: HeaderName =
                written.parse().map_err(|_| format!("header {written:?}: this is no name of a header"))?;
            if OWN.contains(&name) {
                return Err(format!("header {name}: it follows from the body and from keep_alive: leave it out"));
            }
            let template =
                Template::compile(value, Escape::None, scope).map_err(|problem| format!("header {name}: {problem}"))?;
            HeaderValue::try_from(template.example())
                .map_err(|_| format!("header {name}: {value:?} cannot be its value"))?;
            templates.retain(|(known, _)| *known != name);
            templates.push((name, template));
        }
        let mut constant = HeaderMap::new();
        let mut rendered = Vec::new();
        for (name, template) in templates {
            match template.constant().and_then(|value| HeaderValue::from_bytes(value).ok()) {
                Some(value) => _ = constant.insert(name, value),
                None => rendered.push((name, template)),
            }
        }
        Ok(Self { constant, rendered: rendered.into() })
    }

    /// Adds a header unless there is one of that name.
    pub(in crate::flow) fn or_insert(&mut self, name: HeaderName, value: HeaderValue) {
        if !self.rendered.iter().any(|(known, _)| *known == name) {
            self.constant.entry(name).or_insert(value);
        }
    }

    pub(in crate::flow) fn render(&self, context: &Context<'_>) -> Result<HeaderMap, String> {
        let mut headers = self.constant.clone();
        for (name, template) in &self.rendered {
            let mut value = Vec::new();
            template.render(context, &mut value).map_err(|missing| format!("header {name}: {missing}"))?;
            let value = HeaderValue::try_from(value).map_err(|_| format!("header {name}: it cannot have its value"))?;
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    pub(in crate::flow) fn setup_names(&self) -> impl Iterator<Item = &str> {
        self.rendered.iter().flat_map(|(_, template)| template.setup_names())
    }
}
