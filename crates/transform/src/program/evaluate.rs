//! Running a program.

use bytes::Bytes;
use jaq_core::{Ctx, Vars};

use super::compile::Compiled;
use crate::error::ProgramError;
use crate::input::Input;
use crate::meter::{Allowance, measured};
use crate::natives::Language;
use crate::value::{Value, write};

type Output = Result<Value, ProgramError>;

/// What `take` makes of the first output, within the program's allowance.
pub(super) fn first<T>(
    program: &Compiled,
    input: &Input,
    take: impl FnOnce(Option<Value>) -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    run(program, input, |outputs| take(outputs.next().transpose()?))
}

/// The one output, written.
pub(super) fn only(program: &Compiled, input: &Input) -> Result<Bytes, ProgramError> {
    run(program, input, |outputs| {
        let output = outputs.next().transpose()?.ok_or(ProgramError::NoOutput)?;
        if outputs.next().transpose()?.is_some() {
            return Err(ProgramError::SeveralOutputs);
        }
        output.look();
        Ok(write::output(&output).into())
    })
}

pub(super) fn is_true(value: Value) -> bool {
    value.look();
    !matches!(value, Value::Null | Value::Bool(false))
}

pub(super) fn key(value: Value) -> Option<String> {
    value.look();
    if matches!(value, Value::Null) { None } else { Some(write::output(&value)) }
}

fn run<T>(
    program: &Compiled,
    input: &Input,
    take: impl FnOnce(&mut dyn Iterator<Item = Output>) -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    let allowance = Allowance::new(input.body_bytes(), program.is_recursive);
    measured(allowance, || {
        let variables = program.variables.iter().map(|variable| input.variable(*variable));
        let context = Ctx::<Language>::new(&program.filter.lut, Vars::new(variables));
        let body = if program.reads_body { input.body() } else { Value::Null };
        let outputs = program.filter.id.run((context, body));
        // Only errors come out here: calls and breaks end inside, and there is nothing that halts.
        let mut outputs = outputs.map(|output| {
            output.map_err(|exception| match exception.get_err() {
                Ok(error) => ProgramError::Failed { reason: write::message(&error.into_val()) },
                Err(_) => ProgramError::Interpreter,
            })
        });
        take(&mut outputs)
    })
}
