//! The options of a k6 script.
//!
//! The script's code is not run: only its exported `options` object is read, as far as it consists of literals. What iterations do comes
//! from a file with flows, whose names are those of the script's functions.

mod evaluate;

use std::collections::HashMap;

use oxc_allocator::Allocator;
use oxc_ast::ast::{BindingPattern, Declaration, Expression, Program, Statement, VariableDeclaration};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};

use super::ConfigurationError;
use super::document::{Document, Lines, Node};
use evaluate::Evaluation;

/// Largest script that is read.
pub(super) const MOST_BYTES: usize = 256 << 10;

/// The parser calls itself for each level of a script, and a script of so many bytes has no more levels than bytes.
const STACK: usize = 1 << 30;

/// Reads the exported `options` of a script; errors call it `name`. A name that ends with `.ts` is TypeScript.
///
/// # Errors
/// When the script breaks its syntax or exports no options, or when an option is anything else than literals, arithmetic on them and
/// constants that are made of them.
pub(super) fn document(text: &str, name: &str) -> Result<Document, ConfigurationError> {
    let problem = |line: Option<usize>, message: String| ConfigurationError {
        place: Some(line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"))),
        message,
    };
    if text.len() > MOST_BYTES {
        return Err(problem(None, format!("a script has at most {MOST_BYTES} bytes, this one has {}", text.len())));
    }
    let read = || read(text, name.ends_with(".ts"));
    let root = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("k6 script".to_owned()).stack_size(STACK);
        let reader =
            thread.spawn_scoped(scope, read).map_err(|error| problem(None, format!("cannot read it: {error}")))?;
        let refused = |refusal: Refusal| problem(refusal.line, refusal.message);
        reader.join().map_err(|_| problem(None, "the parser cannot read it".to_owned()))?.map_err(refused)
    })?;
    Document::new(root, name)
}

/// Why a script's options cannot be read.
#[derive(Debug)]
struct Refusal {
    line: Option<usize>,
    message: String,
}

fn read(text: &str, typescript: bool) -> Result<Node, Refusal> {
    let lines = Lines::of(text);
    let allocator = Allocator::default();
    let source = if typescript { SourceType::ts() } else { SourceType::mjs() };
    let parsed = Parser::new(&allocator, text, source).parse();
    if let Some(first) = parsed.diagnostics.into_iter().next() {
        let place = first.labels.first().map(|label| lines.at(label.offset() as usize));
        return Err(Refusal { line: place, message: first.message.to_string() });
    }
    let declared = Declared::of(&parsed.program);
    let exported = declared.exported.iter().find(|(exported, _)| exported == "options");
    let value = exported.and_then(|(_, local)| declared.value(local));
    let value = value.ok_or_else(|| Refusal {
        line: None,
        message: "it exports no options: write `export const options = { … }`".to_owned(),
    })?;
    let evaluation = Evaluation::new(text, &lines, &declared.constants);
    evaluation.node(value, lines.at(value.span().start as usize), &mut Vec::new())
}

/// What a script declares at its top level.
#[derive(Default)]
struct Declared<'a> {
    constants: HashMap<&'a str, &'a Expression<'a>>,
    variables: HashMap<&'a str, &'a Expression<'a>>,
    /// Under which name which of them is exported.
    exported: Vec<(String, String)>,
}

impl<'a> Declared<'a> {
    fn of(program: &'a Program<'a>) -> Self {
        let mut declared = Self::default();
        for statement in &program.body {
            match statement {
                Statement::VariableDeclaration(declaration) => {
                    declared.add(declaration);
                }
                Statement::ExportDeclaration(export) => {
                    if let Declaration::VariableDeclaration(declaration) = &export.declaration {
                        let names = declared.add(declaration);
                        declared.exported.extend(names.into_iter().map(|name| (name.clone(), name)));
                    }
                }
                Statement::ExportNamedDeclaration(export) => {
                    let names = |one: &oxc_ast::ast::ExportSpecifier<'_>| {
                        (one.exported.name().to_string(), one.local.name().to_string())
                    };
                    declared.exported.extend(export.specifiers.iter().map(names));
                }
                _ => {}
            }
        }
        declared
    }

    fn add(&mut self, declaration: &'a VariableDeclaration<'a>) -> Vec<String> {
        let mut names = Vec::new();
        for one in &declaration.declarations {
            if let (BindingPattern::BindingIdentifier(name), Some(value)) = (&one.id, &one.init) {
                let name = name.name.as_str();
                names.push(name.to_owned());
                self.variables.insert(name, value);
                if declaration.kind.is_const() {
                    self.constants.insert(name, value);
                }
            }
        }
        names
    }

    fn value(&self, name: &str) -> Option<&'a Expression<'a>> {
        self.variables.get(name).copied()
    }
}
