//! Stable codes of what users are told when something is wrong. Each has a page `runbooks/errors/CODE.md`.

use std::fmt;

/// What is wrong. Its code is never renamed or given another meaning; the sentence beside it may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// An argument of the command line, alone or with others.
    ArgumentInvalid,
    /// A plan cannot be read as text.
    PlanUnreadable,
    /// A plan is not understood, not consistent, or asks for what its router cannot do.
    PlanInvalid,
    /// A plan is carried out by another command.
    TargetElsewhere,
    /// There is no such rollout.
    Unknown,
    /// Another controller works in the directory.
    StateTaken,
    /// The system refuses a file or directory of the controller.
    StateUnusable,
    /// What was remembered cannot be understood.
    StateDamaged,
    /// There is no cluster, or it does not answer.
    ClusterUnreachable,
    /// The API server, or an object in it, does not allow what has to be done.
    ClusterRefused,
    /// The lease that controllers share cannot be used.
    LeaseUnusable,
    /// An address cannot be listened on.
    ListenFailed,
    /// A command was given, and nobody carried it out yet.
    CommandWaits,
    /// A report or another result cannot be written.
    FileUnwritable,
    /// A recording cannot be read.
    RecordingInvalid,
    /// The Deployment of a plan is not there.
    WorkloadMissing,
    /// Another Rollout has the Deployment.
    WorkloadTaken,
    /// An object of someone else has the name that a slot needs.
    NameTaken,
    /// The router cannot be read.
    RouterUnreadable,
    /// Something could not be observed or done at the last look.
    Trouble,
    /// Anything else.
    Internal,
}

impl Code {
    /// All.
    pub const ALL: [Self; 21] = [
        Self::ArgumentInvalid,
        Self::PlanUnreadable,
        Self::PlanInvalid,
        Self::TargetElsewhere,
        Self::Unknown,
        Self::StateTaken,
        Self::StateUnusable,
        Self::StateDamaged,
        Self::ClusterUnreachable,
        Self::ClusterRefused,
        Self::LeaseUnusable,
        Self::ListenFailed,
        Self::CommandWaits,
        Self::FileUnwritable,
        Self::RecordingInvalid,
        Self::WorkloadMissing,
        Self::WorkloadTaken,
        Self::NameTaken,
        Self::RouterUnreadable,
        Self::Trouble,
        Self::Internal,
    ];

    /// The code as it is written.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ArgumentInvalid => "rollout_argument_invalid",
            Self::PlanUnreadable => "rollout_plan_unreadable",
            Self::PlanInvalid => "rollout_plan_invalid",
            Self::TargetElsewhere => "rollout_target_elsewhere",
            Self::Unknown => "rollout_not_found",
            Self::StateTaken => "rollout_state_taken",
            Self::StateUnusable => "rollout_state_unusable",
            Self::StateDamaged => "rollout_state_damaged",
            Self::ClusterUnreachable => "rollout_cluster_unreachable",
            Self::ClusterRefused => "rollout_cluster_refused",
            Self::LeaseUnusable => "rollout_lease_unusable",
            Self::ListenFailed => "rollout_listen_failed",
            Self::CommandWaits => "rollout_command_waits",
            Self::FileUnwritable => "rollout_file_unwritable",
            Self::RecordingInvalid => "rollout_recording_invalid",
            Self::WorkloadMissing => "rollout_workload_missing",
            Self::WorkloadTaken => "rollout_workload_taken",
            Self::NameTaken => "rollout_name_taken",
            Self::RouterUnreadable => "rollout_router_unreadable",
            Self::Trouble => "rollout_trouble",
            Self::Internal => "rollout_internal",
        }
    }

    /// Exit code of a command that ends with it: 64 (`EX_USAGE`) where plan or arguments have to be changed, 3 otherwise.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::ArgumentInvalid
            | Self::PlanUnreadable
            | Self::PlanInvalid
            | Self::TargetElsewhere
            | Self::Unknown
            | Self::ListenFailed
            | Self::RecordingInvalid => 64,
            Self::StateTaken
            | Self::StateUnusable
            | Self::StateDamaged
            | Self::ClusterUnreachable
            | Self::ClusterRefused
            | Self::LeaseUnusable
            | Self::CommandWaits
            | Self::FileUnwritable
            | Self::WorkloadMissing
            | Self::WorkloadTaken
            | Self::NameTaken
            | Self::RouterUnreadable
            | Self::Trouble
            | Self::Internal => 3,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
