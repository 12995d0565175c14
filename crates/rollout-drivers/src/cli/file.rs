//! Reads a plan.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use spillway_report::text::plain;
use spillway_rollout::{Plan, Rollout};

use super::Failure;
use crate::code::Code;

/// A plan has some kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// A plan with the text it was made of.
pub(super) struct PlanFile {
    pub(super) rollout: Rollout,
    pub(super) plan: Plan,
    pub(super) text: String,
}

impl PlanFile {
    /// Reads and checks a file; `-` is standard input.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let refuse = |problem: String| Failure::new(Code::PlanUnreadable, format!("{name}: {problem}"));
        let mut text = Vec::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut text)
        } else {
            File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text))
        };
        read.map_err(|error| Failure::new(Code::PlanUnreadable, format!("cannot read {name}: {error}")))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(refuse(format!("a plan has at most {} MiB", MAX_BYTES >> 20)));
        }
        let text = String::from_utf8(text).map_err(|_| refuse("a plan is UTF-8 text".to_owned()))?;
        Self::parse(&name.to_string(), text)
    }

    /// The same for a text; `name` is what errors call it.
    pub(super) fn parse(name: &str, text: String) -> Result<Self, Failure> {
        let rollout = Rollout::from_yaml(&text)
            .map_err(|problem| format!("{name} is no rollout: {}", plain(&problem.to_string(), 600)))
            .map_err(|message| Failure::new(Code::PlanInvalid, message))?;
        let plan = Plan::new(&rollout).map_err(|problems| {
            let lines: String =
                problems.iter().map(|problem| format!("\n  {}", plain(&problem.to_string(), 400))).collect();
            let n_problems = spillway_report::text::counted(problems.len() as u64, "problem");
            Failure::new(Code::PlanInvalid, format!("{name} has {n_problems}:{lines}"))
        })?;
        Ok(Self { rollout, plan, text })
    }
}
