//! Texts with values in them, such as `order {{sequence}} of {{vu}}`.
//!
//! A template is parsed once. Rendering appends bytes to a buffer: no parsing, and no allocation of its own.

mod expression;
mod render;

pub(super) use expression::{Problem, Scope};
pub(super) use render::{Context, MissingValue};

use super::text::Escape;

/// A parsed template.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(Box<[u8]>),
    Value(Value, Escape),
}

/// What stands for an expression when it is rendered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Vu,
    Iteration,
    Scenario,
    Uuid,
    Timestamp,
    TimestampMillis,
    Sequence,
    Int(i64, i64),
    Float(f64, f64),
    Letters(usize),
    Hex(usize),
    Choice(Box<[Box<str>]>),
    /// The place of the captured value, and its name.
    Capture(usize, Box<str>),
    Setup(Box<str>),
    /// The place of the file, and of its column.
    Csv(usize, usize),
}

impl Value {
    /// Whether it is always a number, so that JSON may hold it without quotation marks.
    fn is_number(&self) -> bool {
        use Value::{Float, Int, Iteration, Sequence, Timestamp, TimestampMillis, Vu};
        matches!(self, Vu | Iteration | Timestamp | TimestampMillis | Sequence | Int(..) | Float(..))
    }
}

impl Template {
    /// Parses `text`; what its values render to is escaped as `escape` says, its own text is taken as it is.
    pub(super) fn compile(text: &str, escape: Escape, scope: &Scope<'_>) -> Result<Self, Problem> {
        let mut builder = Builder::new(scope);
        builder.template(text, Escape::None, escape)?;
        Ok(builder.build())
    }

    /// The whole text if it is always the same.
    pub(super) fn constant(&self) -> Option<&[u8]> {
        match &*self.parts {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether no value stands at its begin.
    pub(super) fn starts_with_text(&self) -> bool {
        !matches!(self.parts.first(), Some(Part::Value(..)))
    }

    /// The text before the first value.
    pub(super) fn prefix(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => b"",
        }
    }

    /// The template after the first `n` bytes, which are constant.
    pub(super) fn without_prefix(mut self, n: usize) -> Self {
        if let Some(Part::Text(text)) = self.parts.first_mut() {
            *text = text[n.min(text.len())..].into();
        }
        self
    }

    /// The text with `x` in the place of each value, to check its form.
    pub(super) fn example(&self) -> Vec<u8> {
        let bytes = |part: &Part| match part {
            Part::Text(text) => text.to_vec(),
            Part::Value(..) => b"x".to_vec(),
        };
        self.parts.iter().flat_map(bytes).collect()
    }

    /// The names of the values of the flow `setup` in it.
    pub(super) fn setup_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(Value::Setup(name), _) => Some(&**name),
            _ => None,
        })
    }
}

/// Puts a template together from several texts.
pub(super) struct Builder<'a> {
    scope: &'a Scope<'a>,
    parts: Vec<Part>,
    text: Vec<u8>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(scope: &'a Scope<'a>) -> Self {
        Self { scope, parts: Vec::new(), text: Vec::new() }
    }

    /// Appends text without templates.
    pub(super) fn literal(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Appends `text` with its templates: what is constant escaped as `own`, what its values render to as `values`.
    pub(super) fn template(&mut self, text: &str, own: Escape, values: Escape) -> Result<(), Problem> {
        for piece in expression::pieces(text) {
            match piece? {
                expression::Piece::Text(text) => own.append(text.as_bytes(), &mut self.text),
                expression::Piece::Expression(expression) => match self.scope.value(expression)? {
                    expression::Resolved::Constant(text) => own.append(text.as_bytes(), &mut self.text),
                    expression::Resolved::Value(value) => self.value(value, values),
                },
            }
        }
        Ok(())
    }

    /// Appends `text` as a JSON text, or as a number if it is one template with a number's value.
    pub(super) fn json(&mut self, text: &str) -> Result<(), Problem> {
        let mut pieces = expression::pieces(text);
        if let (Some(Ok(expression::Piece::Expression(only))), None) = (pieces.next(), pieces.next())
            && let expression::Resolved::Value(value) = self.scope.value(only)?
            && value.is_number()
        {
            self.value(value, Escape::None);
            return Ok(());
        }
        self.literal(b"\"");
        self.template(text, Escape::Json, Escape::Json)?;
        self.literal(b"\"");
        Ok(())
    }

    /// Appends a template as it is.
    pub(super) fn append(&mut self, template: Template) {
        for part in template.parts {
            match part {
                Part::Text(text) => self.literal(&text),
                Part::Value(value, escape) => self.value(value, escape),
            }
        }
    }

    fn value(&mut self, value: Value, escape: Escape) {
        self.end_text();
        self.parts.push(Part::Value(value, escape));
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.text).into()));
        }
    }

    pub(super) fn build(mut self) -> Template {
        self.end_text();
        Template { parts: self.parts.into() }
    }
}

#[cfg(test)]
mod tests;
