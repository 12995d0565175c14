//! What holds whatever happens.

mod always;
mod arbitrary;
mod interrupted;
