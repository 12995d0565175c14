//! What an evaluation may use, and what stops it.
//!
//! jaq cannot be interrupted, so the values that it works on are ours, and every operation on them is counted here. When a limit is
//! reached the evaluation ends by unwinding to [`measured`]: that is the one way out of operations that cannot fail, such as a
//! comparison in the middle of a sort, and no `try … catch` of the program comes between.

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::error::ProgramError;
use crate::limits::{BASE_MEMORY_BYTES, BASE_STEPS, MAX_STACK_BYTES, MEMORY_PER_BYTE, STEPS_PER_BYTE};

/// Stack that is left below the lowest checked address, for what lies between two checks: a few levels of the program, a
/// library call, and the way back.
const STACK_RESERVE: usize = 512 * 1_024;
/// A stack of its own, for an evaluation that begins where too little is left.
const STACK_BYTES: usize = 4 << 20;
/// A stack of its own for programs that call themselves. What such a program binds in each call is a chain, and letting go of a chain
/// takes stack for each link of it, however shallow the calls are. Its steps bound the chain.
const DEEP_STACK_BYTES: usize = 32 << 20;

/// Bytes that are copied in one step.
const BYTES_PER_STEP: u64 = 64;

struct Meter {
    steps: Cell<u64>,
    memory: Cell<u64>,
    lowest_stack: Cell<usize>,
}

thread_local! {
    static METER: Meter = const { Meter { steps: Cell::new(0), memory: Cell::new(0), lowest_stack: Cell::new(0) } };
}

/// What an evaluation may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    steps: u64,
    memory: u64,
    /// Whether the program may call itself.
    is_recursive: bool,
}

impl Allowance {
    pub(crate) fn new(body_bytes: usize, is_recursive: bool) -> Self {
        let body = body_bytes as u64;
        Self {
            steps: BASE_STEPS.saturating_add(body.saturating_mul(STEPS_PER_BYTE)),
            memory: BASE_MEMORY_BYTES.saturating_add(body.saturating_mul(MEMORY_PER_BYTE)),
            is_recursive,
        }
    }
}

/// Why an evaluation was stopped: the payload that unwinds.
struct Stop(Limit);

/// A limit that was reached.
#[derive(Debug, Clone)]
pub(crate) enum Limit {
    Steps,
    Memory,
    Error(ProgramError),
}

/// Runs `evaluate` within its allowance, and drops all that it leaves behind there too.
pub(crate) fn measured<T>(
    allowance: Allowance,
    evaluate: impl FnOnce() -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    let guarded = || {
        METER.with(|meter| {
            meter.steps.set(allowance.steps);
            meter.memory.set(allowance.memory);
            meter.lowest_stack.set(stack_address().saturating_sub(MAX_STACK_BYTES));
        });
        catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|payload| match payload.downcast::<Stop>() {
            Ok(stop) => Err(match stop.0 {
                Limit::Steps => ProgramError::Steps { steps: allowance.steps },
                Limit::Memory => ProgramError::Memory { bytes: allowance.memory },
                Limit::Error(error) => error,
            }),
            Err(_) => Err(ProgramError::Interpreter),
        })
    };
    if allowance.is_recursive {
        stacker::grow(DEEP_STACK_BYTES, guarded)
    } else {
        stacker::maybe_grow(MAX_STACK_BYTES + STACK_RESERVE, STACK_BYTES, guarded)
    }
}

/// Counts this many steps, and looks whether the stack still reaches.
pub(crate) fn spend(steps: u64) {
    METER.with(|meter| {
        match meter.steps.get().checked_sub(steps) {
            Some(left) => meter.steps.set(left),
            None => stop_at(Limit::Steps),
        }
        if stack_address() < meter.lowest_stack.get() {
            stop(ProgramError::Recursion);
        }
    });
}

/// Counts this many bytes of memory before they are allocated, and the steps to fill them.
pub(crate) fn allocate(bytes: usize) {
    let bytes = bytes as u64;
    METER.with(|meter| match meter.memory.get().checked_sub(bytes) {
        Some(left) => meter.memory.set(left),
        None => stop_at(Limit::Memory),
    });
    spend(1 + bytes / BYTES_PER_STEP);
}

/// Counts the steps of looking at this many bytes.
pub(crate) fn scan(bytes: usize) {
    spend(1 + bytes as u64 / (8 * BYTES_PER_STEP));
}

/// Ends the evaluation with this error; nothing in the program catches it.
pub(crate) fn stop(error: ProgramError) -> ! {
    stop_at(Limit::Error(error))
}

fn stop_at(limit: Limit) -> ! {
    resume_unwind(Box::new(Stop(limit)))
}

#[inline]
fn stack_address() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(black_box(&marker)).addr()
}
