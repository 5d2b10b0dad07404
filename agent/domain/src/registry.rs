//! Which registry of Amazon ECR a repository is in. A registry is one account in one
//! region; its host says both.

use crate::image_reference::{ImageError, ImageReference};

/// A repository in Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EcrRepository {
    /// The registry's account, 12 digits.
    pub account: String,
    pub region: String,
    /// Its name in the registry: `shop/web`.
    pub name: String,
    /// The registry's host.
    host: String,
}

/// Why a name leads to no repository of ECR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRepository {
    #[error(transparent)]
    Unreadable(#[from] ImageError),
    #[error("{name} is in the registry {host}, which is none of Amazon ECR's")]
    OtherRegistry { name: String, host: String },
}

/// Whose registry a name without a host is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnRegistry<'a> {
    pub account: &'a str,
    pub partition: &'a str,
    pub region: &'a str,
}

impl EcrRepository {
    /// The repository of a reference with a registry.
    ///
    /// # Errors
    ///
    /// It is in another registry than ECR's. Docker Hub's short names are.
    pub fn of(image: &ImageReference) -> Result<Self, NoRepository> {
        let host = image.registry().unwrap_or("docker.io");
        let Some((account, region)) = account_and_region(host) else {
            return Err(NoRepository::OtherRegistry {
                name: image.repository().to_owned(),
                host: host.to_owned(),
            });
        };
        Ok(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            name: image.repository().to_owned(),
            host: host.to_owned(),
        })
    }

    /// The repository of `registry/name`, or of a name alone, which is then the agent's own.
    ///
    /// # Errors
    ///
    /// It is no repository, or in another registry than ECR's.
    pub fn named(text: &str, own: OwnRegistry<'_>) -> Result<Self, NoRepository> {
        let image: ImageReference = text.parse()?;
        if image.tag().is_some() || image.digest().is_some() {
            return Err(ImageError::Repository {
                image: text.to_owned(),
            }
            .into());
        }
        if image.registry().is_some() {
            return Self::of(&image);
        }
        let domain = match own.partition {
            "aws-cn" => "amazonaws.com.cn",
            _ => "amazonaws.com",
        };
        Ok(Self {
            account: own.account.to_owned(),
            region: own.region.to_owned(),
            name: text.to_owned(),
            host: format!("{}.dkr.ecr.{}.{domain}", own.account, own.region),
        })
    }

    /// `registry/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }
}

/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, in each of the forms that ECR has.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>
pub fn account_and_region(host: &str) -> Option<(&str, &str)> {
    let (account, rest) = host.split_once('.')?;
    let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
        .iter()
        .find_map(|form| rest.strip_prefix(form))?;
    let (region, domain) = rest.split_once('.')?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_aws = domain.starts_with("amazonaws.") || domain.starts_with("on.");
    (is_account && is_aws).then_some((account, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: OwnRegistry<'_> = OwnRegistry {
        account: "111111111111",
        partition: "aws",
        region: "eu-west-1",
    };

    #[test]
    fn ecr_registries_are_told_from_others() {
        let of = account_and_region;
        let here = Some(("111111111111", "eu-west-1"));
        assert_eq!(of("111111111111.dkr.ecr.eu-west-1.amazonaws.com"), here);
        assert_eq!(of("111111111111.dkr.ecr-fips.eu-west-1.amazonaws.com"), here);
        assert_eq!(of("111111111111.dkr-ecr.eu-west-1.on.aws"), here);
        assert_eq!(
            of("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            Some(("111111111111", "cn-north-1"))
        );
        for other in [
            "public.ecr.aws",
            "docker.io",
            "111111111111.dkr.ecr.eu-west-1.example.com",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_alone_is_in_the_agents_own_registry() {
        let repository = EcrRepository::named("shop/web", OWN).unwrap();
        assert_eq!(
            repository.full_name(),
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop/web"
        );
        let replica = "111111111111.dkr.ecr.eu-central-1.amazonaws.com/shop/web";
        let repository = EcrRepository::named(replica, OWN).unwrap();
        assert_eq!(
            (repository.region.as_str(), repository.full_name().as_str()),
            ("eu-central-1", replica)
        );
    }

    #[test]
    fn what_is_elsewhere_is_named_with_its_registry() {
        let error = EcrRepository::of(&"nginx:1.27".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nginx is in the registry docker.io, which is none of Amazon ECR's"
        );
        assert!(
            EcrRepository::named("shop/web:1.0.0", OWN).is_err(),
            "a tag belongs elsewhere"
        );
    }
}
