//! Whether a release may go on: blocked by a person, or out of sight.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::waiting_on::WaitingOn;

/// What was said of a release as a whole since it was created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// It starts nothing new; what runs goes on.
    #[serde(default)]
    pub blocked: Option<Block>,
    /// Since then it is not listed and cannot be promoted.
    #[serde(default)]
    pub archived: Option<Timestamp>,
}

/// "This release goes no further, because …"
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub by: String,
    pub because: String,
    pub at: Timestamp,
}

/// A line of the log that is about the release itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StandingEvent {
    ReleaseBlocked {
        by: String,
        because: String,
    },
    ReleaseUnblocked {
        by: String,
        because: String,
    },
    /// The channel keeps so many, and this one is none of them.
    ReleaseArchived {
        keep: u32,
    },
    /// The channel keeps more than before, or all.
    ReleaseRestored {
        keep: Option<u32>,
    },
}

/// Why an event would change nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChange {
    #[error("the release is blocked already, by {by}: {because}")]
    BlockedAlready { by: String, because: String },
    #[error("the release is not blocked")]
    NotBlocked,
    #[error("the release is archived already")]
    ArchivedAlready,
    #[error("the release is not archived")]
    NotArchived,
}

impl Standing {
    pub fn may_go_on(&self) -> bool {
        self.blocked.is_none() && self.archived.is_none()
    }

    /// What a blocked release waits on.
    pub fn waiting_on(&self) -> Option<WaitingOn> {
        self.blocked.as_ref().map(|block| WaitingOn::ReleaseBlocked {
            by: block.by.clone(),
            because: block.because.clone(),
            at: block.at,
        })
    }

    /// The next standing.
    ///
    /// # Errors
    /// It is so already.
    pub fn apply(&self, event: &StandingEvent, at: Timestamp) -> Result<Self, NoChange> {
        use StandingEvent as E;
        let mut next = self.clone();
        match (event, &self.blocked, self.archived) {
            (E::ReleaseBlocked { by, because }, None, _) => {
                next.blocked = Some(Block {
                    by: by.clone(),
                    because: because.clone(),
                    at,
                });
            }
            (E::ReleaseBlocked { .. }, Some(block), _) => {
                return Err(NoChange::BlockedAlready {
                    by: block.by.clone(),
                    because: block.because.clone(),
                });
            }
            (E::ReleaseUnblocked { .. }, Some(_), _) => next.blocked = None,
            (E::ReleaseUnblocked { .. }, None, _) => return Err(NoChange::NotBlocked),
            (E::ReleaseArchived { .. }, _, None) => next.archived = Some(at),
            (E::ReleaseArchived { .. }, _, Some(_)) => return Err(NoChange::ArchivedAlready),
            (E::ReleaseRestored { .. }, _, Some(_)) => next.archived = None,
            (E::ReleaseRestored { .. }, _, None) => return Err(NoChange::NotArchived),
        }
        Ok(next)
    }
}

impl StandingEvent {
    /// The stable kind: "release_blocked".
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReleaseBlocked { .. } => "release_blocked",
            Self::ReleaseUnblocked { .. } => "release_unblocked",
            Self::ReleaseArchived { .. } => "release_archived",
            Self::ReleaseRestored { .. } => "release_restored",
        }
    }

    /// One line for a person.
    pub fn message(&self) -> String {
        match self {
            Self::ReleaseBlocked { by, because } => format!("blocked by {by}: {because}"),
            Self::ReleaseUnblocked { by, because } => format!("unblocked by {by}: {because}"),
            Self::ReleaseArchived { keep } => {
                format!("archived: the channel keeps {keep} releases, and this one is not in use")
            }
            Self::ReleaseRestored { keep: Some(keep) } => {
                format!("no longer archived: the channel keeps {keep} releases")
            }
            Self::ReleaseRestored { keep: None } => {
                "no longer archived: the channel keeps all releases".to_owned()
            }
        }
    }
}
