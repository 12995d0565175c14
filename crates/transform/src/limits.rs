//! What a program may be and do. Each limit is an error of its own when it is reached.

/// Longest text of a program, in bytes.
pub const MAX_PROGRAM_BYTES: usize = 16 * 1_024;

/// How deep the terms of a program may be nested.
pub const MAX_PROGRAM_DEPTH: usize = 256;

/// Steps that every evaluation has, whatever its body. `cargo xtask bench transform` shows how long programs take that use them all up.
pub const BASE_STEPS: u64 = 400_000;

/// Steps that an evaluation has for each byte of the body, beside [`BASE_STEPS`].
pub const STEPS_PER_BYTE: u64 = 2;

/// Bytes that an evaluation may allocate in all, whatever its body.
pub const BASE_MEMORY_BYTES: u64 = 32 << 20;

/// Bytes that an evaluation may allocate for each byte of the body, beside [`BASE_MEMORY_BYTES`].
pub const MEMORY_PER_BYTE: u64 = 32;

/// Bytes of stack that an evaluation may use: how deep calls may be nested.
pub const MAX_STACK_BYTES: usize = 1 << 20;

/// How deep arrays and objects may be nested inside each other while a program works on them.
pub const MAX_NESTING: u16 = 256;

/// How deep arrays and objects of a body may be nested inside each other.
pub const MAX_BODY_NESTING: u16 = 128;

/// Longest path expression, in parts.
pub const MAX_PATH_PARTS: usize = 1_024;

/// Largest integer that is calculated with exactly, in bits.
pub const MAX_INTEGER_BITS: u64 = 4_096;

/// Largest output of a transform, and longest JSON text that a program may make, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// Longest regular expression, in bytes.
pub const MAX_REGEX_BYTES: usize = 1_024;

/// Largest schema, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1_024;

/// Errors that a validation reports; it looks for no more.
pub const MAX_VIOLATIONS: usize = 5;
