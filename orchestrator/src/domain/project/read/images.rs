//! `images`: where each is found, and which tags are fixed.

use super::Reading;
use crate::domain::project::{
    check::Reach,
    definition::{Image, Repository},
    report::{self, Fields},
    yaml::{Kind, Node},
};

impl<'a> Reading<'a> {
    pub(super) fn image(&mut self, key: &'a str, node: &'a Node) -> Option<Image> {
        let what = format!("image {key}");
        let fields = Fields::of(node, &what, &["repository", "tag"], &mut self.report)?;
        let uses = self.uses.len();
        let repository = fields.need("repository", &mut self.report);
        let repository = repository.and_then(|node| self.repository(&what, node));
        self.reaches(uses, Reach::Image(key.to_owned()));
        let tag = match fields.get("tag") {
            Some(node) => Some(report::parsed(node, &format!("{what}: tag"), &mut self.report)?),
            None => None,
        };
        Some(Image {
            repository: repository?,
            tag,
        })
    }

    fn repository(&mut self, what: &str, node: &'a Node) -> Option<Repository> {
        let what = format!("{what}: repository");
        let text = report::text(node, &what, &mut self.report)?;
        if text == "running" {
            return Some(Repository::Running);
        }
        let last = text.rsplit('/').next().unwrap_or(text);
        if last.contains(':') && !last.contains("${") || text.contains('@') {
            self.report
                .error(node.at, format!("{what} {text:?} holds a tag or a digest"))
                .hint("write the tag as `tag:`, or leave it to the release");
        }
        self.template(node, &what).map(Repository::Named)
    }

    /// Whether the file says `repository: running` for this image.
    pub(super) fn keeps_repository(&self, image: &str) -> bool {
        let node = self
            .known
            .images
            .iter()
            .find(|entry| entry.key == image)
            .map(|entry| &entry.value);
        let Some(Kind::Map(entries)) = node.map(|node| &node.kind) else {
            return false;
        };
        let is_running = |node: &Node| matches!(&node.kind, Kind::Scalar { text, .. } if text == "running");
        entries
            .iter()
            .any(|entry| entry.key == "repository" && is_running(&entry.value))
    }
}
