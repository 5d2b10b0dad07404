//! The AWS account of the agent: its credentials must be there, and of the
//! account that the configuration expects.

use anyhow::{anyhow, bail};
use towline_agent_aws::{Aws, AwsSettings};
use towline_link::seams::Seams;

use crate::config::Config;

/// Connects, asks AWS whose credentials these are, and refuses another account's.
///
/// # Errors
///
/// There are no credentials, AWS does not take them, or they belong to another account.
pub(crate) async fn connect(
    config: &Config,
    seams: &Seams,
    adjust: impl FnOnce(&mut AwsSettings),
) -> anyhow::Result<Aws> {
    let mut settings = AwsSettings {
        endpoint_url: config.aws.endpoint_url.clone(),
        poll_interval: config.timing.poll,
        ..AwsSettings::default()
    };
    if let Some(region) = config.aws.regions.first() {
        settings.region.clone_from(&region.name);
    }
    adjust(&mut settings);
    let aws = Aws::connect(settings, seams).await.map_err(|error| {
        anyhow!(
            "cannot tell the AWS account: {error}\nhint: the AWS SDK looks for credentials in the environment, in ~/.aws, and in the role of the task or instance"
        )
    })?;
    if let Some(expected) = &config.account
        && expected != aws.account_id()
    {
        bail!(
            "agent {} expects account {expected}, and its AWS credentials belong to account {}\nhint: give the agent credentials of {expected}, or correct `account` in agent.toml",
            config.name,
            aws.account_id()
        );
    }
    Ok(aws)
}
