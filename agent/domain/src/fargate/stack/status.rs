//! CloudFormation's words for a stack's status, and what each allows next.

use std::fmt;

/// CloudFormation's stack statuses.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackStatus {
    ReviewInProgress,
    CreateInProgress,
    CreateComplete,
    CreateFailed,
    RollbackInProgress,
    RollbackComplete,
    RollbackFailed,
    DeleteInProgress,
    DeleteComplete,
    DeleteFailed,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    UpdateRollbackFailed,
    ImportInProgress,
    ImportComplete,
    ImportRollbackInProgress,
    ImportRollbackComplete,
    ImportRollbackFailed,
    /// A word that this version does not know.
    Other(String),
}

/// CloudFormation's words.
const WORDS: [(&str, StackStatus); 23] = [
    ("REVIEW_IN_PROGRESS", StackStatus::ReviewInProgress),
    ("CREATE_IN_PROGRESS", StackStatus::CreateInProgress),
    ("CREATE_COMPLETE", StackStatus::CreateComplete),
    ("CREATE_FAILED", StackStatus::CreateFailed),
    ("ROLLBACK_IN_PROGRESS", StackStatus::RollbackInProgress),
    ("ROLLBACK_COMPLETE", StackStatus::RollbackComplete),
    ("ROLLBACK_FAILED", StackStatus::RollbackFailed),
    ("DELETE_IN_PROGRESS", StackStatus::DeleteInProgress),
    ("DELETE_COMPLETE", StackStatus::DeleteComplete),
    ("DELETE_FAILED", StackStatus::DeleteFailed),
    ("UPDATE_IN_PROGRESS", StackStatus::UpdateInProgress),
    (
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        StackStatus::UpdateCompleteCleanupInProgress,
    ),
    ("UPDATE_COMPLETE", StackStatus::UpdateComplete),
    ("UPDATE_FAILED", StackStatus::UpdateFailed),
    (
        "UPDATE_ROLLBACK_IN_PROGRESS",
        StackStatus::UpdateRollbackInProgress,
    ),
    (
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        StackStatus::UpdateRollbackCompleteCleanupInProgress,
    ),
    ("UPDATE_ROLLBACK_COMPLETE", StackStatus::UpdateRollbackComplete),
    ("UPDATE_ROLLBACK_FAILED", StackStatus::UpdateRollbackFailed),
    ("IMPORT_IN_PROGRESS", StackStatus::ImportInProgress),
    ("IMPORT_COMPLETE", StackStatus::ImportComplete),
    (
        "IMPORT_ROLLBACK_IN_PROGRESS",
        StackStatus::ImportRollbackInProgress,
    ),
    ("IMPORT_ROLLBACK_COMPLETE", StackStatus::ImportRollbackComplete),
    ("IMPORT_ROLLBACK_FAILED", StackStatus::ImportRollbackFailed),
];

impl StackStatus {
    /// Parses CloudFormation's word.
    pub fn parse(word: &str) -> Self {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map_or_else(|| Self::Other(word.to_owned()), |(_, status)| status.clone())
    }

    /// Whether the stack's last change has ended, well or badly.
    pub fn is_settled(&self) -> bool {
        !matches!(self.kind(), StatusKind::Busy | StatusKind::Empty)
    }

    /// What the status means for a next change.
    pub fn kind(&self) -> StatusKind {
        match self {
            Self::ReviewInProgress => StatusKind::Empty,
            Self::CreateInProgress
            | Self::UpdateInProgress
            | Self::RollbackInProgress
            | Self::UpdateRollbackInProgress
            | Self::DeleteInProgress
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress => StatusKind::Busy,
            // The resources are done; CloudFormation only removes what was replaced.
            Self::UpdateCompleteCleanupInProgress | Self::UpdateRollbackCompleteCleanupInProgress => {
                StatusKind::Busy
            }
            Self::CreateComplete | Self::UpdateComplete => StatusKind::Good,
            Self::UpdateRollbackComplete | Self::ImportComplete | Self::ImportRollbackComplete => {
                StatusKind::Idle
            }
            Self::RollbackComplete => StatusKind::NeverHealthy,
            Self::UpdateRollbackFailed => StatusKind::HalfRolledBack,
            Self::DeleteComplete => StatusKind::Gone,
            Self::CreateFailed
            | Self::RollbackFailed
            | Self::DeleteFailed
            | Self::UpdateFailed
            | Self::ImportRollbackFailed
            | Self::Other(_) => StatusKind::Stuck,
        }
    }
}

/// The statuses, by what can be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
    /// Made by a change set that was never executed.
    Empty,
    Busy,
    /// The last change went through.
    Good,
    /// Can be changed, but the last change did not go through (or was an import).
    Idle,
    /// The first creation failed and was taken back: it can only be deleted.
    NeverHealthy,
    Gone,
    /// CloudFormation stopped while it took an update back; it can be told to go on.
    HalfRolledBack,
    /// Only a person can free it.
    Stuck,
}

impl fmt::Display for StackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = WORDS.iter().find(|(_, status)| status == self);
        match (self, known) {
            (Self::Other(word), _) => f.write_str(word),
            (_, Some((word, _))) => f.write_str(word),
            (_, None) => Err(fmt::Error),
        }
    }
}
