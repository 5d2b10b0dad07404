//! `towline release create`, `release show` and `release list`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    block::{self, Block, Unblock},
    choose,
    connection::Api,
    create::Create,
    deployments,
    exit::{Exit, Fault},
    output::Console,
    show,
    table::table,
};

/// The releases: create one, show one, list them, block and unblock one.
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
    Block(Block),
    Unblock(Unblock),
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
  towline release list --project shop --limit 100
  towline release list --archived")]
struct List {
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// At most this many.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
    /// Also those that are archived.
    #[arg(long)]
    archived: bool,
}

impl Release {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            ReleaseVerb::Create(verb) => verb.run(api, console).await,
            ReleaseVerb::Show(verb) => verb.run(api, console).await,
            ReleaseVerb::List(verb) => verb.run(api, console).await,
            ReleaseVerb::Block(verb) => verb.run(api, console).await,
            ReleaseVerb::Unblock(verb) => verb.run(api, console).await,
        }
    }
}

impl Show {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let project = choose::project(api, self.project).await?;
        show_release(api, console, project, self.version, true).await?;
        Ok(Exit::Done)
    }
}

pub(super) async fn show_release(
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
    let images: Vec<_> = release.images.iter().map(chosen).collect();
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
    for (what, link) in [("build", &release.build_url), ("commit", &release.commit)] {
        if !link.is_empty() {
            text += &format!("\n{what} {link}");
        }
    }
    for line in block::standing(&release, now) {
        text += &format!("\n{line}");
    }
    for line in release.images.iter().flat_map(|image| moved(image, now)) {
        text += &format!("\n{line}");
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

/// `web=1.2.0@sha256:4f2a9c01ab12`
pub(super) fn chosen(image: &pb::ReleaseImage) -> String {
    let digest = show::digest(&image.digest);
    let at = if digest.is_empty() { "" } else { "@" };
    format!("{}={}{at}{digest}", image.image, image.tag)
}

fn moved(image: &pb::ReleaseImage, now: Timestamp) -> Vec<String> {
    let line = |moved: &pb::MovedTag| {
        format!(
            "tag {} of {} has moved in {}: it is {} now (seen {}); the release keeps {}",
            image.tag,
            image.image,
            moved.repository,
            show::digest(&moved.digest),
            show::ago(moved.seen_time.as_ref(), now),
            show::digest(&image.digest),
        )
    };
    image.moved.iter().map(line).collect()
}

impl List {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::ListReleasesRequest {
            project: choose::project(api, self.project).await?,
            page_size: self.limit,
            page_token: String::new(),
            include_archived: self.archived,
        };
        let page = api.releases.list_releases(request).await?.into_inner();
        let now = api.now();
        console.message("ListReleasesResponse", &page, |color| {
            let rows = page.releases.iter().map(|release| {
                let images = release.images.iter().map(chosen);
                vec![
                    block::marked(release).into(),
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
