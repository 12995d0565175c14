//! TOML with its lines.

use std::ops::Range;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Lines, Node, Problem, Value};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| Problem {
        line: error.span().map(|span| lines.at(span.start)),
        message: error.message().to_owned(),
    })?;
    Ok(Node { line: 1, value: self::table(table.get_ref(), &lines)? })
}

fn table(table: &DeTable<'_>, lines: &Lines) -> Result<Value, Problem> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let read = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Ok((key.get_ref().to_string(), node(value, key.span(), lines)?))
    };
    Ok(Value::Table(entries.into_iter().map(read).collect::<Result<_, Problem>>()?))
}

fn node(value: &Spanned<DeValue<'_>>, place: Range<usize>, lines: &Lines) -> Result<Node, Problem> {
    let line = lines.at(place.start);
    let problem = |message: &str| Problem { line: Some(line), message: message.to_owned() };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Integer(digits) => {
            let number = i128::from_str_radix(digits.as_str(), digits.radix());
            Value::Integer(number.map_err(|_| problem("a number is too large"))?)
        }
        DeValue::Float(digits) => Value::Float(digits.as_str().parse().map_err(|_| problem("expected a number"))?),
        DeValue::Datetime(_) => return Err(problem("no option is a date: write text in quotes")),
        DeValue::Array(values) => {
            let values = values.iter().map(|value| node(value, value.span(), lines));
            Value::List(values.collect::<Result<_, _>>()?)
        }
        DeValue::Table(inner) => table(inner, lines)?,
    };
    Ok(Node { line, value })
}
