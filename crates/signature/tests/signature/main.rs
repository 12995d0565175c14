//! Tests of the public interface, in one binary.

mod allocations;
mod facts;
mod fixture;
mod properties;
mod round_trip;
mod settings;
mod vectors;
