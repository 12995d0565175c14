//! What is looked at, and put into, the terms of a program before it is compiled.

use std::collections::HashSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use crate::limits::MAX_PROGRAM_DEPTH;
use crate::natives::GUARD;

/// Name and number of arguments of a function.
pub(super) type Signature<'s> = (&'s str, usize);

/// Levels of terms between two guards.
const GUARD_EVERY: usize = 8;

/// Goes through the terms of a program once. It counts what is used and how deep terms are nested, and puts a guard at the head of every
/// function's body and of its arguments, of every round of a loop, of every further output of a comma, of what comes after an error, and
/// between the levels of deep terms. So whatever a program does, it comes by a guard, or by an operation on a value, every few levels.
#[derive(Debug, Default)]
pub(super) struct Walk<'s> {
    /// Functions that are called.
    pub(super) uses: HashSet<Signature<'s>>,
    /// Variables that are read.
    pub(super) variables: HashSet<&'s str>,
    /// Whether a function calls itself, or one that it is defined in.
    pub(super) is_recursive: bool,
    /// Whether terms are nested deeper than they may be.
    pub(super) is_too_deep: bool,
    open: Vec<Signature<'s>>,
}

impl<'s> Walk<'s> {
    /// The body of a function.
    pub(super) fn definition(&mut self, signature: Signature<'s>, body: Term<&'s str>) -> Term<&'s str> {
        self.definition_at(signature, body, 0)
    }

    fn definition_at(&mut self, signature: Signature<'s>, body: Term<&'s str>, depth: usize) -> Term<&'s str> {
        self.open.push(signature);
        let body = self.guarded(body, depth);
        self.open.pop();
        body
    }

    fn guarded(&mut self, term: Term<&'s str>, depth: usize) -> Term<&'s str> {
        guard(self.term(term, depth + 1))
    }

    fn boxed(&mut self, mut term: Box<Term<&'s str>>, depth: usize) -> Box<Term<&'s str>> {
        let inner = std::mem::take(&mut *term);
        *term = self.term(inner, depth + 1);
        term
    }

    fn term(&mut self, term: Term<&'s str>, depth: usize) -> Term<&'s str> {
        if depth > MAX_PROGRAM_DEPTH {
            self.is_too_deep = true;
            return Term::Id;
        }
        let term = self.parts(term, depth);
        if depth > 0 && depth.is_multiple_of(GUARD_EVERY) { guard(term) } else { term }
    }

    fn parts(&mut self, term: Term<&'s str>, depth: usize) -> Term<&'s str> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => term,
            Term::Var(name) => {
                self.variables.insert(name);
                term
            }
            Term::Str(format, parts) => {
                self.uses.extend(format.map(|format| (format, 0)));
                Term::Str(format, parts.into_iter().map(|part| self.text_part(part, depth)).collect())
            }
            Term::Arr(inner) => Term::Arr(inner.map(|inner| self.boxed(inner, depth))),
            Term::Obj(entries) => Term::Obj(entries.into_iter().map(|entry| self.entry(entry, depth)).collect()),
            Term::Neg(inner) => Term::Neg(self.boxed(inner, depth)),
            Term::BinOp(left, operator, right) => self.operation(left, operator, right, depth),
            Term::Label(name, inner) => Term::Label(name, self.boxed(inner, depth)),
            Term::Fold(name, over, pattern, arguments) => {
                let over = self.boxed(over, depth);
                let pattern = self.pattern(pattern, depth);
                let arguments = arguments.into_iter().map(|argument| self.guarded(argument, depth)).collect();
                Term::Fold(name, over, pattern, arguments)
            }
            Term::TryCatch(tried, caught) => {
                let tried = self.boxed(tried, depth);
                self.uses.insert(("!empty", 0));
                Term::TryCatch(tried, caught.map(|caught| Box::new(self.guarded(*caught, depth))))
            }
            Term::IfThenElse(branches, otherwise) => {
                let branches = branches
                    .into_iter()
                    .map(|(condition, then)| (self.term(condition, depth + 1), self.term(then, depth + 1)));
                let branches = branches.collect();
                Term::IfThenElse(branches, otherwise.map(|otherwise| self.boxed(otherwise, depth)))
            }
            Term::Def(definitions, inner) => {
                let definitions = definitions.into_iter().map(|def| {
                    let body = self.definition_at((def.name, def.args.len()), def.body, depth);
                    Def { name: def.name, args: def.args, body }
                });
                let definitions = definitions.collect();
                Term::Def(definitions, self.boxed(inner, depth))
            }
            Term::Call(name, arguments) => {
                let signature = (name, arguments.len());
                self.is_recursive |= self.open.contains(&signature);
                self.uses.insert(signature);
                let arguments = arguments.into_iter().map(|argument| self.argument(argument, depth)).collect();
                Term::Call(name, arguments)
            }
            Term::Path(inner, Path(parts)) => {
                let inner = self.boxed(inner, depth);
                let parts = parts.into_iter().map(|(part, optional)| (self.path_part(part, depth), optional)).collect();
                Term::Path(inner, Path(parts))
            }
        }
    }

    /// An argument is evaluated in the function that it is handed to, however often and in however many calls in between.
    fn argument(&mut self, argument: Term<&'s str>, depth: usize) -> Term<&'s str> {
        if is_plain(&argument) { self.term(argument, depth + 1) } else { self.guarded(argument, depth) }
    }

    fn operation(
        &mut self,
        left: Box<Term<&'s str>>,
        operator: BinaryOp<&'s str>,
        right: Box<Term<&'s str>>,
        depth: usize,
    ) -> Term<&'s str> {
        let left = self.boxed(left, depth);
        let right = match operator {
            BinaryOp::Comma => Box::new(self.guarded(*right, depth)),
            _ => self.boxed(right, depth),
        };
        let operator = match operator {
            BinaryOp::Pipe(Some(pattern)) => BinaryOp::Pipe(Some(self.pattern(pattern, depth))),
            other => other,
        };
        Term::BinOp(left, operator, right)
    }

    fn text_part(&mut self, part: StrPart<&'s str, Term<&'s str>>, depth: usize) -> StrPart<&'s str, Term<&'s str>> {
        match part {
            StrPart::Term(term) => StrPart::Term(self.term(term, depth + 1)),
            other => other,
        }
    }

    /// A key without value is read as it stands: `{$x}` is not `{(guard | $x)}`.
    fn entry(
        &mut self,
        (key, value): (Term<&'s str>, Option<Term<&'s str>>),
        depth: usize,
    ) -> (Term<&'s str>, Option<Term<&'s str>>) {
        match value {
            None => (self.parts(key, depth + 1), None),
            Some(value) => (self.term(key, depth + 1), Some(self.term(value, depth + 1))),
        }
    }

    fn pattern(&mut self, pattern: Pattern<&'s str>, depth: usize) -> Pattern<&'s str> {
        if depth > MAX_PROGRAM_DEPTH {
            self.is_too_deep = true;
            return pattern;
        }
        match pattern {
            Pattern::Var(_) => pattern,
            Pattern::Arr(patterns) => {
                Pattern::Arr(patterns.into_iter().map(|pattern| self.pattern(pattern, depth + 1)).collect())
            }
            Pattern::Obj(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(key, pattern)| (self.term(key, depth + 1), self.pattern(pattern, depth + 1)));
                Pattern::Obj(entries.collect())
            }
        }
    }

    fn path_part(&mut self, part: Part<Term<&'s str>>, depth: usize) -> Part<Term<&'s str>> {
        match part {
            Part::Index(index) => Part::Index(self.term(index, depth + 1)),
            Part::Range(from, to) => {
                let from = from.map(|from| self.term(from, depth + 1));
                Part::Range(from, to.map(|to| self.term(to, depth + 1)))
            }
        }
    }
}

/// `guard | term`
fn guard(term: Term<&str>) -> Term<&str> {
    Term::BinOp(Box::new(Term::Call(GUARD, Vec::new())), BinaryOp::Pipe(None), Box::new(term))
}

/// Whether a term is done in one step that is counted anyway.
fn is_plain(term: &Term<&str>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) => true,
        Term::Str(None, parts) => parts.iter().all(|part| !matches!(part, StrPart::Term(_))),
        Term::Path(inner, Path(parts)) => {
            matches!(**inner, Term::Id)
                && parts.iter().all(|(part, _)| matches!(part, Part::Index(index) if is_plain(index)))
        }
        _ => false,
    }
}

