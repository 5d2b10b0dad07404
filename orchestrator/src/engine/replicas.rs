//! Before an operation's intent is stored its images have to be where they are
//! pulled from: in the target's own repository, by their digests. One that is
//! not there yet is waited for until the deployment's deadline; one that is
//! gone from the repository in which it was resolved never comes back.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use towline_proto::agent::v1 as agent;

use super::{
    Engine, EngineError,
    commands::find_release,
    lock,
    operate::Attempt,
    releasing::origin::{Present, Trouble, without_tag},
};
use crate::{
    domain::{
        deployment::{Outcome, Verdict, reason},
        name::OperationId,
        operation::NeededImage,
        release::{Origin, Place},
        waiting_on::WaitingOn,
    },
    store::{StoredOperation, StoredRelease, deployments::deployment},
};

/// One image as it was looked for.
struct Looked {
    needed: NeededImage,
    origin: Origin,
    repository: String,
    answer: Result<Present, Trouble>,
}

impl Engine {
    /// The images that operations were last found to lack.
    pub(super) fn missing_replicas(&self) -> BTreeMap<OperationId, WaitingOn> {
        lock(&self.0.following).replicas.clone()
    }

    /// Whether the images of an operation are there. `Some`: the attempt ends with
    /// that. `running`: what the service's containers run, where it was asked.
    pub(super) async fn lacks_images(
        &self,
        stored: &StoredOperation,
        running: Option<&[agent::ContainerDescription]>,
    ) -> Result<Option<Attempt>, EngineError> {
        let needed = stored.planned.payload.needs();
        if needed.is_empty() {
            return Ok(None);
        }
        let looked = join_all(needed.into_iter().map(|it| self.look_for(stored, it, running))).await;
        let release = self.release_of(stored).await?;
        for found in &looked {
            match &found.answer {
                Ok(present) => self.note_found(&release, found, present).await?,
                Err(why) if why.missing => return self.lacking(stored, &release, found).await.map(Some),
                Err(why) if why.passes => return Ok(Some(Attempt::Interrupted(why.message.clone()))),
                // Whoever pulls it will say so: not being allowed to look is no reason not to go.
                Err(why) => {
                    tracing::debug!(operation = %stored.planned.id, why = why.message, "an image was not looked for");
                }
            }
        }
        lock(&self.0.following).replicas.remove(&stored.planned.id);
        Ok(None)
    }

    async fn look_for(
        &self,
        stored: &StoredOperation,
        needed: NeededImage,
        running: Option<&[agent::ContainerDescription]>,
    ) -> Looked {
        let planned = &stored.planned;
        let place = match &needed.repository {
            Some(repository) => Place::Repository(repository.clone()),
            None => {
                let runs = running.into_iter().flatten();
                let mut runs = runs.filter(|it| it.name == needed.container.as_str() && !it.image.is_empty());
                match runs.next() {
                    Some(container) => Place::Repository(without_tag(&container.image).to_owned()),
                    None => Place::Running {
                        service: planned.payload.ecs_service().clone(),
                        container: needed.container.clone(),
                    },
                }
            }
        };
        let origin = Origin {
            image: needed.pin.image.clone(),
            target: planned.target.clone(),
            agent: planned.agent.clone(),
            account: planned.account.clone(),
            region: planned.region.clone(),
            cluster: planned.cluster.clone(),
            place,
        };
        let (tag, digest) = (&needed.pin.tag, &needed.pin.digest);
        let (repository, answer) = match self.repository_of(&origin).await {
            Ok(repository) => {
                let answer = self.look(&origin, &repository, tag, Some(digest)).await;
                (repository, answer)
            }
            Err(why) => (String::new(), Err(why)),
        };
        Looked {
            needed,
            origin,
            repository,
            answer,
        }
    }

    async fn note_found(
        &self,
        release: &StoredRelease,
        found: &Looked,
        present: &Present,
    ) -> Result<(), EngineError> {
        let pin = &found.needed.pin;
        // What is put back is of another release, whose tags say nothing about this one's.
        let image = release.release.images.get(&found.origin.image);
        match image.filter(|it| it.tag == pin.tag && it.digest.as_ref() == Some(&pin.digest)) {
            Some(image) => {
                self.note_tag(release, &found.origin, image, &found.repository, present)
                    .await
            }
            None => Ok(()),
        }
    }

    /// The image is not there: for ever, or not yet.
    async fn lacking(
        &self,
        stored: &StoredOperation,
        release: &StoredRelease,
        found: &Looked,
    ) -> Result<Attempt, EngineError> {
        let Looked {
            needed,
            origin,
            repository,
            ..
        } = found;
        let pin = &needed.pin;
        let resolved_in = release
            .release
            .images
            .get(&pin.image)
            .map(|it| it.repository.as_str());
        if resolved_in == Some(repository) {
            self.end(stored, expired(found)).await?;
            return Ok(Attempt::Over);
        }
        // A copy that was pushed anew has another digest: who looks for the reason sees it.
        let by_tag = self.look(origin, repository, &pin.tag, None).await;
        let instead = by_tag.map(|there| format!("its tag {} is {} there", pin.tag, there.digest.short()));
        let waits = WaitingOn::ImageReplica {
            image: pin.image.clone(),
            target: stored.planned.target.clone(),
            reference: format!("{repository}@{}", pin.digest.short()),
            instead: instead.unwrap_or_default(),
        };
        let news = lock(&self.0.following)
            .replicas
            .insert(stored.planned.id, waits.clone())
            != Some(waits);
        if news {
            self.wake(release.release.project.as_str());
        }
        Ok(Attempt::Interrupted(format!(
            "{repository} has no {} yet",
            pin.digest
        )))
    }

    async fn release_of(&self, stored: &StoredOperation) -> Result<StoredRelease, EngineError> {
        let mut view = self.0.store.read().await?;
        let found = deployment(&mut view, stored.deployment).await?;
        let found = found.ok_or_else(|| anyhow::anyhow!("an operation without a deployment"))?;
        let found = found.deployment;
        find_release(&mut view, found.project.as_str(), found.release.as_str()).await
    }
}

fn expired(found: &Looked) -> Outcome {
    let pin = &found.needed.pin;
    Outcome {
        verdict: Verdict::Errored,
        reason: reason::IMAGE_EXPIRED.to_owned(),
        summary: format!(
            "image {} is gone: {}@{} was there when the release was created, and is not any more",
            pin.image,
            found.repository,
            pin.digest.short()
        ),
        hint: "push it again with its digest kept, or release another version; see to it that no lifecycle policy expires what is released"
            .to_owned(),
        diagnosis: Vec::new(),
        outputs: BTreeMap::new(),
    }
}
