//! `towline release create`, `release show` and `release list`.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    follow::{Following, Told, follow},
    output::Console,
    show,
    table::table,
};

/// The releases: create one, show one, list them.
#[derive(Args, Debug)]
pub struct Release {
    #[command(subcommand)]
    verb: ReleaseVerb,
}

#[derive(Debug, Subcommand)]
enum ReleaseVerb {
    Create(Create),
    Show(Show),
    List(List),
}

/// Snapshots the project with the chosen images, starts the first phase if that
/// is automatic, and waits until nothing more happens by itself.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release create --version 1.0.0 --image web=1.0.0 --image orders=1.0.0
  towline release create --project shop --version 1.1.0-rc.1 --channel next --image web=1.1.0 --no-wait")]
struct Create {
    /// The release's version, unique in the project.
    #[arg(long)]
    version: String,
    /// The tag of an image; once for every image whose tag the project leaves open.
    #[arg(long = "image", value_name = "IMAGE=TAG", value_parser = image)]
    images: Vec<(String, String)>,
    /// May be left out when the project has just one.
    #[arg(long)]
    channel: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// What is in it, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notes: String,
    /// Do not wait.
    #[arg(long)]
    no_wait: bool,
}

/// Shows a release with its deployments, and why one went wrong.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release show 1.0.0
  towline release show 1.0.0 --output json | jq '.deployments[] | {environment, state}'")]
struct Show {
    /// The release.
    version: String,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
}

/// Lists the releases of a project, newest first.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release list
  towline release list --project shop --limit 100")]
struct List {
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// At most this many.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
}

pub(super) fn image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((image, tag)) if !image.is_empty() && !tag.is_empty() => Ok((image.to_owned(), tag.to_owned())),
        _ => Err("not IMAGE=TAG, for example web=1.2.0".to_owned()),
    }
}

impl Release {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            ReleaseVerb::Create(verb) => verb.run(api, console).await,
            ReleaseVerb::Show(verb) => verb.run(api, console).await,
            ReleaseVerb::List(verb) => verb.run(api, console).await,
        }
    }
}

impl Create {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let images = chosen(self.images)?;
        let project = choose::project(api, self.project).await?;
        let request = pb::CreateReleaseRequest {
            project: project.clone(),
            version: self.version.clone(),
            channel: self.channel.unwrap_or_default(),
            images,
            notes: self.notes,
        };
        api.releases.create_release(request).await?;
        let mut exit = Exit::Done;
        if !self.no_wait {
            let following = Following {
                project: project.clone(),
                version: self.version.clone(),
                from_deployment: None,
                after: 0,
                told: Told::AsTalk,
            };
            let followed = follow(api, console, following).await?;
            followed.say(console)?;
            exit = followed.exit;
        }
        show_release(api, console, project, self.version, false).await?;
        Ok(exit)
    }
}

fn chosen(images: Vec<(String, String)>) -> Result<HashMap<String, String>, Fault> {
    let mut chosen = HashMap::new();
    for (image, tag) in images {
        if let Some(before) = chosen.insert(image.clone(), tag.clone()) {
            return Err(Fault::local(format!(
                "image {image} is chosen twice: {before} and {tag}"
            )));
        }
    }
    Ok(chosen)
}

impl Show {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let project = choose::project(api, self.project).await?;
        show_release(api, console, project, self.version, true).await?;
        Ok(Exit::Done)
    }
}

async fn show_release(
    api: &mut Api,
    console: &mut Console,
    project: String,
    version: String,
    in_full: bool,
) -> Result<(), Fault> {
    let request = pb::GetReleaseRequest { project, version };
    let release = api.releases.get_release(request).await?.into_inner();
    let now = api.now();
    console.message("GetReleaseResponse", &release, |color| {
        text(&release, in_full, now, color)
    })
}

fn text(shown: &pb::GetReleaseResponse, in_full: bool, now: Timestamp, color: bool) -> String {
    let release = shown.release.clone().unwrap_or_default();
    let images: Vec<_> = release
        .images
        .iter()
        .map(|image| format!("{}={}", image.image, image.tag))
        .collect();
    let mut text = format!(
        "{} {}  channel {}  {}  by {} {}",
        release.project,
        release.version,
        release.channel,
        images.join(" "),
        release.created_by,
        show::ago(release.create_time.as_ref(), now),
    );
    if !release.notes.is_empty() {
        text += &format!("\n{}", release.notes);
    }
    if !shown.deployments.is_empty() {
        text += "\n\n";
        text += &deployments::overview(&shown.deployments, now, color);
        if in_full {
            text += "\n\n";
            text += &deployments::operations(&shown.deployments, color);
            text += &deployments::bad_ends(&shown.deployments, color);
        }
    }
    if in_full && !shown.waiting_on.is_empty() {
        text += &format!("\n\nwaits on {}", shown.waiting_on);
    }
    text
}

impl List {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::ListReleasesRequest {
            project: choose::project(api, self.project).await?,
            page_size: self.limit,
            page_token: String::new(),
        };
        let page = api.releases.list_releases(request).await?.into_inner();
        let now = api.now();
        console.message("ListReleasesResponse", &page, |color| {
            let rows = page.releases.iter().map(|release| {
                let images = release
                    .images
                    .iter()
                    .map(|image| format!("{}={}", image.image, image.tag));
                vec![
                    release.version.as_str().into(),
                    release.channel.as_str().into(),
                    show::ago(release.create_time.as_ref(), now).into(),
                    release.created_by.as_str().into(),
                    images.collect::<Vec<_>>().join(" ").into(),
                ]
            });
            table(
                &["RELEASE", "CHANNEL", "CREATED", "BY", "IMAGES"],
                rows.collect(),
                color,
            )
        })?;
        if !page.next_page_token.is_empty() {
            console.talk("there are older ones: --limit COUNT")?;
        }
        Ok(Exit::Done)
    }
}
