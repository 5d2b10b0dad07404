//! What people keep in an account for others to read: images in ECR, parameters in
//! Systems Manager. Outputs of stacks are [`super::Stacks`]'s.

use std::future::Future;

use super::Answer;
use crate::image_reference::{Digest, Tag};
use crate::observed::{
    registry::{ListedTags, Looked, ResolvedImage},
    values::Parameter,
};
use crate::registry::EcrRepository;

/// The image that is asked for; with both, the digest decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedImage {
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

/// Amazon ECR.
pub trait Registries: Send + Sync {
    /// What a tag, or whether a digest, is there now.
    fn resolve(
        &self,
        repository: &EcrRepository,
        image: &WantedImage,
    ) -> impl Future<Output = Answer<Looked<ResolvedImage>>> + Send;

    /// The tags of a repository, of at most 10,000 images. `Missing`: there is no such
    /// repository.
    fn tags(&self, repository: &EcrRepository) -> impl Future<Output = Answer<ListedTags>> + Send;
}

/// AWS Systems Manager's parameters.
pub trait Parameters: Send + Sync {
    /// GetParameters for at most ten names, each once, without decryption. Those that do
    /// not exist are not in the answer.
    fn parameters(
        &self,
        region: &str,
        names: &[String],
    ) -> impl Future<Output = Answer<Vec<Parameter>>> + Send;
}
