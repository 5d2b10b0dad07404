//! Releases come into being here: `draft` chooses the images and asks what
//! their tags hold, [`Engine::create_release`] stores it, `preview` tells what
//! it would meet. Registries and agents are asked before the transaction, which
//! then sees to it that the project is still the one that was asked about.

mod draft;
mod moved;
pub(super) mod origin;
mod preview;

pub use preview::{EnvironmentPreview, ReleasePreview};

use jiff::Timestamp;

use super::{Caller, Created, Engine, EngineError, Fault, NewRelease, ReleaseView, commands::no_project};
use crate::{
    domain::{
        name::ReleaseVersion,
        project::Project,
        release::{self, Release, VersionParts, VersionTemplate, day_of},
    },
    store::{CommitPoint, NewEvent, StoredRelease, WriteTx, moved_tags::moved_tags, releases},
};

use draft::Draft;

/// How often a project may be applied anew while its images are looked at.
const ATTEMPTS: usize = 3;
/// How many versions of a day may be taken by hand.
const MOST_TAKEN: usize = 10_000;
/// The longest notes, build link and commit, in bytes.
const LONGEST_NOTES: usize = 1024 * 1024;
const LONGEST_LINK: usize = 2048;

impl Engine {
    /// Snapshots the project's newest version with the chosen images, each with
    /// the digest that its tag has now, and starts the first phase when that is
    /// automatic. Asked twice with the same content, it is there once.
    pub async fn create_release(&self, caller: &Caller, new: NewRelease) -> Result<Created, EngineError> {
        let version = version_of(&new)?;
        if let Some(version) = &version
            && let Some(there) = self.same_version(&new, version).await?
        {
            self.look_at_tags(&there);
            return self.existing(&there).await;
        }
        for _ in 0..ATTEMPTS {
            let draft = self.draft(&new).await?;
            let mut tx = self.0.store.begin().await?;
            let newest = tx.newest_version(&new.project).await?;
            if newest.is_none_or(|newest| newest.version != draft.project.version) {
                continue;
            }
            let release = self.named(&mut tx, caller, &new, draft, version.clone()).await?;
            let release = match release {
                Named::There(there) => {
                    drop(tx);
                    return self.existing(&there).await;
                }
                Named::New(release) => release,
            };
            self.store_release(tx, &release).await?;
            return Ok(Created {
                release: ReleaseView::of(&release),
                existed: false,
            });
        }
        Err(EngineError::Conflict {
            reason: "project_changed",
            message: format!(
                "project {} was applied anew meanwhile, more than once",
                new.project
            ),
            hint: "try again when its file has come to rest".to_owned(),
        })
    }

    /// Stores a release with all that follows from it by itself.
    pub(super) async fn store_release(&self, mut tx: WriteTx, release: &Release) -> Result<(), EngineError> {
        let project = release.project.as_str();
        let stored = tx.put_release(release).await?;
        tx.append(&created_line(&stored)).await?;
        self.sort_out_releases(&mut tx, project, false).await?;
        self.commit_and_act(tx, project, CommitPoint::ReleaseCreated)
            .await
    }

    /// The release with its version, or the one that is there with this content.
    async fn named(
        &self,
        tx: &mut WriteTx,
        caller: &Caller,
        new: &NewRelease,
        draft: Draft,
        version: Option<ReleaseVersion>,
    ) -> Result<Named, EngineError> {
        let Draft {
            project,
            channel,
            images,
        } = draft;
        let template = project
            .parsed
            .channels
            .get(&channel)
            .and_then(|it| it.version.clone());
        // A version that is only a placeholder until the content was compared.
        let mut release = Release {
            project: project.parsed.name.clone(),
            version: version.clone().map_or_else(|| placeholder(&project.parsed), Ok)?,
            channel,
            images,
            project_version: project.version,
            notes: new.notes.clone(),
            build_url: new.build_url.clone(),
            commit: new.commit.clone(),
            created: self.now(),
            created_by: caller.operator.to_string(),
        };
        if let Some(version) = &version {
            let there = releases::release(tx.connection(), &new.project, version.as_str()).await?;
            return match there {
                Some(there) => same_or_conflict(&there, &release).map(|()| Named::There(there)),
                None => Ok(Named::New(release)),
            };
        }
        let template = template.ok_or_else(|| no_version(&release))?;
        let newest = releases::newest_of_channel(tx.connection(), &release).await?;
        let same = |there: &StoredRelease| {
            release::differences(&there.release, &release).is_empty()
                && there.release.images == release.images
        };
        if let Some(there) = newest.filter(same) {
            return Ok(Named::There(there));
        }
        release.version = free_version(tx, &release, &template).await?;
        Ok(Named::New(release))
    }

    /// The release of this version, when it is what is asked for. No registry is
    /// asked: what is there needs no answer.
    async fn same_version(
        &self,
        new: &NewRelease,
        version: &ReleaseVersion,
    ) -> Result<Option<StoredRelease>, EngineError> {
        let newest = self.0.store.newest_version(&new.project).await?;
        let newest = newest.ok_or_else(|| no_project(&new.project))?;
        let mut reader = self.0.store.reader().await?;
        let Some(there) = releases::release(&mut reader, &new.project, version.as_str()).await? else {
            return Ok(None);
        };
        let asked = draft::as_asked(&newest, new, &there.release)?;
        same_or_conflict(&there, &asked)?;
        Ok(Some(there))
    }

