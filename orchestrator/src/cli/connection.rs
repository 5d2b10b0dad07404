//! The one connection of a client verb to the orchestrator's API, and what its
//! refusals mean for a person.

use jiff::Timestamp;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use towline_link::{
    channel::LinkChannel,
    credentials::{Credentials, CredentialsError},
    dial::{Destination, DialError, Protocol, dial},
    identity::Identity,
    io::LinkTiming,
    seams::Seams,
    status::Details,
};
use towline_proto::orchestrator::v1::{
    audit_service_client::AuditServiceClient, backup_service_client::BackupServiceClient,
    deployment_service_client::DeploymentServiceClient, environment_service_client::EnvironmentServiceClient,
    fleet_service_client::FleetServiceClient, freeze_service_client::FreezeServiceClient,
    notification_service_client::NotificationServiceClient, project_service_client::ProjectServiceClient,
    release_service_client::ReleaseServiceClient, variable_service_client::VariableServiceClient,
};

use super::{
    Global, context,
    exit::{Exit, Fault, Place},
};
use crate::api::HINT_LINE;

/// The orchestrator's API, called with this operator's certificate.
pub struct Api {
    pub projects: ProjectServiceClient<LinkChannel>,
    pub releases: ReleaseServiceClient<LinkChannel>,
    pub deployments: DeploymentServiceClient<LinkChannel>,
    pub environments: EnvironmentServiceClient<LinkChannel>,
    pub fleet: FleetServiceClient<LinkChannel>,
    pub variables: VariableServiceClient<LinkChannel>,
    pub freezes: FreezeServiceClient<LinkChannel>,
    pub audit: AuditServiceClient<LinkChannel>,
    pub notifications: NotificationServiceClient<LinkChannel>,
    pub backups: BackupServiceClient<LinkChannel>,
    pub seams: Seams,
    door: Door,
}

/// What it takes to connect, and to connect again.
struct Door {
    address: String,
    credentials: Credentials,
    tasks: TaskTracker,
}

impl Api {
    /// Connects as the context says.
    pub async fn connect(global: &Global, seams: Seams) -> Result<Self, Fault> {
        let context = context::load(&context::path(global)?)?;
        let credentials =
            Credentials::load(&context.credentials, seams.clock.now()).map_err(own_credentials)?;
        let door = Door {
            address: context.address,
            credentials,
            tasks: TaskTracker::new(),
        };
        let channel = door.open(&seams).await?;
        Ok(Self::over(channel, seams, door))
    }

    /// Connects again after the connection was lost.
    pub async fn reconnect(&mut self) -> Result<(), Fault> {
        let channel = self.door.open(&self.seams).await?;
        self.projects = ProjectServiceClient::new(channel.clone());
        self.releases = ReleaseServiceClient::new(channel.clone());
        self.deployments = DeploymentServiceClient::new(channel.clone());
        self.environments = EnvironmentServiceClient::new(channel.clone());
        self.fleet = FleetServiceClient::new(channel.clone());
        self.variables = VariableServiceClient::new(channel.clone());
        self.freezes = FreezeServiceClient::new(channel.clone());
        self.audit = AuditServiceClient::new(channel.clone());
        self.notifications = NotificationServiceClient::new(channel.clone());
        self.backups = BackupServiceClient::new(channel);
        Ok(())
    }

    fn over(channel: LinkChannel, seams: Seams, door: Door) -> Self {
        Self {
            projects: ProjectServiceClient::new(channel.clone()),
            releases: ReleaseServiceClient::new(channel.clone()),
            deployments: DeploymentServiceClient::new(channel.clone()),
            environments: EnvironmentServiceClient::new(channel.clone()),
            fleet: FleetServiceClient::new(channel.clone()),
            variables: VariableServiceClient::new(channel.clone()),
            freezes: FreezeServiceClient::new(channel.clone()),
            audit: AuditServiceClient::new(channel.clone()),
            notifications: NotificationServiceClient::new(channel.clone()),
            backups: BackupServiceClient::new(channel),
            seams,
            door,
        }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.seams.clock.now()
    }
}

