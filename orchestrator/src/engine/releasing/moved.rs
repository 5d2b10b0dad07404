//! Tags that name something else than when their release was created. The
//! release keeps what it holds; that its tag has moved is told.

use super::origin::Present;
use crate::{
    domain::{
        name::{Digest, ImageKey},
        release::{Origin, ReleaseImage, origins},
    },
    engine::{Engine, EngineError},
    store::{CommitPoint, MovedTag, NewEvent, StoredRelease},
};

impl Engine {
    /// Looks, beside everything else, where the tags of a release are now.
    pub(super) fn look_at_tags(&self, release: &StoredRelease) {
        let (engine, release) = (self.clone(), release.clone());
        self.0.tasks.spawn(async move {
            if let Err(error) = engine.compare_tags(&release).await {
                tracing::warn!(release = %release.release.version, error = ?error, "could not look at its tags");
            }
        });
    }

    async fn compare_tags(&self, release: &StoredRelease) -> Result<(), EngineError> {
        let mut reader = self.0.store.reader().await?;
        let project = self.project_of(&mut reader, &release.release).await?;
        drop(reader);
        for origin in origins(&project, &release.release.channel) {
            let image = release.release.images.get(&origin.image);
            let Some((image, digest)) = image.and_then(|it| Some((it, it.digest.as_ref()?))) else {
                continue;
            };
            match self
                .look(&origin, &image.repository, &image.tag, Some(digest))
                .await
            {
                Ok(present) => {
                    self.note_tag(release, &origin, image, &image.repository, &present)
                        .await?
                }
                Err(why) => {
                    tracing::debug!(image = %origin.image, why = why.message, "its tag was not looked at")
                }
            }
        }
        Ok(())
    }

    /// Records where the tag of an image is, when that is news.
    pub(in crate::engine) async fn note_tag(
        &self,
        release: &StoredRelease,
        origin: &Origin,
        image: &ReleaseImage,
        repository: &str,
        seen: &Present,
    ) -> Result<(), EngineError> {
        let (Some(holds), Some(names)) = (&image.digest, &seen.tag_digest) else {
            return Ok(());
        };
        let mut reader = self.0.store.reader().await?;
        let known = crate::store::moved_tags::moved_tags(&mut reader, release.number).await?;
        drop(reader);
        let known = known
            .into_iter()
            .find(|it| it.image == origin.image && it.repository == repository);
        if known.map_or(holds == names, |it| it.digest == *names) {
            return Ok(());
        }
        let at = self.now();
        let mut tx = self.0.store.begin().await?;
        let news = match holds == names {
            true => {
                tx.note_tag_is_back(release.number, &origin.image, repository)
                    .await?
            }
            false => {
                let moved = MovedTag {
                    image: origin.image.clone(),
                    repository: repository.to_owned(),
                    digest: names.clone(),
                    seen: at,
                };
                tx.note_moved_tag(release.number, &moved).await?
            }
        };
        if news {
            let line = line(release, (&origin.image, image), repository, (holds, names));
            tx.append(&NewEvent { at, ..line }).await?;
            self.0.store.commit(tx, CommitPoint::TagMoved).await?;
        }
        Ok(())
    }
}

fn line(
    release: &StoredRelease,
    (key, image): (&ImageKey, &ReleaseImage),
    repository: &str,
    (holds, names): (&Digest, &Digest),
) -> NewEvent {
    let tag = &image.tag;
    let (kind, message) = match holds == names {
        true => (
            "tag_is_back",
            format!(
                "tag {tag} of image {key} in {repository} is {} again",
                holds.short()
            ),
        ),
        false => (
            "tag_moved",
            format!(
                "tag {tag} of image {key} in {repository} is {} now; the release keeps {}",
                names.short(),
                holds.short()
            ),
        ),
    };
    NewEvent {
        release: release.number,
        deployment: None,
        operation: None,
        kind,
        message,
        state: None,
        verdict: None,
        payload: serde_json::json!({
            "kind": kind, "image": key, "tag": tag, "repository": repository, "digest": names,
        }),
        at: release.release.created,
    }
}
