//! Settings as their callers see them: layers, errors, secrets, texts.

mod bad_values;
mod declared;
mod layers;
mod secrets;
mod support;
mod texts;
