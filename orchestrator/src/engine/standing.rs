//! What is said of a release as a whole: that it goes no further, and that it
//! is out of sight.

use super::{Caller, Engine, EngineError, ReleaseView, commands::find_release};
use crate::{
    domain::{
        lifecycle::{NoChange, StandingEvent, retention},
        name::ChannelName,
        project::Project,
    },
    store::{CommitPoint, StoredRelease, WriteTx, releases::releases_of, standing::releases_in_use},
};

impl Engine {
    /// Nothing of the release starts any more; what runs goes on.
    pub async fn block_release(
        &self,
        caller: &Caller,
        project: &str,
        version: &str,
        because: &str,
    ) -> Result<ReleaseView, EngineError> {
        let event = StandingEvent::ReleaseBlocked {
            by: caller.operator.to_string(),
            because: reason(because)?,
        };
        self.change_standing(project, version, &event).await
    }

    /// A blocked release goes on.
    pub async fn unblock_release(
        &self,
        caller: &Caller,
        project: &str,
        version: &str,
        because: &str,
    ) -> Result<ReleaseView, EngineError> {
        let event = StandingEvent::ReleaseUnblocked {
            by: caller.operator.to_string(),
            because: reason(because)?,
        };
        self.change_standing(project, version, &event).await
    }

    async fn change_standing(
        &self,
        project: &str,
        version: &str,
        event: &StandingEvent,
    ) -> Result<ReleaseView, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let mut stored = find_release(tx.connection(), project, version).await?;
        let now = self.now();
        let next = stored
            .standing
            .apply(event, now)
            .map_err(|why| no_change(version, why))?;
        tx.put_standing(&stored, &next, event, now).await?;
        tx.set_at_rest(stored.number, false).await?;
        stored.standing = next;
        self.commit_and_act(tx, project, CommitPoint::StandingChanged)
            .await?;
        Ok(ReleaseView::of(&stored.release).with_standing(&stored.standing))
    }

    /// Archives what the channels keep no longer, as the project's newest
    /// version says. `thoroughly`: looks at archived ones as well, which a
    /// channel may keep again.
    pub(super) async fn sort_out_releases(
        &self,
        tx: &mut WriteTx,
        project: &str,
        thoroughly: bool,
    ) -> Result<(), EngineError> {
        let Some(newest) = tx.newest_version(project).await? else {
            return Ok(());
        };
        let definition = &newest.parsed;
        let any = definition.lifecycles.values().any(|it| it.keep.is_some());
        if !any && !thoroughly {
            return Ok(());
        }
        let releases = releases_of(tx.connection(), project, thoroughly).await?;
        let used = releases_in_use(tx.connection(), project).await?;
        let kept: Vec<_> = releases
            .iter()
            .map(|stored| retention::Kept {
                version: stored.release.version.clone(),
                channel: stored.release.channel.clone(),
                archived: stored.standing.archived.is_some(),
                in_use: used.contains(&stored.number),
            })
            .collect();
        let now = self.now();
        for (version, event) in retention::sort_out(&kept, |channel| keep(definition, channel)) {
            let of = |stored: &&StoredRelease| stored.release.version == version;
            if let Some(stored) = releases.iter().find(of)
                && let Ok(next) = stored.standing.apply(&event, now)
            {
                tx.put_standing(stored, &next, &event, now).await?;
            }
        }
        Ok(())
    }
}

/// How many releases a channel keeps; a channel that is gone keeps all.
fn keep(project: &Project, channel: &ChannelName) -> Option<u32> {
    let lifecycle = &project.channels.get(channel)?.lifecycle;
    project.lifecycles.get(lifecycle)?.keep
}

fn reason(because: &str) -> Result<String, EngineError> {
    match because.trim() {
        "" => Err(EngineError::invalid("because", "has to say why")),
        because => Ok(because.to_owned()),
    }
}

fn no_change(version: &str, why: NoChange) -> EngineError {
    let (reason, hint) = match &why {
        NoChange::BlockedAlready { .. } => ("blocked_already", "unblock it first to give another reason"),
        NoChange::NotBlocked => ("not_blocked", ""),
        NoChange::ArchivedAlready | NoChange::NotArchived => ("no_change", ""),
    };
    EngineError::Conflict {
        reason,
        message: format!("release {version}: {why}"),
        hint: hint.to_owned(),
    }
}
