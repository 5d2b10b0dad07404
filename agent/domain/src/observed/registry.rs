//! What a registry says of a repository and its images.

use jiff::Timestamp;

/// What came of looking for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked<T> {
    Found(T),
    NoRepository,
    /// The repository has no such tag or digest.
    NoImage,
}

/// An image as its registry shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedImage {
    /// `sha256:...`
    pub digest: String,
    pub media_type: String,
    /// Those of an image index.
    pub platforms: Vec<Platform>,
    /// AWS's time; `None` where the registry does not say.
    pub pushed: Option<Timestamp>,
    /// All tags that name this content now.
    pub tags: Vec<String>,
    /// Where the tag of a reference with a digest is now.
    pub tag_digest: Option<String>,
}

/// One image of an index, in OCI's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: String,
    pub digest: String,
}

/// A tag and what it names now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTag {
    pub tag: String,
    /// `sha256:...`
    pub digest: String,
    /// AWS's time.
    pub pushed: Option<Timestamp>,
    pub media_type: String,
}

/// The tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedTags {
    /// In no order.
    pub tags: Vec<ListedTag>,
    /// There are more images than were looked through.
    pub incomplete: bool,
}
