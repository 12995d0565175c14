//! Replays recorded and synthetic rollouts through the decision.
//!
//! ```
//! use spillway_rollout::simulate::{Synthetic, World};
//! # let yaml = include_str!("../tests/scenarios/plans/simulated.yaml");
//! let rollout = spillway_rollout::Rollout::from_yaml(yaml).unwrap();
//! let plan = spillway_rollout::Plan::new(&rollout).unwrap();
//! let timeline = Synthetic { candidate_error_ratio: 0.2, ..Synthetic::default() }.run(&plan);
//! assert_eq!(timeline.end.phase, spillway_rollout::state::Phase::RolledBack);
//! ```

mod recording;
mod synthetic;
mod traffic;
mod world;

pub use recording::{Look, Recording, RecordingError, replay};
pub use synthetic::{Event, Synthetic, Timeline};
pub use traffic::{SlotTraffic, Traffic};
pub use world::World;
