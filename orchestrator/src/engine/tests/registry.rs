//! What the tests' agents find in registries: everything that they are asked
//! for, with the digest that [`digest_of`] gives its tag, unless a test says so.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use towline_link::status::Fault;
use towline_proto::agent::v1 as proto;

/// That of the image which container `app` of every service runs.
pub const REPOSITORY: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop/orders";

/// What a tag names, where no test has moved it.
pub fn digest_of(tag: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(tag)))
}

#[derive(Debug, Default)]
pub struct FakeRegistry {
    /// Tags that name something else.
    pub moved: BTreeMap<String, String>,
    /// Digests that are not there.
    pub missing: BTreeSet<String>,
    /// Tags, newest first.
    pub tags: Vec<String>,
    /// It would not let anybody look.
    pub refuses: Option<Status>,
}

impl FakeRegistry {
    pub fn resolve(&self, asked: &proto::ResolveImageRequest) -> Result<proto::ResolveImageResponse, Status> {
        if let Some(status) = &self.refuses {
            return Err(status.clone());
        }
        let named = self
            .moved
            .get(&asked.tag)
            .cloned()
            .unwrap_or_else(|| digest_of(&asked.tag));
        let digest = match asked.digest.as_str() {
            "" => named.clone(),
            digest => digest.to_owned(),
        };
        if self.missing.contains(&digest) {
            let fault = Fault::new(
                Code::NotFound,
                "IMAGE_NOT_FOUND",
                format!("{} has no such image", asked.repository),
            );
            return Err(fault.into_status());
        }
        Ok(proto::ResolveImageResponse {
            image: format!("{}@{digest}", asked.repository),
            repository: asked.repository.clone(),
            tag_digest: if asked.digest.is_empty() {
                String::new()
            } else {
                named
            },
            push_time: Some(prost_types::Timestamp::default()),
            digest,
            ..proto::ResolveImageResponse::default()
        })
    }

    /// One tag a page.
    pub fn list(&self, asked: proto::ListImageTagsRequest) -> proto::ListImageTagsResponse {
        let from: usize = asked.page_token.parse().unwrap_or(0);
        let tag = self.tags.get(from).map(|tag| proto::ImageTag {
            tag: tag.clone(),
            digest: digest_of(tag),
            ..proto::ImageTag::default()
        });
        let more = from + 1 < self.tags.len();
        proto::ListImageTagsResponse {
            tags: tag.into_iter().collect(),
            next_page_token: if more {
                (from + 1).to_string()
            } else {
                String::new()
            },
            repository: asked.repository,
            ..proto::ListImageTagsResponse::default()
        }
    }
}
