//! One account: who we are there, and the way to its services.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::types::Task;
use aws_sdk_sts::config::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;
use towline_agent_domain::observed::surroundings::{ObservedImage, Role};
use towline_agent_domain::observed::{ClusterRef, ObservedAlarm, ServiceDeploymentStatus, TaskDefinitionArn};
use towline_agent_domain::outside::CallError;
use towline_link::seams::Seams;

use crate::alarms::ALARMS_A_CALL;
use crate::budget::Budgets;
use crate::call;
use crate::clients::Clients;
use crate::load_balancing::SeenTargets;
use crate::poller::Poller;
use crate::records::{RECORDS_A_CALL, REVISIONS_A_CALL, Records, Revisions};
use crate::tasks::TASKS_A_CALL;
use crate::together::Together;

/// How to reach AWS.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// Another address for all services, for a simulated AWS.
    pub endpoint_url: Option<String>,
    /// The region that STS is asked in.
    pub region: String,
    /// The least time between two looks at one service that is followed.
    pub poll_interval: Duration,
    /// How long one attempt of one call may take.
    pub attempt_timeout: Duration,
    /// Instead of what the SDK finds in the process's environment. Only for a
    /// simulated AWS, which takes the 12 digits of an account for an id.
    pub access_key: Option<AccessKey>,
    /// Instead of the SDK's own HTTP client; for an AWS simulated in this process.
    pub http: Option<SharedHttpClient>,
}

/// An access key that is written down.
#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            region: "us-east-1".to_owned(),
            poll_interval: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(20),
            access_key: None,
            http: None,
        }
    }
}

/// Why the account cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("AWS does not say whose credentials these are: {0}")]
    Identity(#[from] CallError),
    #[error("AWS's answer about whose credentials these are cannot be read: {arn:?}")]
    Unreadable { arn: String },
}

/// One AWS account, through the credentials that the process finds in its
/// environment (the SDK's default chain). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) clients: Clients,
    pub(crate) budgets: Budgets,
    pub(crate) poller: Poller,
    pub(crate) revisions: Revisions,
    /// Service revisions, by region.
    pub(crate) described_revisions: Together<String, TaskDefinitionArn>,
    pub(crate) records: Records,
    /// Records of deployments that are followed, by region.
    pub(crate) followed_records: Together<String, (ServiceDeploymentStatus, String)>,
    pub(crate) described_tasks: Together<ClusterRef, Task>,
    pub(crate) seen_targets: SeenTargets,
    /// By region.
    pub(crate) seen_alarms: Together<String, ObservedAlarm>,
    /// By region; one a call.
    pub(crate) seen_roles: Together<String, Option<Role>>,
    /// One a call.
    pub(crate) seen_images: Together<(), Option<ObservedImage>>,
    account: String,
    partition: String,
    /// The principal of the agent's credentials, as STS names it.
    pub(crate) caller: String,
    /// The same, as IAM names it; asked for when first needed.
    pub(crate) principal: OnceCell<String>,
}

impl Aws {
    /// Finds credentials and asks STS whose they are.
    ///
    /// # Errors
    /// When there are no credentials, or AWS does not answer or does not accept them.
    pub async fn connect(settings: AwsSettings, seams: &Seams) -> Result<Self, ConnectError> {
        let config = sdk_config(&settings).await;
        let clients = Clients::new(config);
        let sts = clients.sts(&settings.region);
        let identity = call::answer(sts.get_caller_identity().send().await, "the caller's identity")?;
        let arn = identity.arn().unwrap_or_default().to_owned();
        let (Some(partition), Some(account)) = (partition_of(&arn), identity.account()) else {
            return Err(ConnectError::Unreadable { arn });
        };
        let poller = Poller::new(seams.clock, settings.poll_interval);
        let account = account.to_owned();
        Ok(Self {
            inner: Arc::new(Inner {
                clients,
                budgets: Budgets::new(seams.clock),
                poller,
                revisions: Revisions::default(),
                described_revisions: Together::new(seams.clock, REVISIONS_A_CALL),
                records: Records::default(),
                followed_records: Together::new(seams.clock, RECORDS_A_CALL),
                described_tasks: Together::new(seams.clock, TASKS_A_CALL),
                seen_targets: SeenTargets::new(seams.clock, settings.poll_interval),
                seen_alarms: Together::new(seams.clock, ALARMS_A_CALL),
                seen_roles: Together::new(seams.clock, 1),
                seen_images: Together::new(seams.clock, 1),
                account,
                partition,
                caller: arn,
                principal: OnceCell::new(),
            }),
        })
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.inner.budgets
    }

    /// The account's 12 digits.
    pub fn account_id(&self) -> &str {
        &self.inner.account
    }

    /// aws, aws-cn, aws-us-gov ...
    pub fn partition(&self) -> &str {
        &self.inner.partition
    }
}

async fn sdk_config(settings: &AwsSettings) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(settings.attempt_timeout)
        .operation_timeout(settings.attempt_timeout * 3)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .timeout_config(timeouts);
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(key) = &settings.access_key {
        let key = Credentials::builder()
            .access_key_id(&key.id)
            .secret_access_key(&key.secret)
            .provider_name("settings")
            .build();
        loader = loader.credentials_provider(key);
    }
    if let Some(http) = &settings.http {
        loader = loader.http_client(http.clone());
    }
    loader.load().await
}

/// `arn:PARTITION:sts::...`
fn partition_of(arn: &str) -> Option<String> {
    let mut parts = arn.split(':');
    let partition = (parts.next() == Some("arn")).then(|| parts.next()).flatten()?;
    (!partition.is_empty()).then(|| partition.to_owned())
}