/// Whether a term may look at its input. Where that is not plain to see it may.
pub(super) fn reads_input(term: &Term<&str>) -> bool {
    match term {
        Term::Var(_) | Term::Num(_) | Term::Break(_) => false,
        Term::Str(_, parts) => parts.iter().any(|part| matches!(part, StrPart::Term(term) if reads_input(term))),
        Term::Arr(inner) => inner.as_deref().is_some_and(reads_input),
        Term::Obj(entries) => entries.iter().any(|(key, value)| match value {
            None => !matches!(key, Term::Var(_)),
            Some(value) => reads_input(key) || reads_input(value),
        }),
        Term::Neg(inner) => reads_input(inner),
        // What is on the right of a pipe reads what comes from the left.
        Term::BinOp(left, BinaryOp::Pipe(None), _) => reads_input(left),
        Term::BinOp(left, BinaryOp::Pipe(Some(Pattern::Var(_))), right) => reads_input(left) || reads_input(right),
        Term::BinOp(_, BinaryOp::Pipe(Some(_)) | BinaryOp::Assign | BinaryOp::Update, _) => true,
        Term::BinOp(_, BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt, _) => true,
        Term::BinOp(left, _, right) => reads_input(left) || reads_input(right),
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().any(|(condition, then)| reads_input(condition) || reads_input(then))
                || otherwise.as_deref().is_none_or(reads_input)
        }
        Term::Path(inner, Path(parts)) => {
            reads_input(inner)
                || parts.iter().any(|(part, _)| match part {
                    Part::Index(index) => reads_input(index),
                    Part::Range(from, to) => [from, to].into_iter().flatten().any(reads_input),
                })
        }
        Term::Call("true" | "false" | "null" | "empty" | "now", arguments) => !arguments.is_empty(),
        _ => true,
    }
}
