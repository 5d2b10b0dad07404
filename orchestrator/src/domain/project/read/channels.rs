//! `channels`: which lifecycle a release follows, what its version is made of,
//! and which tags its images may have.

use super::Reading;
use crate::domain::{
    name::{ImageKey, Tag},
    project::{
        definition::Channel,
        report::{self, Fields},
        yaml::{Entry, Kind, Node},
    },
    release::{Pattern, Rules, VersionRange, VersionTemplate},
};

/// How a range looks, for whoever wrote none.
const RANGES: &str = "such as \">=1.2.0, <2\", \"^1.4\" or \"[1.0,2.0)\"";

impl<'a> Reading<'a> {
    pub(super) fn channel(&mut self, key: &'a str, node: &'a Node) -> Option<Channel> {
        let what = format!("channel {key}");
        let fields = Fields::of(node, &what, &["lifecycle", "version", "rules"], &mut self.report)?;
        let lifecycle = fields.need("lifecycle", &mut self.report);
        let lifecycle = lifecycle.and_then(|node| {
            self.reference(
                node,
                &format!("{what}: lifecycle"),
                "lifecycle",
                self.known.lifecycles,
            )
        });
        let version = fields.get("version");
        let version = version.and_then(|node| self.version_template(&what, node));
        let node = fields.get("rules");
        let entries = node
            .and_then(|node| report::map(node, &format!("{what}: rules"), &mut self.report))
            .unwrap_or_default();
        let rules = entries
            .iter()
            .filter_map(|entry| self.rules(&what, entry))
            .collect();
        Some(Channel {
            lifecycle: lifecycle?,
            version,
            rules,
        })
    }

    fn version_template(&mut self, what: &str, node: &'a Node) -> Option<VersionTemplate> {
        let what = format!("{what}: version");
        let text = report::strict_text(node, &what, &mut self.report)?;
        let template: VersionTemplate = match text.parse() {
            Ok(template) => template,
            Err(fault) => {
                self.report
                    .error(node.at, format!("{what}: {fault}"))
                    .hint("{{date}}, {{sequence}}, {{channel}} and {{image.KEY.tag}} are filled in, such as \"{{date}}.{{sequence}}\"");
                return None;
            }
        };
        let images = self.known.images;
        for image in template.images() {
            if !images.iter().any(|entry| entry.key == image.as_str()) {
                self.report
                    .error(node.at, format!("{what}: there is no image {:?}", image.as_str()))
                    .one_of(image.as_str(), images.iter().map(|image| image.key.as_str()));
            }
        }
        Some(template)
    }

    fn rules(&mut self, what: &str, entry: &'a Entry) -> Option<(ImageKey, Rules)> {
        let what = format!("{what}: rule for {}", entry.key);
        let images = self.known.images;
        if !images.iter().any(|image| image.key == entry.key) {
            self.report
                .error(entry.key_at, format!("{what}: there is no image {:?}", entry.key))
                .one_of(&entry.key, images.iter().map(|image| image.key.as_str()));
        }
        let rules = match &entry.value.kind {
            Kind::Map(_) => self.rules_in_full(&what, &entry.value)?,
            _ => Rules {
                range: Some(self.range(&what, &entry.value)?),
                ..Rules::default()
            },
        };
        if let Some(tag) = self.fixed_tag(&entry.key) {
            for broken in rules.broken(&tag) {
                let message = format!(
                    "{what}: the fixed tag {tag} of image {} breaks the rule {}: {}",
                    entry.key, broken.rule, broken.why
                );
                self.report.error(entry.value.at, message);
            }
        }
        Some((entry.key.parse().ok()?, rules))
    }

    fn rules_in_full(&mut self, what: &str, node: &'a Node) -> Option<Rules> {
        let before = self.report.count();
        let fields = Fields::of(node, what, &["range", "pre_release", "tag"], &mut self.report)?;
        let range = fields.get("range");
        let range = range.and_then(|node| self.range(&format!("{what}: range"), node));
        let mut pattern = |key: &str, hint: &str| {
            let node = fields.get(key)?;
            self.pattern(&format!("{what}: {key}"), node, hint)
        };
        let pre_release = pattern(
            "pre_release",
            "\"^$\" lets no pre-release through, \"^(rc\\\\.\\\\d+)?$\" also release candidates",
        );
        let tag = pattern("tag", "such as \"^v\"");
        if range.is_none() && pre_release.is_none() && tag.is_none() && self.report.count() == before {
            self.report
                .error(node.at, format!("{what} demands nothing"))
                .hint("give range, pre_release or tag, or leave the image out");
        }
        (self.report.count() == before).then_some(Rules {
            range,
            pre_release,
            tag,
        })
    }

    fn range(&mut self, what: &str, node: &'a Node) -> Option<VersionRange> {
        let text = report::strict_text(node, what, &mut self.report)?;
        let range: Result<VersionRange, _> = text.parse();
        range
            .map_err(|fault| {
                self.report
                    .error(
                        node.at,
                        format!("{what}: {text:?} is not a version range: {fault}"),
                    )
                    .hint(RANGES);
            })
            .ok()
    }

    fn pattern(&mut self, what: &str, node: &'a Node, hint: &str) -> Option<Pattern> {
        let text = report::strict_text(node, what, &mut self.report)?;
        let pattern: Result<Pattern, _> = text.parse();
        pattern
            .map_err(|fault| {
                self.report
                    .error(
                        node.at,
                        format!("{what}: {text:?} is not a regular expression: {fault}"),
                    )
                    .hint(hint);
            })
            .ok()
    }

    /// A rule on a tag that the file fixes is decided here, not by some release later.
    fn fixed_tag(&self, image: &str) -> Option<Tag> {
        let image = self.known.images.iter().find(|entry| entry.key == image)?;
        super::whole::field(&image.value, "tag")
            .and_then(super::whole::scalar)?
            .parse()
            .ok()
    }
}
