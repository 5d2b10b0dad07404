//! `towline release create`: a new release, or (`--plan`) what it would meet.

use std::collections::HashMap;

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    exit::{Exit, Fault},
    follow::{Following, Told, follow},
    output::Console,
    preview, release,
};

/// The word in the place of a tag that asks for the newest one.
const NEWEST: &str = "newest";

/// Snapshots the project with the chosen images, each with the digest that its
/// tag has now, starts the first phase if that is automatic, and waits until
/// nothing more happens by itself.
///
/// The same again changes nothing: the release that is there is followed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release create --version 1.0.0 --image web=1.0.0 --image orders=1.0.0
  towline release create --image web=1.2.0 --image orders=newest
  towline release create --newest --commit 4f2a9c0 --build https://ci.example.com/builds/77
  towline release create --newest --plan
  towline release create --project shop --version 1.1.0-rc.1 --channel next --image web=1.1.0 --no-wait")]
pub(super) struct Create {
    /// The release's version, unique in the project; made from the channel's
    /// template when left out, where it has one.
    #[arg(long)]
    version: Option<String>,
    /// The tag of an image, or `newest` for the newest tag that the channel's rules
    /// allow; once for every image whose tag the project leaves open.
    #[arg(long = "image", value_name = "IMAGE=TAG", value_parser = image)]
    images: Vec<(String, String)>,
    /// The newest tag for every image that is not chosen.
    #[arg(long)]
    newest: bool,
    /// May be left out when the project has just one.
    #[arg(long)]
    channel: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// What is in it, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notes: String,
    /// Where it was built.
    #[arg(long, value_name = "URL", default_value = "")]
    build: String,
    /// What it was built from.
    #[arg(long, value_name = "SHA", default_value = "")]
    commit: String,
    /// Only show what the release would meet today in every environment of its
    /// lifecycle, as the agents plan it; nothing is stored. The exit code is 3 when
    /// something would fail, 4 when that is not known of something.
    #[arg(long, conflicts_with = "no_wait")]
    plan: bool,
    /// Do not wait.
    #[arg(long)]
    no_wait: bool,
}

/// `IMAGE=TAG`.
pub(super) fn image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((image, tag)) if !image.is_empty() && !tag.is_empty() => Ok((image.to_owned(), tag.to_owned())),
        _ => Err("not IMAGE=TAG, for example web=1.2.0".to_owned()),
    }
}

impl Create {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let (images, newest_images) = chosen(self.images)?;
        let project = choose::project(api, self.project).await?;
        let request = pb::CreateReleaseRequest {
            project: project.clone(),
            version: self.version.unwrap_or_default(),
            channel: self.channel.unwrap_or_default(),
            images,
            newest_images,
            all_newest: self.newest,
            notes: self.notes,
            build_url: self.build,
            commit: self.commit,
        };
        if self.plan {
            return preview::run(api, console, request).await;
        }
        let created = api.releases.create_release(request).await?.into_inner();
        let version = created.release.unwrap_or_default().version;
        if created.existed {
            console.talk(&format!(
                "release {version} was there already, with the same content"
            ))?;
        }
        let mut exit = Exit::Done;
        if !self.no_wait {
            let following = Following {
                project: project.clone(),
                version: version.clone(),
                from_deployment: None,
                after: 0,
                told: Told::AsTalk,
            };
            let followed = follow(api, console, following).await?;
            followed.say(console)?;
            exit = followed.exit;
        }
        release::show_release(api, console, project, version, false).await?;
        Ok(exit)
    }
}

/// Tags by image, and the images that get the newest.
fn chosen(images: Vec<(String, String)>) -> Result<(HashMap<String, String>, Vec<String>), Fault> {
    let mut chosen = HashMap::new();
    for (image, tag) in images {
        if let Some(before) = chosen.insert(image.clone(), tag.clone()) {
            return Err(Fault::local(format!(
                "image {image} is chosen twice: {before} and {tag}"
            )));
        }
    }
    let (newest, tags): (HashMap<_, _>, HashMap<_, _>) =
        chosen.into_iter().partition(|(_, tag)| tag == NEWEST);
    let mut newest: Vec<String> = newest.into_keys().collect();
    newest.sort();
    Ok((tags, newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_tag_is_asked_for_with_a_word() {
        let of = |texts: &[&str]| chosen(texts.iter().map(|text| image(text).unwrap()).collect());
        let (tags, newest) = of(&["web=1.2.0", "orders=newest", "api=newest"]).unwrap();
        assert_eq!(tags, HashMap::from([("web".to_owned(), "1.2.0".to_owned())]));
        assert_eq!(newest, ["api", "orders"]);
        let twice = of(&["web=1.2.0", "web=newest"]).unwrap_err();
        assert!(twice.what.contains("chosen twice"), "{}", twice.what);
    }
}
