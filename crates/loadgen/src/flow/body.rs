//! Bodies of requests.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use rand::Rng;
use serde_json::Value;

use super::files;
use super::spec::{RequestSpec, Scalar};
use super::template::{Builder, Context, MissingValue, Problem, Scope, Template};
use super::text::Escape;

/// The most random bytes of one body.
const MOST_RANDOM_BYTES: usize = 16 * 1024 * 1024;

/// How a TOML date looks in the values that other formats share.
const TOML_DATE: &str = "$__toml_private_datetime";

#[derive(Debug)]
pub(super) enum Body {
    Constant(Bytes),
    Template(Template),
    Random(usize),
}

impl Body {
    /// The body that `spec` describes, with its usual content type; `None` without one.
    pub(super) fn compile(
        spec: &RequestSpec,
        folder: &Path,
        scope: &Scope<'_>,
    ) -> Result<Option<(Self, &'static str)>, String> {
        let given = [
            ("json", spec.json.is_some()),
            ("text", spec.text.is_some()),
            ("form", spec.form.is_some()),
            ("file", spec.file.is_some()),
            ("random_bytes", spec.random_bytes.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if given.len() > 1 {
            return Err(format!("it has {} bodies ({}): keep one", given.len(), given.join(", ")));
        }
        let template =
            |template: Result<Template, Problem>| template.map(Self::of).map_err(|problem| problem.to_string());
        Ok(if let Some(value) = &spec.json {
            Some((template(json(value, scope))?, "application/json"))
        } else if let Some(text) = &spec.text {
            Some((template(Template::compile(text, Escape::None, scope))?, "text/plain; charset=utf-8"))
        } else if let Some(parameters) = &spec.form {
            Some((template(form(parameters, scope))?, "application/x-www-form-urlencoded"))
        } else if let Some(file) = &spec.file {
            let bytes = files::read(&folder.join(file))?;
            Some((Self::Constant(bytes.into()), content_type(file)))
        } else if let Some(length) = spec.random_bytes {
            if length > MOST_RANDOM_BYTES {
                return Err(format!("random_bytes is at most {MOST_RANDOM_BYTES}"));
            }
            Some((Self::Random(length), "application/octet-stream"))
        } else {
            None
        })
    }

    fn of(template: Template) -> Self {
        match template.constant() {
            Some(bytes) => Self::Constant(Bytes::copy_from_slice(bytes)),
            None => Self::Template(template),
        }
    }

    pub(super) fn render(&self, context: &Context<'_>) -> Result<Bytes, MissingValue> {
        let mut out = Vec::new();
        match self {
            Self::Constant(bytes) => return Ok(bytes.clone()),
            Self::Template(template) => template.render(context, &mut out)?,
            Self::Random(length) => {
                out.resize(*length, 0);
                rand::rng().fill_bytes(&mut out);
            }
        }
        Ok(out.into())
    }

    pub(super) fn setup_names(&self) -> impl Iterator<Item = &str> {
        let template = match self {
            Self::Template(template) => Some(template),
            Self::Constant(_) | Self::Random(_) => None,
        };
        template.into_iter().flat_map(Template::setup_names)
    }
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn form(parameters: &BTreeMap<String, Scalar>, scope: &Scope<'_>) -> Result<Template, Problem> {
    let mut builder = Builder::new(scope);
    for (place, (name, Scalar(value))) in parameters.iter().enumerate() {
        builder.literal(if place == 0 { b"" } else { b"&" });
        builder.template(name, Escape::Query, Escape::Query)?;
        builder.literal(b"=");
        builder.template(value, Escape::Query, Escape::Query)?;
    }
    Ok(builder.build())
}

fn json(value: &Value, scope: &Scope<'_>) -> Result<Template, Problem> {
    let mut builder = Builder::new(scope);
    write_json(value, &mut builder)?;
    Ok(builder.build())
}

fn write_json(value: &Value, builder: &mut Builder<'_>) -> Result<(), Problem> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => builder.literal(value.to_string().as_bytes()),
        Value::String(text) => builder.json(text)?,
        Value::Array(list) => {
            builder.literal(b"[");
            for (place, element) in list.iter().enumerate() {
                builder.literal(if place == 0 { b"" } else { b"," });
                write_json(element, builder)?;
            }
            builder.literal(b"]");
        }
        Value::Object(fields) => {
            if let (1, Some(Value::String(date))) = (fields.len(), fields.get(TOML_DATE)) {
                return builder.json(date);
            }
            builder.literal(b"{");
            for (place, (name, value)) in fields.iter().enumerate() {
                builder.literal(if place == 0 { b"\"" } else { b",\"" });
                builder.template(name, Escape::Json, Escape::Json)?;
                builder.literal(b"\":");
                write_json(value, builder)?;
            }
            builder.literal(b"}");
        }
    }
    Ok(())
}
