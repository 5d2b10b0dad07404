//! `towline-agent check`: everything that would keep the agent from working, at once.

use std::{io::Write as _, process::ExitCode, time::Duration};

use towline_agent_aws::Aws;
use towline_agent_domain::{observed::ClusterRef, outside::Ecs as _};
use towline_link::{credentials::Credentials, seams::Seams};

use super::Global;
use crate::{account, config::Config, serve::load_identity};

/// A certificate that ends sooner than this is told.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The exit code when something is wrong.
const FAULTS: u8 = 1;

pub(super) async fn run(global: &Global, seams: &Seams) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let config = Config::load(&global.dir);
    match &config {
        Ok(config) => {
            report.good(format!(
                "configuration: agent {}, serves {}",
                config.name,
                config.aws.served()
            ));
            report.power(config.aws.cloudformation_role.as_deref());
            match load_identity(config, seams) {
                Ok(credentials) => report.certificate(&credentials, seams),
                Err(error) => report.fault(&error),
            }
            match account::connect(config, seams, |_| {}).await {
                Ok(aws) => {
                    report.good(format!("account: {} ({})", aws.account_id(), aws.partition()));
                    clusters(config, &aws, &mut report).await;
                }
                Err(error) => report.fault(&error),
            }
        }
        Err(error) => report.faults.push(error.to_string()),
    }
    report.show()
}

async fn clusters(config: &Config, aws: &Aws, report: &mut Report) {
    for region in &config.aws.regions {
        for cluster in &region.clusters {
            let at = ClusterRef {
                region: region.name.clone(),
                cluster: cluster.clone(),
            };
            match aws.services(&at).await {
                Ok(services) => report.good(format!("cluster {}/{cluster}: {} services", region.name, services.len())),
                Err(error) => report.faults.push(format!(
                    "cluster {}/{cluster} cannot be read: {error}\nhint: compare region and cluster with AWS, and the agent's role with the documentation",
                    region.name
                )),
            }
        }
    }
}

/// What was found.
#[derive(Default)]
struct Report {
    good: Vec<String>,
    warnings: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    fn good(&mut self, line: String) {
        self.good.push(line);
    }

    fn fault(&mut self, error: &anyhow::Error) {
        self.faults.push(format!("{error:#}"));
    }

    /// Whose rights a stack has.
    fn power(&mut self, cloudformation_role: Option<&str>) {
        match cloudformation_role {
            Some(role) => self.good(format!("stacks: CloudFormation acts as {role}")),
            None => self.warnings.push(
                "stacks: CloudFormation acts with the agent's own rights\nhint: set cloudformation_role in agent.toml \
                 before Fargate services are deployed"
                    .to_owned(),
            ),
        }
    }

    fn certificate(&mut self, credentials: &Credentials, seams: &Seams) {
        let expires = credentials.expires();
        let left = Duration::try_from(expires.duration_since(seams.clock.now())).unwrap_or_default();
        let line = format!("certificate: {}, good until {expires}", credentials.identity());
        if left < SOON {
            self.warnings.push(format!(
                "{line}\nhint: join again before that, with `join TOKEN --force`"
            ));
        } else {
            self.good.push(line);
        }
    }

    fn show(self) -> anyhow::Result<ExitCode> {
        let mut out = anstream::stdout();
        for line in &self.good {
            writeln!(out, "ok       {line}")?;
        }
        for line in &self.warnings {
            writeln!(out, "warning  {line}")?;
        }
        for line in &self.faults {
            writeln!(out, "fault    {line}")?;
        }
        Ok(if self.faults.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAULTS)
        })
    }
}
