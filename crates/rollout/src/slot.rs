//! The two places where a version can run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the two slots of every environment. One is live; a new revision goes to the other, idle one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The slot that is live first.
    Blue,
    /// The slot that is idle first.
    Green,
}

impl Slot {
    /// Both, in the order in which they are listed.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The other slot.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// `blue` or `green`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something for each slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Slots<T> {
    /// What belongs to the blue slot, which is live first.
    pub blue: T,
    /// What belongs to the green slot, in which the first candidate runs.
    pub green: T,
}

impl<T> Slots<T> {
    /// The slot's own.
    pub fn get(&self, slot: Slot) -> &T {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }

    /// The slot's own, to change.
    pub fn get_mut(&mut self, slot: Slot) -> &mut T {
        match slot {
            Slot::Blue => &mut self.blue,
            Slot::Green => &mut self.green,
        }
    }

    /// The same for both, made by `make`.
    pub fn make(mut make: impl FnMut(Slot) -> T) -> Self {
        Self { blue: make(Slot::Blue), green: make(Slot::Green) }
    }
}