impl Door {
    async fn open(&self, seams: &Seams) -> Result<LinkChannel, Fault> {
        let destination = Destination {
            address: self.address.clone(),
            protocol: Protocol::Api,
            expected: Identity::Orchestrator,
            proxy: None,
        };
        let stream = dial(seams, &self.credentials, &destination)
            .await
            .map_err(fault_of_dial)?;
        Ok(LinkChannel::open(stream, LinkTiming::default(), &self.tasks).await?)
    }
}

fn own_credentials(error: CredentialsError) -> Fault {
    match &error {
        CredentialsError::Expired {
            identity, place, at, ..
        } => Fault::local(format!(
            "the certificate of {identity} in {} expired at {at}",
            place.trim_end_matches('/')
        ))
        .hint(
            "ask an admin for `towline operator invite NAME --role ROLE`, then `towline join TOKEN --replace`",
        ),
        _ => anyhow::Error::from(error).into(),
    }
}

/// Why the orchestrator was not reached.
pub fn fault_of_dial(error: DialError) -> Fault {
    let hint = match &error {
        DialError::Unreachable { .. } => {
            "is the orchestrator running (`towline serve`), and is the address in the context right?"
        }
        DialError::Proxy { .. } => "is the proxy right, and may it connect there?",
        DialError::Untrusted { .. } => {
            "another orchestrator may have this address now; `towline join TOKEN` makes a context for it"
        }
        DialError::Handshake { .. } => {
            "is a Towline orchestrator there? Its log says why it refused; an expired or unknown certificate takes a new invitation"
        }
        DialError::Tls(_) => "`towline join TOKEN --replace` makes new credentials",
    };
    let fault = Fault::from(anyhow::Error::from(error));
    match fault.hint {
        Some(_) => fault,
        None => fault.hint(hint),
    }
}

/// What a status means for the person who called.
pub fn fault_of_status(status: &Status) -> Fault {
    let details = Details::of(status);
    let places: Vec<_> = details.violations.into_iter().map(place).collect();
    let what = match places.len() {
        0 => status.message().to_owned(),
        1 => "one fault; nothing was changed".to_owned(),
        many => format!("{many} faults; nothing was changed"),
    };
    let hint = details.hint.or_else(|| usual_hint(status.code()));
    Fault {
        exit: Exit::Local,
        what,
        places,
        hint,
    }
}

fn place((at, description): (String, String)) -> Place {
    match description.split_once(HINT_LINE) {
        Some((what, hint)) => Place {
            at,
            what: what.to_owned(),
            hint: Some(hint.to_owned()),
        },
        None => Place {
            at,
            what: description,
            hint: None,
        },
    }
}

fn usual_hint(code: Code) -> Option<String> {
    match code {
        Code::Unavailable | Code::Unknown => Some(
            "the connection was lost; what was started goes on. `towline status` shows it when the orchestrator is back",
        ),
        Code::Unimplemented => Some("the orchestrator is older than this program"),
        _ => None,
    }
    .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineError;

    #[test]
    fn a_refused_file_is_shown_fault_by_fault() {
        let fault = crate::engine::Fault::of;
        let status = crate::api::status(EngineError::Invalid {
            faults: vec![
                fault("shop.yaml:3:5", "unknown key `imagez`").hint("did you mean `images`?"),
                fault("shop.yaml:9:1", "`web` is not declared"),
            ],
        });
        let fault = fault_of_status(&status);
        assert_eq!(fault.exit, Exit::Local);
        assert_eq!(fault.what, "2 faults; nothing was changed");
        assert_eq!(fault.places[0].at, "shop.yaml:3:5");
        assert_eq!(fault.places[0].what, "unknown key `imagez`");
        assert_eq!(fault.places[0].hint.as_deref(), Some("did you mean `images`?"));
        assert_eq!(fault.places[1].hint, None);
        assert_eq!(fault.hint, None);
    }
}
