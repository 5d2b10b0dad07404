//! The version of a release that a channel's template makes:
//! `{{date}}.{{sequence}}`.

use std::{fmt, str::FromStr};

use indexmap::IndexMap;
use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};

use super::ReleaseImage;
use crate::domain::name::{BadName, ChannelName, ImageKey, ReleaseVersion};

/// A text with holes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// YYYY.MM.DD
    Date,
    /// Of the project and the day, from 1.
    Sequence,
    Channel,
    /// The tag of an image.
    Tag(ImageKey),
}

/// What the holes are filled with.
#[derive(Clone, Copy, Debug)]
pub struct VersionParts<'a> {
    /// UTC.
    pub day: Date,
    pub sequence: i64,
    pub channel: &'a ChannelName,
    pub images: &'a IndexMap<ImageKey, ReleaseImage>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVersionTemplate {
    #[error("{{{{ has no }}}}")]
    Open,
    #[error("{{{{{0}}}}} is nothing that can be filled in")]
    Hole(String),
    #[error("{0}")]
    Version(BadName),
}

/// The day of a moment, UTC.
pub fn day_of(at: Timestamp) -> Date {
    Offset::UTC.to_datetime(at).date()
}

impl VersionTemplate {
    /// Whether each release of a day gets another version.
    pub fn counts(&self) -> bool {
        self.0.contains(&Piece::Sequence)
    }

    /// The images whose tags it names.
    pub fn images(&self) -> impl Iterator<Item = &ImageKey> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Tag(image) => Some(image),
            _ => None,
        })
    }

    /// The version.
    ///
    /// # Errors
    /// What comes out is too long.
    pub fn fill(&self, parts: VersionParts<'_>) -> Result<ReleaseVersion, BadName> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Date => parts.day.strftime("%Y.%m.%d").to_string(),
            Piece::Sequence => parts.sequence.to_string(),
            Piece::Channel => parts.channel.to_string(),
            Piece::Tag(image) => parts
                .images
                .get(image)
                .map(|it| it.tag.to_string())
                .unwrap_or_default(),
        };
        self.0.iter().map(piece).collect::<String>().parse()
    }
}

impl FromStr for VersionTemplate {
    type Err = BadVersionTemplate;

    fn from_str(text: &str) -> Result<Self, BadVersionTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (hole, after) = after.split_once("}}").ok_or(BadVersionTemplate::Open)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(hole_of(hole.trim())?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        // What stands between the holes has to be a version with any filling.
        let sample = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            _ => "1",
        });
        let sample: Result<ReleaseVersion, BadName> = sample.collect::<String>().parse();
        sample.map_err(|why| {
            BadVersionTemplate::Version(BadName {
                text: text.to_owned(),
                ..why
            })
        })?;
        Ok(Self(pieces))
    }
}

fn hole_of(name: &str) -> Result<Piece, BadVersionTemplate> {
    let image = name
        .strip_prefix("image.")
        .and_then(|rest| rest.strip_suffix(".tag"));
    match (name, image.map(str::parse)) {
        ("date", _) => Ok(Piece::Date),
        ("sequence", _) => Ok(Piece::Sequence),
        ("channel", _) => Ok(Piece::Channel),
        (_, Some(Ok(image))) => Ok(Piece::Tag(image)),
        _ => Err(BadVersionTemplate::Hole(name.to_owned())),
    }
}

impl TryFrom<String> for VersionTemplate {
    type Error = BadVersionTemplate;

    fn try_from(text: String) -> Result<Self, BadVersionTemplate> {
        text.parse()
    }
}

impl From<VersionTemplate> for String {
    fn from(template: VersionTemplate) -> String {
        template.to_string()
    }
}

impl fmt::Display for VersionTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Date => f.write_str("{{date}}")?,
                Piece::Sequence => f.write_str("{{sequence}}")?,
                Piece::Channel => f.write_str("{{channel}}")?,
                Piece::Tag(image) => write!(f, "{{{{image.{image}.tag}}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holes_are_filled() {
        let images = IndexMap::from([(
            "web".parse().unwrap(),
            ReleaseImage::tagged("v1.2.0".parse().unwrap()),
        )]);
        let channel = "stable".parse().unwrap();
        let parts = VersionParts {
            day: day_of("2026-11-25T23:59:59Z".parse().unwrap()),
            sequence: 3,
            channel: &channel,
            images: &images,
        };
        let filled = |text: &str| {
            let template: VersionTemplate = text.parse().unwrap();
            assert_eq!(template.to_string(), text);
            template.fill(parts).unwrap().to_string()
        };
        assert_eq!(filled("{{date}}.{{sequence}}"), "2026.11.25.3");
        assert_eq!(
            filled("{{image.web.tag}}-{{channel}}+{{sequence}}"),
            "v1.2.0-stable+3"
        );
    }

    #[test]
    fn what_makes_no_version_is_told_when_it_is_applied() {
        let why = |text: &str| text.parse::<VersionTemplate>().unwrap_err().to_string();
        assert_eq!(why("{{date"), "{{ has no }}");
        assert_eq!(why("{{data}}"), "{{data}} is nothing that can be filled in");
        assert!(why("-{{date}}").contains("is not a release version"));
        assert!(why("a b").contains("is not a release version"));
        assert!(why("").contains("is not a release version"));
    }
}
