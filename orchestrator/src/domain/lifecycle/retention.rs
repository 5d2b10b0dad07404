//! Which releases stay in sight: of each channel as many as it keeps, and
//! besides them those in use. The others are archived; nothing is ever deleted.

use std::collections::BTreeMap;

use super::StandingEvent;
use crate::domain::name::{ChannelName, ReleaseVersion};

/// What retention looks at of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub version: ReleaseVersion,
    pub channel: ChannelName,
    pub archived: bool,
    /// It runs somewhere, or is what a rollback goes back to, or is the newest
    /// that an environment saw, or has a deployment that is not over.
    pub in_use: bool,
}

/// What changes, by the rule of each channel (`None`: it keeps all).
/// `releases` are those of a project, newest first. Those in use count as well.
pub fn sort_out(
    releases: &[Kept],
    keep: impl Fn(&ChannelName) -> Option<u32>,
) -> Vec<(ReleaseVersion, StandingEvent)> {
    let mut seen: BTreeMap<&ChannelName, u32> = BTreeMap::new();
    let mut changes = Vec::new();
    for release in releases {
        let place = seen.entry(&release.channel).or_default();
        *place = place.saturating_add(1);
        let keep = keep(&release.channel);
        let stays = release.in_use || keep.is_none_or(|keep| *place <= keep);
        let event = match (stays, release.archived, keep) {
            (false, false, Some(keep)) => StandingEvent::ReleaseArchived { keep },
            (true, true, keep) => StandingEvent::ReleaseRestored { keep },
            _ => continue,
        };
        changes.push((release.version.clone(), event));
    }
    changes
}
