mod files;
mod json;
pub(crate) mod sample;
mod texts;
