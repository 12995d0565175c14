//! Values of the expressions that need no run.

use std::cell::Cell;
use std::collections::HashMap;

use oxc_ast::ast::BinaryOperator as Operator;
use oxc_ast::ast::{
    ArrayExpressionElement, BinaryExpression, Expression, ObjectExpression, ObjectPropertyKind, PropertyKind,
    TemplateLiteral, UnaryExpression, UnaryOperator,
};
use oxc_span::{GetSpan, Span};

use super::super::document::{Lines, Node, Value};
use super::Refusal;

/// Values within each other, and constants made of constants.
const MOST_DEPTH: usize = 64;

/// Characters of an expression that a refusal shows.
const SHOWN: usize = 60;

/// Expressions that are evaluated: constants made of constants could double at each step.
const MOST_STEPS: usize = 100_000;

pub(super) struct Evaluation<'a> {
    text: &'a str,
    lines: &'a Lines,
    constants: &'a HashMap<&'a str, &'a Expression<'a>>,
    steps: Cell<usize>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(text: &'a str, lines: &'a Lines, constants: &'a HashMap<&'a str, &'a Expression<'a>>) -> Self {
        Self { text, lines, constants, steps: Cell::new(0) }
    }

    /// The value of an expression that stands at a path of the options.
    pub(super) fn node(
        &self,
        expression: &'a Expression<'a>,
        line: usize,
        path: &mut Vec<String>,
    ) -> Result<Node, Refusal> {
        Ok(Node { line, value: self.value(expression, path, 0)? })
    }

    fn value(&self, expression: &'a Expression<'a>, path: &mut Vec<String>, depth: usize) -> Result<Value, Refusal> {
        if depth > MOST_DEPTH || path.len() > MOST_DEPTH {
            return Err(self.refuse(expression.span(), path, "is nested too deeply, or made of itself"));
        }
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MOST_STEPS {
            return Err(self.refuse(expression.span(), path, "makes the options too large"));
        }
        match expression.get_inner_expression() {
            Expression::BooleanLiteral(literal) => Ok(Value::Boolean(literal.value)),
            Expression::NullLiteral(_) => Ok(Value::Null),
            Expression::NumericLiteral(literal) => Ok(number(literal.value)),
            Expression::StringLiteral(literal) => Ok(Value::Text(literal.value.to_string())),
            Expression::TemplateLiteral(template) => self.template(template, path, depth),
            Expression::UnaryExpression(unary) => self.unary(unary, path, depth),
            Expression::BinaryExpression(binary) => self.binary(binary, path, depth),
            Expression::Identifier(name) if name.name == "undefined" => Ok(Value::Null),
            Expression::Identifier(name) => match self.constants.get(name.name.as_str()) {
                Some(constant) => self.value(constant, path, depth + 1),
                None => Err(self.refuse(name.span, path, "is no constant of the script's top level")),
            },
            Expression::ObjectExpression(object) => self.table(object, path, depth),
            Expression::ArrayExpression(array) => {
                let mut nodes = Vec::new();
                for (place, element) in array.elements.iter().enumerate() {
                    path.push(format!("[{place}]"));
                    let Some(value) = element.as_expression() else {
                        let message = match element {
                            ArrayExpressionElement::SpreadElement(_) => "spreads a value, which needs a run",
                            _ => "leaves out an element",
                        };
                        return Err(self.refuse(element.span(), path, message));
                    };
                    let line = self.lines.at(element.span().start as usize);
                    nodes.push(Node { line, value: self.value(value, path, depth + 1)? });
                    path.pop();
                }
                Ok(Value::List(nodes))
            }
            other => Err(self.refuse(other.span(), path, "needs a run of the script, which is not done")),
        }
    }

    fn table(&self, object: &'a ObjectExpression<'a>, path: &mut Vec<String>, depth: usize) -> Result<Value, Refusal> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else {
                return Err(self.refuse(property.span(), path, "spreads a value, which needs a run"));
            };
            let key = match property.key.as_expression() {
                Some(key) if property.computed => match self.value(key, path, depth + 1)? {
                    Value::Text(key) => key,
                    _ => return Err(self.refuse(key.span(), path, "is no text, as names of options are")),
                },
                _ => match property.key.static_name() {
                    Some(key) => key.into_owned(),
                    None => return Err(self.refuse(property.key.span(), path, "is no name of an option")),
                },
            };
            path.push(key.clone());
            if property.kind != PropertyKind::Init || property.method {
                return Err(self.refuse(property.span, path, "is a function, which is not run"));
            }
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(self.refuse(property.span, path, "stands twice"));
            }
            let line = self.lines.at(property.span.start as usize);
            entries.push((key, Node { line, value: self.value(&property.value, path, depth + 1)? }));
            path.pop();
        }
        Ok(Value::Table(entries))
    }

    fn template(
        &self,
        template: &'a TemplateLiteral<'a>,
        path: &mut Vec<String>,
        depth: usize,
    ) -> Result<Value, Refusal> {
        let mut text = String::new();
        for (place, quasi) in template.quasis.iter().enumerate() {
            let Some(cooked) = &quasi.value.cooked else {
                return Err(self.refuse(quasi.span, path, "is no valid text"));
            };
            text.push_str(cooked.as_str());
            if let Some(inner) = template.expressions.get(place) {
                match self.value(inner, path, depth + 1)? {
                    Value::Text(inner) => text.push_str(&inner),
                    Value::Integer(inner) => text.push_str(&inner.to_string()),
                    _ => return Err(self.refuse(inner.span(), path, "is neither text nor a whole number")),
                }
            }
        }
        Ok(Value::Text(text))
    }

    fn unary(&self, unary: &'a UnaryExpression<'a>, path: &mut Vec<String>, depth: usize) -> Result<Value, Refusal> {
        let value = self.value(&unary.argument, path, depth + 1)?;
        match (unary.operator, as_number(&value), &value) {
            (UnaryOperator::UnaryNegation, Some(value), _) => Ok(number(-value)),
            (UnaryOperator::UnaryPlus, Some(value), _) => Ok(number(value)),
            (UnaryOperator::LogicalNot, _, Value::Boolean(yes)) => Ok(Value::Boolean(!yes)),
            _ => Err(self.refuse(unary.span, path, "is no arithmetic on numbers")),
        }
    }

    fn binary(&self, binary: &'a BinaryExpression<'a>, path: &mut Vec<String>, depth: usize) -> Result<Value, Refusal> {
        let (left, right) = (self.value(&binary.left, path, depth + 1)?, self.value(&binary.right, path, depth + 1)?);
        if let (Operator::Addition, Value::Text(left), Value::Text(right)) = (binary.operator, &left, &right) {
            return Ok(Value::Text(format!("{left}{right}")));
        }
        let refused = || self.refuse(binary.span, path, "is no arithmetic on numbers");
        let (Some(left), Some(right)) = (as_number(&left), as_number(&right)) else { return Err(refused()) };
        Ok(number(match binary.operator {
            Operator::Addition => left + right,
            Operator::Subtraction => left - right,
            Operator::Multiplication => left * right,
            Operator::Division => left / right,
            Operator::Remainder => left % right,
            Operator::Exponential => left.powf(right),
            _ => return Err(refused()),
        }))
    }

    fn refuse(&self, span: Span, path: &[String], message: &str) -> Refusal {
        let expression = span.source_text(self.text);
        let expression = expression.lines().next().unwrap_or_default();
        let shown = match expression.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &expression[..end]),
            None => expression.to_owned(),
        };
        let option = if path.is_empty() { "options".to_owned() } else { path.join(".").replace(".[", "[") };
        Refusal {
            line: Some(self.lines.at(span.start as usize)),
            message: format!("{option}: `{shown}` {message}: write a literal value"),
        }
    }
}

/// A whole number where it is one.
fn number(value: f64) -> Value {
    /// Up to here whole numbers are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT { Value::Integer(value as i128) } else { Value::Float(value) }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
