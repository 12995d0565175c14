//! The functions that programs can call and that are not written in jq.

mod regex;

use jaq_core::box_iter::box_once;
use jaq_core::data::JustLut;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Error, Native, RunPtr};

use crate::error::ProgramError;
use crate::limits::MAX_PATH_PARTS;
use crate::meter::{scan, spend, stop};
use crate::value::{Value, read, write};

/// What programs work with.
pub(crate) type Language = JustLut<Value>;

/// The name of the function that counts a step of the program: one that no program can call.
pub(crate) const GUARD: &str = "!guard";

/// Steps for the call of a function, and for each output of a comma or round of a loop.
const GUARD_STEPS: u64 = 8;

/// Functions of the library that programs do not get: they look at this process or at its machine, end it, write into its log,
/// or are replaced here by ones that are bounded.
const LEFT_OUT: &[&str] =
    &["env", "halt", "debug_empty", "stderr_empty", "localtime", "strflocaltime", "matches", "split_matches", "split_"];

/// Definitions of the library that programs do not get, as they are made of what is left out.
pub(crate) const DEFINITIONS_LEFT_OUT: &[&str] = &["debug", "stderr", "halt", "halt_error"];

/// All functions.
pub(crate) fn all() -> impl Iterator<Item = Fun<Language>> {
    let library = jaq_std::funs::<Language>().filter(|(name, ..)| !LEFT_OUT.contains(name));
    let own = json().into_iter().chain(regex::functions()).map(run::<Language>);
    jaq_core::funs::<Language>().chain(library).chain(own).chain([guard()])
}

/// Counts, and passes its input on. Paths and updates go through it unchanged.
fn guard() -> Fun<Language> {
    let native = Native::new(|cv| {
        spend(GUARD_STEPS);
        box_once(Ok(cv.1))
    });
    let native = native.with_paths(|cv| {
        let parts = cv.1.1.iter().take(MAX_PATH_PARTS + 1).count();
        spend(GUARD_STEPS + parts as u64);
        if parts > MAX_PATH_PARTS {
            stop(ProgramError::Path);
        }
        box_once(Ok(cv.1))
    });
    let native = native.with_update(|cv, f| {
        spend(GUARD_STEPS);
        f(cv.1)
    });
    (GUARD, v(0), native)
}

/// What jaq's own values bring themselves.
fn json() -> [Filter<RunPtr<Language>>; 7] {
    [
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tojson", v(0), |cv| {
            cv.1.look();
            bome(Ok(Value::text(write::within_program(&cv.1))))
        }),
        ("length", v(0), |cv| bome(cv.1.length())),
        ("contains", v(1), |cv| unary(cv, |value, part| Ok(Value::Bool(value.contains(&part))))),
        ("has", v(1), |cv| unary(cv, |value, key| value.has(&key))),
        ("indices", v(1), |cv| unary(cv, |value, part| value.indices(&part))),
        ("bsearch", v(1), |cv| unary(cv, |value, item| value.binary_search(&item))),
    ]
}

fn from_json(value: &Value) -> Result<Value, Error<Value>> {
    value.look();
    let Value::Str(text) = value else { return Err(Error::typ(value.clone(), "string")) };
    scan(text.len() * 32);
    read::json(text).map_err(|reason| Error::str(format_args!("cannot read {value} as JSON: {reason}")))
}
