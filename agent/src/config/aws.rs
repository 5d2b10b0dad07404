//! The account's side of `agent.toml`: regions, roles, tags, and the buckets that
//! large templates go through.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;
use towline_agent_domain::fargate::tag_faults;

use super::{
    AwsConfig, ServedRegion, TemplateBucket,
    bucket::{USUAL_PREFIX, name_fault, prefix_fault},
    file::Check,
};

/// Where the roles that a stack makes lie, when the file does not say.
const USUAL_ROLE_PATH: &str = "/towline/";
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
const LONGEST_ROLE_PATH: usize = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AwsTable {
    endpoint_url: Option<Spanned<String>>,
    #[serde(default)]
    regions: Vec<RegionTable>,
    cloudformation_role: Option<Spanned<String>>,
    permissions_boundary: Option<Spanned<String>>,
    role_path: Option<Spanned<String>>,
    #[serde(default)]
    tags: BTreeMap<String, Spanned<String>>,
    /// Known only to say where it belongs.
    template_bucket: Option<Spanned<IgnoredAny>>,
    template_prefix: Option<Spanned<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionTable {
    name: Spanned<String>,
    clusters: Spanned<Vec<Spanned<String>>>,
    template_bucket: Option<Spanned<String>>,
    template_prefix: Option<Spanned<String>>,
}

impl Check<'_> {
    pub(super) fn aws(&mut self, table: Spanned<AwsTable>) -> AwsConfig {
        let span = table.span();
        let table = table.into_inner();
        if table.regions.is_empty() {
            self.fault(
                span,
                "[aws] names no region, so the agent could serve nothing",
                Some("add `[[aws.regions]]` with `name = \"eu-west-1\"` and `clusters = [\"main\"]`"),
            );
        }
        if let Some(url) = &table.endpoint_url
            && !(url.get_ref().starts_with("http://") || url.get_ref().starts_with("https://"))
        {
            self.fault(
                url.span(),
                format!("endpoint_url {:?} is no http:// or https:// URL", url.get_ref()),
                None,
            );
        }
        let misplaced = [
            ("template_bucket", table.template_bucket),
            ("template_prefix", table.template_prefix),
        ];
        for (key, value) in misplaced {
            if let Some(value) = value {
                self.fault(
                    value.span(),
                    format!("{key} belongs to a region, as a bucket does"),
                    Some("move it below the name of the [[aws.regions]] that the bucket lies in"),
                );
            }
        }
        AwsConfig {
            regions: self.regions(table.regions),
            endpoint_url: table.endpoint_url.map(Spanned::into_inner),
            cloudformation_role: table.cloudformation_role.map(|arn| self.iam_arn("role", arn)),
            permissions_boundary: table.permissions_boundary.map(|arn| self.iam_arn("policy", arn)),
            role_path: match table.role_path {
                Some(path) => self.role_path(path),
                None => USUAL_ROLE_PATH.to_owned(),
            },
            tags: self.tags(table.tags),
        }
    }

    /// CloudFormation would refuse every stack that carries a tag like this.
    fn tags(&mut self, tags: BTreeMap<String, Spanned<String>>) -> BTreeMap<String, String> {
        let mut checked = BTreeMap::new();
        for (key, value) in tags {
            for fault in tag_faults(&key, value.get_ref()) {
                self.fault(value.span(), format!("the tag {key:?}: {fault}"), None);
            }
            checked.insert(key, value.into_inner());
        }
        checked
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
    fn role_path(&mut self, path: Spanned<String>) -> String {
        let value = path.get_ref();
        let slashes = value.starts_with('/') && value.ends_with('/') && !value.contains("//");
        if !slashes || value.len() > LONGEST_ROLE_PATH || !value.bytes().all(|b| b.is_ascii_graphic()) {
            self.fault(
                path.span(),
                format!("role_path {value:?} is no IAM path"),
                Some("it begins and ends with a slash, for example \"/towline/\""),
            );
        }
        path.into_inner()
    }

    fn regions(&mut self, tables: Vec<RegionTable>) -> Vec<ServedRegion> {
        let mut regions: Vec<ServedRegion> = Vec::new();
        for table in tables {
            self.region_name(&table.name, &regions);
            self.clusters(table.name.get_ref(), &table.clusters);
            let clusters = table.clusters.into_inner();
            regions.push(ServedRegion {
                name: table.name.into_inner(),
                clusters: clusters.into_iter().map(Spanned::into_inner).collect(),
                template_bucket: self.template_bucket(table.template_bucket, table.template_prefix),
            });
        }
        regions
    }

    fn region_name(&mut self, name: &Spanned<String>, before: &[ServedRegion]) {
        let region = name.get_ref();
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            self.fault(name.span(), format!("region {region:?} is no AWS region"), None);
        }
        if before.iter().any(|other| other.name == *region) {
            self.fault(
                name.span(),
                format!("region {region} is there twice"),
                Some("list all its clusters in one [[aws.regions]]"),
            );
        }
    }

    fn clusters(&mut self, region: &str, clusters: &Spanned<Vec<Spanned<String>>>) {
        if clusters.get_ref().is_empty() {
            self.fault(
                clusters.span(),
                format!("region {region} names no cluster"),
                Some("a cluster's name, for example clusters = [\"main\"]"),
            );
        }
        let not_names = clusters.get_ref().iter();
        for cluster in not_names.filter(|c| c.get_ref().contains([':', '/'])) {
            self.fault(
                cluster.span(),
                format!("cluster {:?} is not a name", cluster.get_ref()),
                Some("the cluster's name, not its ARN"),
            );
        }
    }

    fn template_bucket(
        &mut self,
        bucket: Option<Spanned<String>>,
        prefix: Option<Spanned<String>>,
    ) -> Option<TemplateBucket> {
        if let Some(prefix) = &prefix {
            if let Some(fault) = prefix_fault(prefix.get_ref()) {
                let message = format!("template_prefix {:?} {fault}", prefix.get_ref());
                self.fault(prefix.span(), message, Some("for example \"towline/\""));
            }
            if bucket.is_none() {
                self.fault(
                    prefix.span(),
                    "template_prefix means nothing without a template_bucket",
                    None,
                );
            }
        }
        let bucket = bucket?;
        if let Some(fault) = name_fault(bucket.get_ref()) {
            let message = format!("template_bucket {:?} {fault}", bucket.get_ref());
            let hint = "the bucket's name alone, for example \"shop-towline-templates\"";
            self.fault(bucket.span(), message, Some(hint));
        }
        Some(TemplateBucket {
            name: bucket.into_inner(),
            prefix: prefix.map_or_else(|| USUAL_PREFIX.to_owned(), Spanned::into_inner),
        })
    }

    fn iam_arn(&mut self, kind: &str, arn: Spanned<String>) -> String {
        let value = arn.get_ref();
        if !(value.starts_with("arn:") && value.contains(&format!(":{kind}/"))) {
            self.fault(
                arn.span(),
                format!("{value:?} is not the ARN of an IAM {kind}"),
                Some("arn:aws:iam::ACCOUNT:…"),
            );
        }
        arn.into_inner()
    }
}
