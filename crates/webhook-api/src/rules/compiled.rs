//! Programs and schemas that are compiled already: a change of the configuration compiles what it brings, not all there is.

use std::collections::HashMap;

use serde_json::Value;
use spillway_transform::{Program, ProgramError, Schema, SchemaError};

/// Programs and schemas of the configuration before, and those of the one that is being prepared.
#[derive(Debug, Default)]
pub(crate) struct CompiledRules {
    before: Kept,
    now: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    programs: HashMap<String, Result<Program, ProgramError>>,
    schemas: HashMap<String, Result<Schema, SchemaError>>,
}

impl CompiledRules {
    /// Begins another configuration: what it does not ask for is dropped after it.
    pub(crate) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    pub(crate) fn program(&mut self, text: &str) -> Result<Program, ProgramError> {
        if let Some(program) = self.now.programs.get(text) {
            return program.clone();
        }
        let kept = self.before.programs.remove(text);
        let program = kept.unwrap_or_else(|| Program::compile(text));
        self.now.programs.insert(text.to_owned(), program.clone());
        program
    }

    pub(crate) fn schema(&mut self, schema: &Value) -> Result<Schema, SchemaError> {
        let text = schema.to_string();
        if let Some(schema) = self.now.schemas.get(&text) {
            return schema.clone();
        }
        let kept = self.before.schemas.remove(&text);
        let compiled = kept.unwrap_or_else(|| Schema::compile(schema));
        self.now.schemas.insert(text, compiled.clone());
        compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_asked_for_is_dropped() {
        let mut compiled = CompiledRules::default();
        assert!(compiled.program(".a").is_ok() && compiled.program("(").is_err());
        compiled.begin();
        assert!(compiled.program(".a").is_ok());
        compiled.begin();
        assert_eq!(compiled.before.programs.keys().collect::<Vec<_>>(), [".a"]);
    }
}
