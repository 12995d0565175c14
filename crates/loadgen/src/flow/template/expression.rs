//! What may stand between `{{` and `}}`.

use std::collections::BTreeMap;

use super::Value;

/// The longest random text.
const LONGEST: usize = 16 * 1024 * 1024;

/// Every value, as error messages list and suggest them.
const NAMES: [&str; 16] = [
    "vu",
    "iteration",
    "scenario",
    "uuid",
    "timestamp",
    "timestamp_ms",
    "sequence",
    "random.int",
    "random.float",
    "random.string",
    "random.hex",
    "random.choice",
    "env.NAME",
    "capture.NAME",
    "setup.NAME",
    "csv.NAME.COLUMN",
];

/// What is wrong with a template, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::flow) struct Problem(pub(in crate::flow) String);

/// What the templates at one place may use.
#[derive(Debug, Clone, Copy)]
pub(in crate::flow) struct Scope<'a> {
    /// Values of the scenario, which hide those of the process.
    pub(in crate::flow) env: &'a BTreeMap<String, String>,
    /// Names captured before, each at its place.
    pub(in crate::flow) captured: &'a [String],
    /// Why there are none, when nothing can be.
    pub(in crate::flow) no_captures: Option<&'static str>,
    /// Data files by name, each with its columns.
    pub(in crate::flow) data: &'a [(String, Vec<String>)],
}

/// A part of a text with templates.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Expression(&'a str),
}

/// What an expression stands for.
pub(super) enum Resolved {
    Constant(String),
    Value(Value),
}

/// Splits `text` at its templates. `\{{` is two braces and no template.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, Problem>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let Some(escaped) = rest.strip_prefix("\\{{") {
            let braces = &rest[1..3];
            rest = escaped;
            return Some(Ok(Piece::Text(braces)));
        }
        if let Some(inner) = rest.strip_prefix("{{") {
            let Some((expression, after)) = inner.split_once("}}") else {
                let begin: String = rest.chars().take(40).collect();
                rest = "";
                return Some(Err(Problem(format!(
                    "`{begin}` has no `}}}}`: close the template, or write \\{{{{ for two braces"
                ))));
            };
            rest = after;
            return Some(Ok(Piece::Expression(expression.trim())));
        }
        let next = [rest.find("\\{{"), rest.find("{{")].into_iter().flatten().min().unwrap_or(rest.len());
        let (piece, after) = rest.split_at(next);
        rest = after;
        (!piece.is_empty()).then_some(Ok(Piece::Text(piece)))
    })
}

impl Scope<'_> {
    /// What `expression` stands for.
    pub(super) fn value(&self, expression: &str) -> Result<Resolved, Problem> {
        let problem = |text: String| Problem(format!("`{{{{{expression}}}}}`: {text}"));
        if let Some(name) = expression.strip_prefix("env.") {
            return self.env(name).map(Resolved::Constant).map_err(problem);
        }
        let (name, arguments) = match expression.split_once(char::is_whitespace) {
            Some((name, arguments)) => (name, arguments.trim()),
            None => (expression, ""),
        };
        let value = match name {
            "vu" => Value::Vu,
            "iteration" => Value::Iteration,
            "scenario" => Value::Scenario,
            "uuid" => Value::Uuid,
            "timestamp" => Value::Timestamp,
            "timestamp_ms" => Value::TimestampMillis,
            "sequence" => Value::Sequence,
            "random.int" => {
                let (least, most) = pair::<i64>(arguments, "random.int 1 6").map_err(problem)?;
                return Ok(Resolved::Value(Value::Int(least, most)));
            }
            "random.float" => {
                let (least, most) = pair::<f64>(arguments, "random.float 0.5 1.5").map_err(problem)?;
                if !(least.is_finite() && most.is_finite() && (most - least).is_finite()) {
                    return Err(problem("the numbers are too large".to_owned()));
                }
                return Ok(Resolved::Value(Value::Float(least, most)));
            }
            "random.string" => {
                return length(arguments, name).map(Value::Letters).map(Resolved::Value).map_err(problem);
            }
            "random.hex" => return length(arguments, name).map(Value::Hex).map(Resolved::Value).map_err(problem),
            "random.choice" if arguments.is_empty() => {
                return Err(problem("write the choices, as in {{random.choice red|green|blue}}".to_owned()));
            }
            "random.choice" => {
                let choices = arguments.split('|').map(|choice| choice.trim().into()).collect();
                return Ok(Resolved::Value(Value::Choice(choices)));
            }
            _ => self.named(name).map_err(problem)?,
        };
        match arguments {
            "" => Ok(Resolved::Value(value)),
            _ => Err(problem(format!("nothing stands after {name}"))),
        }
    }

    fn named(&self, name: &str) -> Result<Value, String> {
        let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
        match kind {
            "setup" if !rest.is_empty() => Ok(Value::Setup(rest.into())),
            "capture" if !rest.is_empty() => self.capture(rest),
            "csv" if !rest.is_empty() => self.csv(rest),
            _ => {
                let likely = NAMES
                    .into_iter()
                    .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
                let likely = likely.unwrap_or_default();
                Err(format!("there is no such value; did you mean {likely}? The values are {}", NAMES.join(", ")))
            }
        }
    }

    fn env(&self, name: &str) -> Result<String, String> {
        #[expect(clippy::disallowed_methods, reason = "a test names the variables it needs in its own file")]
        let process = || std::env::var(name).ok();
        self.env.get(name).cloned().or_else(process).ok_or_else(|| {
            format!("neither the scenario's env nor the environment of this process has {name}: set one of them")
        })
    }

    fn capture(&self, name: &str) -> Result<Value, String> {
        if let Some(place) = self.captured.iter().position(|known| known == name) {
            return Ok(Value::Capture(place, name.into()));
        }
        if let Some(reason) = self.no_captures {
            return Err(reason.to_owned());
        }
        let known = match self.captured {
            [] => "and nothing else either".to_owned(),
            names => format!("captured by then: {}", names.join(", ")),
        };
        Err(format!(
            "no earlier request captures {name} ({known}): add it to the `capture` of a request before this one"
        ))
    }

    fn csv(&self, rest: &str) -> Result<Value, String> {
        let (file, column) = rest.split_once('.').ok_or("write {{csv.NAME.COLUMN}}")?;
        let place = self.data.iter().position(|(name, _)| name == file);
        let place = place.ok_or_else(|| {
            format!("the flow has no data file {file}: add it, as in data = {{ {file} = \"{file}.csv\" }}")
        })?;
        let columns = &self.data[place].1;
        let column = columns.iter().position(|name| name == column);
        let column =
            column.ok_or_else(|| format!("{file} has no such column; its columns are {}", columns.join(", ")))?;
        Ok(Value::Csv(place, column))
    }
}

fn pair<N: std::str::FromStr + PartialOrd>(arguments: &str, example: &str) -> Result<(N, N), String> {
    let mut numbers = arguments.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(least)), Some(Ok(most)), None) if least <= most => Ok((least, most)),
        (Some(Ok(_)), Some(Ok(_)), None) => Err("the first number is the smaller one".to_owned()),
        _ => Err(format!("write two numbers, as in {{{{{example}}}}}")),
    }
}

fn length(arguments: &str, name: &str) -> Result<usize, String> {
    let length = arguments.parse().ok().filter(|length| *length <= LONGEST);
    length.ok_or_else(|| format!("write a length up to {LONGEST}, as in {{{{{name} 16}}}}"))
}
