//! Container image references: `registry/repository:tag@digest`, parsed once.

use std::{fmt, str::FromStr};

/// ECS's limit for the image of a container definition.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
const LONGEST: usize = 255;

/// The tag of an image: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let rest = |c: char| first(c) || c == '.' || c == '-';
        if text.len() <= 128 && text.starts_with(first) && text.chars().all(rest) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageError::Tag { tag: text.to_owned() })
        }
    }
}

/// The digest of an image: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageError::Digest {
                digest: text.to_owned(),
            })
        }
    }
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("the image is blank")]
    Blank,
    #[error("the image {image:?} is longer than 255 characters")]
    TooLong { image: String },
    #[error(
        "the image {image:?} has no valid repository: lower-case letters, digits and . _ - / are allowed"
    )]
    Repository { image: String },
    #[error(
        "{tag:?} is no valid tag: letters, digits, _ . - are allowed, at most 128, and the first is no . or -"
    )]
    Tag { tag: String },
    #[error("{digest:?} is no valid digest: it reads sha256: and 64 hexadecimal digits")]
    Digest { digest: String },
}

/// A whole image reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// Registry and repository, as given.
    name: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// The registry's host and port; `None` for Docker Hub's short names.
    pub fn registry(&self) -> Option<&str> {
        registry_and_repository(&self.name).0
    }

    /// The repository without the registry.
    pub fn repository(&self) -> &str {
        registry_and_repository(&self.name).1
    }

    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str)
    }

    /// The same repository with another tag. A digest goes: it names the old content.
    pub fn with_tag(&self, tag: &Tag) -> Self {
        Self {
            name: self.name.clone(),
            tag: Some(tag.clone()),
            digest: None,
        }
    }

    /// The same repository with another digest, and a tag for people to read. The
    /// old tag goes: it names the old content.
    pub fn with_digest(&self, digest: &Digest, tag: Option<&Tag>) -> Self {
        Self {
            name: self.name.clone(),
            tag: tag.cloned(),
            digest: Some(digest.clone()),
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(ImageError::Blank);
        }
        if text.len() > LONGEST {
            return Err(ImageError::TooLong {
                image: text.to_owned(),
            });
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (rest, None),
        };
        let (registry, repository) = registry_and_repository(name);
        if !registry.is_none_or(is_registry) || !repository.split('/').all(is_component) {
            return Err(ImageError::Repository {
                image: text.to_owned(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            tag,
            digest,
        })
    }
}

fn registry_and_repository(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, name),
    }
}

fn is_registry(host: &str) -> bool {
    let (name, port) = host
        .split_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(inner)
        && part.ends_with(inner)
        && part.chars().all(|c| inner(c) || c == '.' || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ImageReference {
        text.parse().unwrap()
    }

    #[test]
    fn a_registry_with_a_port_is_not_a_tag() {
        let image = parse("localhost:5000/shop/web");
        assert_eq!(
            (image.registry(), image.repository(), image.tag()),
            (Some("localhost:5000"), "shop/web", None)
        );
    }

    #[test]
    fn every_part_is_found_and_written_back() {
        let text = format!(
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1.2.0@sha256:{}",
            "a".repeat(64)
        );
        let image = parse(&text);
        assert_eq!(
            image.registry(),
            Some("111122223333.dkr.ecr.eu-west-1.amazonaws.com")
        );
        assert_eq!(image.tag().map(Tag::as_str), Some("1.2.0"));
        assert_eq!(image.to_string(), text);
    }

    #[test]
    fn a_new_tag_drops_the_digest_of_the_old_content() {
        let image = parse(&format!("shop/web@sha256:{}", "0".repeat(64)));
        assert_eq!(
            image.with_tag(&"1.3.0".parse().unwrap()).to_string(),
            "shop/web:1.3.0"
        );
    }

    #[test]
    fn what_no_registry_would_take_is_refused() {
        for text in [
            "",
            "  ",
            "shop/Web:1",
            "shop//web",
            "web:",
            "web:-1",
            "web:1 2",
            "web@sha256:12",
            "https://x/web:1",
            "/web",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }
}
