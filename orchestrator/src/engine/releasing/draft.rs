//! What a new release would hold: tags chosen, and what they name now.

use futures_util::{StreamExt as _, stream};
use indexmap::IndexMap;

use super::origin::Trouble;
use crate::{
    domain::{
        name::{ChannelName, ImageKey},
        release::{
            ChoiceFault, Origin, Release, ReleaseImage, choose_channel, choose_images, newest, newest_wanted,
            origins,
        },
    },
    engine::{
        Engine, EngineError, Fault, NewRelease,
        commands::{choice_faults, no_project},
    },
    store::ProjectVersion,
};

/// How many images are asked about side by side.
const AT_ONCE: usize = 16;

/// A release that has no version yet.
pub(super) struct Draft {
    pub project: ProjectVersion,
    pub channel: ChannelName,
    /// With their digests.
    pub images: IndexMap<ImageKey, ReleaseImage>,
}

type Chosen = Vec<(String, String)>;

impl Engine {
    /// Chooses the images, and asks what their tags hold now.
    pub(super) async fn draft(&self, new: &NewRelease) -> Result<Draft, EngineError> {
        let project = self.0.store.newest_version(&new.project).await?;
        let project = project.ok_or_else(|| no_project(&new.project))?;
        let channel =
            choose_channel(&project.parsed, Some(&new.channel)).map_err(|fault| invalid(&[fault]))?;
        let origins = origins(&project.parsed, &channel);
        let mut chosen: Chosen = new.images.clone().into_iter().collect();
        let (mut faults, mut trouble) = (Vec::new(), Vec::new());
        match newest_wanted(&project.parsed, &chosen, &new.newest, new.all_newest) {
            Ok(wanted) => {
                for (image, found) in self.newest_tags(&project, &channel, &origins, wanted).await {
                    match found {
                        Ok(tag) => chosen.push((image.to_string(), tag)),
                        Err(NoNewest::Choice(fault)) => faults.push(fault),
                        Err(NoNewest::Trouble(why)) => trouble.push((image, why)),
                    }
                }
            }
            Err(wrong) => faults.extend(wrong),
        }
        let images = match choose_images(&project.parsed, &channel, &chosen) {
            Ok(images) if faults.is_empty() && trouble.is_empty() => images,
            Ok(_) => return Err(told(faults, trouble)),
            Err(wrong) => {
                // What was asked for as the newest is told once, as that.
                let told_already = |fault: &ChoiceFault| {
                    let of = fault.image().unwrap_or_default();
                    let asked = new.newest.iter().any(|it| it == of) || new.all_newest;
                    asked && matches!(fault, ChoiceFault::Missing { .. })
                };
                let new_ones = wrong.into_iter().filter(|fault| !told_already(fault));
                let new_ones: Vec<_> = new_ones.filter(|fault| !faults.contains(fault)).collect();
                faults.extend(new_ones);
                return Err(told(faults, trouble));
            }
        };
        let images = self.with_digests(images, &origins).await?;
        Ok(Draft {
            project,
            channel,
            images,
        })
    }

    async fn newest_tags(
        &self,
        project: &ProjectVersion,
        channel: &ChannelName,
        origins: &[Origin],
        wanted: Vec<ImageKey>,
    ) -> Vec<(ImageKey, Result<String, NoNewest>)> {
        let rules = project.parsed.channels.get(channel).map(|it| &it.rules);
        let asked = wanted.into_iter().map(|image| async move {
            let found = async {
                let origin = origins.iter().find(|it| it.image == image);
                let origin =
                    origin.ok_or_else(|| NoNewest::Choice(ChoiceFault::Missing { image: image.clone() }))?;
                let (repository, tags) = self.tags(origin).await.map_err(NoNewest::Trouble)?;
                let rules = rules.and_then(|rules| rules.get(&image));
                let newest = newest((channel, rules), &image, &repository, &tags);
                newest.map(|tag| tag.tag.to_string()).map_err(NoNewest::Choice)
            };
            let found = found.await;
            (image, found)
        });
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    async fn with_digests(
        &self,
        images: IndexMap<ImageKey, ReleaseImage>,
        origins: &[Origin],
    ) -> Result<IndexMap<ImageKey, ReleaseImage>, EngineError> {
        let asked = images.into_iter().map(|(key, image)| async move {
            let found = match origins.iter().find(|it| it.image == key) {
                Some(origin) => self.resolve(origin, &image.tag).await,
                None => Ok(image),
            };
            (key, found)
        });
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let mut resolved = IndexMap::new();
        let mut trouble = Vec::new();
        for (key, answer) in answers {
            match answer {
                Ok(image) => drop(resolved.insert(key, image)),
                Err(why) => trouble.push((key, why)),
            }
        }
        match trouble.is_empty() {
            true => Ok(resolved),
            false => Err(told(Vec::new(), trouble)),
        }
    }
}

/// Why there is no newest tag.
enum NoNewest {
    Choice(ChoiceFault),
    Trouble(Trouble),
}

fn invalid(faults: &[ChoiceFault]) -> EngineError {
    EngineError::Invalid {
        faults: choice_faults(faults),
    }
}

/// Everything at once. What can only be waited for is told as that where
/// nothing is wrong besides.
fn told(faults: Vec<ChoiceFault>, trouble: Vec<(ImageKey, Trouble)>) -> EngineError {
    let only_waits = faults.is_empty() && trouble.iter().all(|(_, why)| why.passes);
    if let (true, Some((_, first))) = (only_waits, trouble.first()) {
        let mut each: Vec<String> = trouble.iter().map(|(_, why)| why.message.clone()).collect();
        each.dedup();
        let images: Vec<&str> = trouble.iter().map(|(image, _)| image.as_str()).collect();
        return EngineError::NotReady {
            waiting_on: format!(
                "{}: it is asked what {} holds",
                each.join("; "),
                images.join(", ")
            ),
            hint: first.hint.clone(),
        };
    }
    let mut all = choice_faults(&faults);
    all.extend(trouble.into_iter().map(|(image, why)| {
        let fault = Fault::of(
            format!("images[{image}]"),
            format!("image {image}: {}", why.message),
        );
        fault.hint(why.hint)
    }));
    EngineError::Invalid { faults: all }
}

/// The release that is asked for, without asking any registry: what is to be the
/// newest is what `there` has.
pub(super) fn as_asked(
    project: &ProjectVersion,
    new: &NewRelease,
    there: &Release,
) -> Result<Release, EngineError> {
    let parsed = &project.parsed;
    let channel = choose_channel(parsed, Some(&new.channel)).map_err(|fault| invalid(&[fault]))?;
    let mut chosen: Chosen = new.images.clone().into_iter().collect();
    let wanted =
        newest_wanted(parsed, &chosen, &new.newest, new.all_newest).map_err(|faults| invalid(&faults))?;
    for image in wanted {
        if let Some(has) = there.images.get(&image) {
            chosen.push((image.to_string(), has.tag.to_string()));
        }
    }
    // Judged by the rules of the day on which it was created.
    let images = match choose_images(parsed, &channel, &chosen) {
        Ok(images) => images,
        Err(faults) => return Err(invalid(&faults)),
    };
    Ok(Release {
        channel,
        images,
        project_version: project.version,
        notes: new.notes.clone(),
        build_url: new.build_url.clone(),
        commit: new.commit.clone(),
        ..there.clone()
    })
}
