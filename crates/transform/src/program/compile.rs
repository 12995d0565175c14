//! From the text of a program to something that runs.

use std::collections::HashSet;

use jaq_core::compile::{Compiler, Undefined};
use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::native::Fun;
use jaq_core::{Filter, Native};

use super::check::{Signature, Walk, reads_input};
use super::prelude;
use crate::error::{Place, ProgramError};
use crate::input::Variable;
use crate::limits::MAX_PROGRAM_BYTES;
use crate::natives::{self, GUARD, Language};

/// The stack that reading and compiling take, as deep as a program of the greatest length can be nested. Memory is taken for what is
/// used of it.
const STACK_BYTES: usize = 256 << 20;

/// The name of the function whose body is the program.
const PROGRAM: &str = "spillway_program";

/// A program that runs.
pub(super) struct Compiled {
    pub(super) text: Box<str>,
    pub(super) filter: Filter<Language>,
    /// What it reads beside the body, in the order in which it is given.
    pub(super) variables: Vec<Variable>,
    pub(super) reads_body: bool,
    pub(super) is_recursive: bool,
}

pub(super) fn compile(text: &str) -> Result<Compiled, ProgramError> {
    if text.len() > MAX_PROGRAM_BYTES {
        return Err(ProgramError::TooLong { bytes: text.len() });
    }
    if text.trim().is_empty() {
        return Err(ProgramError::Empty);
    }
    stacker::grow(STACK_BYTES, || on_its_stack(text))
}

fn on_its_stack(text: &str) -> Result<Compiled, ProgramError> {
    let term = read(text)?;
    let reads_body = reads_input(&term);
    let mut walk = Walk::default();
    let body = walk.definition((PROGRAM, 0), term);
    if walk.is_too_deep {
        return Err(ProgramError::TooNested);
    }
    let library = prelude::needed(&walk.uses);
    let is_recursive = walk.is_recursive || library.iter().any(|definition| definition.is_recursive);
    let variables: Vec<Variable> =
        Variable::ALL.into_iter().filter(|variable| walk.variables.contains(variable.name())).collect();
    let functions = functions(&walk.uses, library.iter().map(|definition| &definition.uses));
    let program = Def { name: PROGRAM, args: Vec::new(), body };
    let definitions = library.into_iter().map(|definition| definition.def.clone()).chain([program]);
    let filter = assemble(text, definitions, functions, &variables)?;
    Ok(Compiled { text: text.into(), filter, variables, reads_body, is_recursive })
}

fn read(text: &str) -> Result<Term<&str>, ProgramError> {
    let tokens = Lexer::new(text).lex().map_err(|errors| unreadable(text, &errors))?;
    let parsed = Parser::new(&tokens).parse(|parser| parser.term());
    parsed.map_err(|errors| match errors.first() {
        Some((expected, found)) => {
            let found = found.map(lex::Token::as_str);
            let place = place(text, found.unwrap_or(&text[text.len()..]));
            let before = found.map_or("the end".to_owned(), |found| format!("{:?}", shortened(found)));
            ProgramError::Syntax { place, reason: format!("{} should be before {before}", named(expected)) }
        }
        None => ProgramError::Syntax { place: place(text, text), reason: "it is not a jq program".to_owned() },
    })
}

fn named(expected: &parse::Expect<&str>) -> String {
    match expected {
        parse::Expect::Just(word) => format!("{word:?}"),
        parse::Expect::Nothing => "an operator such as |".to_owned(),
        other => format!("a {}", other.as_str()),
    }
}

fn unreadable(text: &str, errors: &[lex::Error<&str>]) -> ProgramError {
    let (reason, rest) = match errors.first() {
        Some((lex::Expect::Token, rest)) => {
            let character = rest.chars().next().unwrap_or_default();
            (format!("{character:?} has no meaning in jq"), *rest)
        }
        Some((expected, rest)) => (format!("a {} is missing", expected.as_str()), *rest),
        None => ("it is not a jq program".to_owned(), text),
    };
    ProgramError::Syntax { place: place(text, rest), reason }
}

/// The functions that are not written in jq and that are needed for these uses.
fn functions<'u>(
    uses: &HashSet<Signature<'_>>,
    library: impl Iterator<Item = &'u HashSet<Signature<'static>>>,
) -> Vec<Fun<Language>> {
    let library: HashSet<Signature<'_>> = library.flatten().copied().collect();
    let is_used = |(name, arguments, _): &Fun<Language>| {
        let signature = (*name, arguments.len());
        *name == GUARD || uses.contains(&signature) || library.contains(&signature)
    };
    natives::all().filter(is_used).collect()
}

/// jaq's own loader reads the main program as text only, so the program is given to it as a function of its library, which is a term.
fn assemble<'s>(
    text: &'s str,
    definitions: impl Iterator<Item = Def<&'s str>>,
    functions: Vec<Fun<Language>>,
    variables: &[Variable],
) -> Result<Filter<Language>, ProgramError> {
    let arena = Arena::default();
    let modules = Loader::new(definitions).load(&arena, File { code: PROGRAM, path: () });
    let modules = modules.map_err(|_| ProgramError::Interpreter)?;
    let compiler = Compiler::<&str, Native<Language>>::default();
    let compiler = compiler.with_funs(functions).with_global_vars(variables.iter().map(|variable| variable.name()));
    compiler.compile(modules).map_err(|files| {
        let undefined = files.into_iter().flat_map(|(_, undefined)| undefined).next();
        undefined.map_or(ProgramError::Interpreter, |(name, kind)| undefined_in(text, name, &kind))
    })
}

fn undefined_in(text: &str, name: &str, kind: &Undefined) -> ProgramError {
    let what = match kind {
        Undefined::Filter(0) => format!("the function {:?} without arguments", shortened(name)),
        Undefined::Filter(1) => format!("the function {:?} with 1 argument", shortened(name)),
        Undefined::Filter(arguments) => format!("the function {:?} with {arguments} arguments", shortened(name)),
        other => format!("the {} {:?}", other.as_str(), shortened(name)),
    };
    ProgramError::Undefined { place: place(text, name), what }
}

/// Enough of a program's text to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Where a part of the text is; its beginning for what is no part of it.
fn place(text: &str, part: &str) -> Place {
    let start = (part.as_ptr().addr()).checked_sub(text.as_ptr().addr());
    let before = start.and_then(|start| text.get(..start)).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}