    async fn existing(&self, there: &StoredRelease) -> Result<Created, EngineError> {
        let mut reader = self.0.store.reader().await?;
        let moved = moved_tags(&mut reader, there.number).await?;
        Ok(Created {
            release: ReleaseView::of(&there.release).with_moved(moved),
            existed: true,
        })
    }
}

enum Named {
    New(Release),
    There(StoredRelease),
}

/// The version that was given, and whether the texts are fit to be kept.
fn version_of(new: &NewRelease) -> Result<Option<ReleaseVersion>, EngineError> {
    let mut faults = Vec::new();
    let mut at_most = |place: &str, text: &str, most: usize| {
        if text.len() > most {
            faults.push(Fault::of(place, format!("is longer than {most} bytes")));
        }
    };
    at_most("notes", &new.notes, LONGEST_NOTES);
    at_most("build_url", &new.build_url, LONGEST_LINK);
    at_most("commit", &new.commit, LONGEST_LINK);
    let is_link = ["https://", "http://"]
        .iter()
        .any(|scheme| new.build_url.starts_with(scheme));
    if !new.build_url.is_empty() && !is_link {
        let fault = Fault::of("build_url", format!("{:?} is no link", new.build_url));
        faults.push(fault.hint("it begins with https:// or http://"));
    }
    let version: Option<Result<ReleaseVersion, _>> = Some(new.version.as_str())
        .filter(|text| !text.is_empty())
        .map(str::parse);
    if let Some(Err(why)) = &version {
        faults.push(Fault::of("version", why.to_string()));
    }
    match faults.is_empty() {
        true => Ok(version.and_then(Result::ok)),
        false => Err(EngineError::Invalid { faults }),
    }
}

fn placeholder(project: &Project) -> Result<ReleaseVersion, EngineError> {
    let version = project.name.as_str().parse();
    version.map_err(|why| EngineError::invalid("version", format!("{why}")))
}

fn no_version(release: &Release) -> EngineError {
    let fault = Fault::of(
        "version",
        format!("no version is given, and channel {} makes none", release.channel),
    );
    EngineError::Invalid {
        faults: vec![fault.hint(format!(
            "give one (--version 1.0.0), or give channel {} a `version:` such as \"{{{{date}}}}.{{{{sequence}}}}\" in the project file",
            release.channel
        ))],
    }
}

/// The next version of the template that no release has.
async fn free_version(
    tx: &mut WriteTx,
    release: &Release,
    template: &VersionTemplate,
) -> Result<ReleaseVersion, EngineError> {
    let day = day_of(release.created);
    let project = release.project.as_str();
    for _ in 0..MOST_TAKEN {
        let sequence = match template.counts() {
            true => tx.next_in_sequence(project, &day.to_string()).await?,
            false => 1,
        };
        let parts = VersionParts {
            day,
            sequence,
            channel: &release.channel,
            images: &release.images,
        };
        let version = template
            .fill(parts)
            .map_err(|why| EngineError::invalid("version", format!("of the template {template}: {why}")))?;
        let taken = releases::release(tx.connection(), project, version.as_str()).await?;
        match taken {
            None => return Ok(version),
            Some(_) if template.counts() => {}
            Some(_) => {
                return Err(EngineError::Conflict {
                    reason: "release_exists",
                    message: format!(
                        "project {project} has a release {version} already, which the template {template} makes"
                    ),
                    hint: "give another version (--version), or put {{sequence}} into the template"
                        .to_owned(),
                });
            }
        }
    }
    Err(anyhow::anyhow!("project {project} has no free version for the template {template}").into())
}

fn same_or_conflict(there: &StoredRelease, asked: &Release) -> Result<(), EngineError> {
    let differences = release::differences(&there.release, asked);
    if differences.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = differences.into_iter().map(|it| it.0).collect();
    let Release { project, version, .. } = &there.release;
    Err(EngineError::Conflict {
        reason: "release_exists",
        message: format!(
            "project {project} has a release {version} already, with {}",
            each.join(", ")
        ),
        hint: "a release never changes: choose another version".to_owned(),
    })
}

fn created_line(stored: &StoredRelease) -> NewEvent {
    let release = &stored.release;
    let at: Timestamp = release.created;
    let images: Vec<String> = release
        .images
        .iter()
        .map(|(image, chosen)| format!("{image}={chosen}"))
        .collect();
    NewEvent {
        release: stored.number,
        deployment: None,
        operation: None,
        kind: "release_created",
        message: format!(
            "release {} of project {} created by {}: {}",
            release.version,
            release.project,
            release.created_by,
            images.join(", ")
        ),
        state: None,
        verdict: None,
        payload: serde_json::json!({ "kind": "release_created", "version": release.version }),
        at,
    }
}
