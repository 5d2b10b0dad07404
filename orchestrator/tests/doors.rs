//! The orchestrator's doors, tried from outside: real connections to a whole
//! orchestrator in this process, with certificates of different people.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails loudly"
)]

use std::{fs, path::Path, time::Duration};

use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use towline::{
    config::Config,
    found::{Founded, Founding, found},
    serve::Orchestrator,
    store::PlantedFaults,
};
use towline_link::{
    ca::{Ca, certificate_request},
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, DialError, Protocol, dial},
    identity::Identity,
    io::LinkTiming,
    join::{EnrolError, enrol},
    seams::Seams,
    status::Details,
};
use towline_proto::orchestrator::v1::{
    ApproveDeploymentRequest, CreateReleaseRequest, EnrolRequest, GetCallerRequest, GetStatusRequest,
    InviteOperatorRequest, ListOperatorsRequest, OperatorRole, PromoteReleaseRequest,
    deployment_service_client::DeploymentServiceClient, enrolment_service_client::EnrolmentServiceClient,
    fleet_service_client::FleetServiceClient, project_service_client::ProjectServiceClient,
    release_service_client::ReleaseServiceClient,
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// An orchestrator on a free port, in a directory that goes away with it.
struct Place {
    dir: tempfile::TempDir,
    founded: Founded,
    orchestrator: Orchestrator,
    seams: Seams,
    tasks: TaskTracker,
}

impl Place {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seams = Seams::system();
        let founded = found(&founding(&dir.path().join("towline"), "127.0.0.1:0"), &seams)
            .await
            .unwrap();
        let orchestrator = Orchestrator::start(&founded.config, seams.clone(), PlantedFaults::default())
            .await
            .unwrap();
        Self {
            dir,
            founded,
            orchestrator,
            seams,
            tasks: TaskTracker::new(),
        }
    }

    async fn connect(&self, credentials: &Credentials) -> Result<LinkChannel, DialError> {
        let destination = Destination {
            address: self.orchestrator.address().to_string(),
            protocol: Protocol::Api,
            expected: Identity::Orchestrator,
            proxy: None,
        };
        let stream = dial(&self.seams, credentials, &destination).await?;
        Ok(LinkChannel::open(stream, LinkTiming::default(), &self.tasks)
            .await
            .unwrap())
    }

    async fn admin(&self) -> LinkChannel {
        self.connect(&self.founded.admin).await.unwrap()
    }

    async fn invite(&self, name: &str, role: OperatorRole) -> String {
        let request = InviteOperatorRequest {
            name: name.to_owned(),
            role: role.into(),
            valid_for: None,
        };
        let invitation = FleetServiceClient::new(self.admin().await)
            .invite_operator(request)
            .await;
        invitation.unwrap().into_inner().join_token
    }

    async fn join(&self, name: &str, role: OperatorRole) -> LinkChannel {
        let token = self.invite(name, role).await.parse().unwrap();
        let enrolled = enrol(&self.seams, &token, &[], None).await.unwrap();
        self.connect(&enrolled.credentials).await.unwrap()
    }

    fn issue(&self, identity: &Identity) -> Credentials {
        let ca = Ca::load(&self.founded.config.ca_dir()).unwrap();
        issue(&ca, identity, &self.seams)
    }
}

fn founding(dir: &Path, listen: &str) -> Founding {
    Founding {
        dir: dir.to_owned(),
        listen: listen.to_owned(),
        names: Vec::new(),
        trust_domain: "towline".parse().unwrap(),
        admin: "root".parse().unwrap(),
    }
}

fn issue(ca: &Ca, identity: &Identity, seams: &Seams) -> Credentials {
    let now = seams.clock.now();
    let request = certificate_request().unwrap();
    let chain = ca.issue(&request.request_pem, identity, &[], now, YEAR).unwrap();
    Credentials::from_pem("test", &request.key_pem, &chain, ca.certificate_pem(), now).unwrap()
}

/// What became of a call at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Shut,
}

fn door<T>(answer: Result<T, Status>) -> Door {
    match answer {
        Err(status) if status.code() == Code::PermissionDenied => {
            let details = Details::of(&status);
            assert!(details.hint.is_some(), "a refusal says what to do: {status:?}");
            Door::Shut
        }
        _ => Door::Open,
    }
}

/// Tries one RPC of each row of the table: look, deploy, approve, administer.
async fn try_all(channel: &LinkChannel) -> [Door; 4] {
    let look = ProjectServiceClient::new(channel.clone())
        .get_status(GetStatusRequest::default())
        .await;
    let promote = PromoteReleaseRequest {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        ..PromoteReleaseRequest::default()
    };
    let deploy = ReleaseServiceClient::new(channel.clone())
        .promote_release(promote)
        .await;
    let approve = ApproveDeploymentRequest {
        id: "11111111-1111-5111-8111-111111111111".to_owned(),
        ..ApproveDeploymentRequest::default()
    };
    let approve = DeploymentServiceClient::new(channel.clone())
        .approve_deployment(approve)
        .await;
    let administer = FleetServiceClient::new(channel.clone())
        .list_operators(ListOperatorsRequest::default())
        .await;
    [door(look), door(deploy), door(approve), door(administer)]
}

#[tokio::test]
async fn each_role_opens_its_own_doors_and_no_other() {
    use Door::{Open, Shut};
    let place = Place::start().await;
    for (name, role, expected) in [
        ("vera", OperatorRole::Viewer, [Open, Shut, Shut, Shut]),
        ("dan", OperatorRole::Deployer, [Open, Open, Shut, Shut]),
        ("ada", OperatorRole::Approver, [Open, Shut, Open, Shut]),
        ("ann", OperatorRole::Admin, [Open, Open, Open, Open]),
    ] {
        let channel = place.join(name, role).await;
        let before = place.orchestrator.counters().handled();
        assert_eq!(try_all(&channel).await, expected, "{name}");
        let handled = place.orchestrator.counters().handled() - before;
        let open = expected.iter().filter(|door| **door == Open).count();
        assert_eq!(
            handled,
            u64::try_from(open).unwrap(),
            "handlers entered for {name}"
        );
    }
    place.orchestrator.stop().await.unwrap();
}

#[tokio::test]
async fn a_good_certificate_of_a_stranger_opens_nothing() {
    let place = Place::start().await;
    let stranger = place.issue(&Identity::Operator("mallory".parse().unwrap()));
    let channel = place.connect(&stranger).await.unwrap();
    let before = place.orchestrator.counters().handled();
    assert_eq!(try_all(&channel).await, [Door::Shut; 4]);
    let answer = FleetServiceClient::new(channel)
        .get_caller(GetCallerRequest {})
        .await;
    let details = Details::of(&answer.unwrap_err());
    assert_eq!(details.reason.as_deref(), Some("OPERATOR_UNKNOWN"));
    assert!(details.hint.unwrap().contains("towline operator invite mallory"));
    assert_eq!(place.orchestrator.counters().handled(), before);
}

#[tokio::test]
async fn agents_and_people_of_another_ca_do_not_reach_a_handler() {
    let place = Place::start().await;
    let before = place.orchestrator.counters().handled();
    let agent = place.issue(&Identity::Agent("dev".parse().unwrap()));
    let other_ca = Ca::create("towline".parse().unwrap(), place.seams.clock.now()).unwrap();
    let foreign = issue(
        &other_ca,
        &Identity::Operator("root".parse().unwrap()),
        &place.seams,
    );
    for (who, credentials) in [("an agent", agent), ("a foreign admin", foreign)] {
        // With TLS 1.3 the dialler may believe for a moment that it is connected.
        if let Ok(channel) = place.connect(&credentials).await {
            let answer = ProjectServiceClient::new(channel)
                .get_status(GetStatusRequest::default())
                .await;
            assert!(answer.is_err(), "{who} was answered");
        }
    }
    assert_eq!(place.orchestrator.counters().handled(), before);
}

#[tokio::test]
async fn a_join_token_is_good_once_and_only_for_enrolment() {
    let place = Place::start().await;
    let token: towline_link::join::JoinToken =
        place.invite("ada", OperatorRole::Approver).await.parse().unwrap();
    let request = EnrolRequest {
        secret: token.secret.text(),
        certificate_request: certificate_request().unwrap().request_pem,
        listen_names: Vec::new(),
    };
    let on_the_api = EnrolmentServiceClient::new(place.admin().await)
        .enrol(request)
        .await;
    assert!(on_the_api.is_err(), "enrolment is not part of the API");
    let enrolled = enrol(&place.seams, &token, &[], None).await.unwrap();
    assert_eq!(enrolled.name, "ada");
    let again = enrol(&place.seams, &token, &[], None).await;
    assert!(
        matches!(again, Err(EnrolError::Refused(_))),
        "a token was good twice"
    );
}

#[tokio::test]
async fn all_faults_of_a_request_come_at_once() {
    let place = Place::start().await;
    let request = InviteOperatorRequest {
        name: "Not A Name".to_owned(),
        role: OperatorRole::Unspecified.into(),
        valid_for: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
    };
    let answer = FleetServiceClient::new(place.admin().await)
        .invite_operator(request)
        .await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields: Vec<_> = Details::of(&status)
        .violations
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["name", "role", "valid_for"]);
}

#[tokio::test]
async fn what_does_not_exist_is_said_with_the_next_step() {
    let place = Place::start().await;
    let request = CreateReleaseRequest {
        project: "nowhere".to_owned(),
        version: "1.0.0".to_owned(),
        ..CreateReleaseRequest::default()
    };
    let answer = ReleaseServiceClient::new(place.admin().await)
        .create_release(request)
        .await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(Details::of(&status).hint.is_some());
}

#[tokio::test]
async fn a_port_in_use_is_said_and_the_store_is_left_alone() {
    let place = Place::start().await;
    let taken = place.orchestrator.address().to_string();
    let dir = place.dir.path().join("second");
    let second = found(&founding(&dir, &taken), &place.seams).await.unwrap();
    let before = fs::read(second.config.database()).unwrap();
    let refused = Orchestrator::start(&second.config, place.seams.clone(), PlantedFaults::default()).await;
    let said = format!("{:#}", refused.err().unwrap());
    assert!(
        said.contains(&taken) && said.contains("in use") && said.contains("hint: "),
        "{said}"
    );
    assert_eq!(fs::read(second.config.database()).unwrap(), before);
}

#[tokio::test]
async fn an_expired_certificate_is_said_and_can_be_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let seams = Seams::system();
    let founded = found(&founding(&dir.path().join("towline"), "127.0.0.1:0"), &seams)
        .await
        .unwrap();
    expire(&founded.config, &seams);
    let refused = Orchestrator::start(&founded.config, seams.clone(), PlantedFaults::default()).await;
    let said = format!("{:#}", refused.err().unwrap());
    assert!(
        said.contains("expired at") && said.contains("hint: `towline serve --renew-certificate`"),
        "{said}"
    );
    towline::found::renew(&founded.config, &[], &seams).unwrap();
    Orchestrator::start(&founded.config, seams, PlantedFaults::default())
        .await
        .unwrap();
}

/// Gives the orchestrator a certificate that was good for an hour, a day ago.
fn expire(config: &Config, seams: &Seams) {
    let ca = Ca::load(&config.ca_dir()).unwrap();
    let then = seams
        .clock
        .now()
        .checked_sub(jiff::SignedDuration::from_hours(24))
        .unwrap();
    let request = certificate_request().unwrap();
    let chain = ca
        .issue(
            &request.request_pem,
            &Identity::Orchestrator,
            &[],
            then,
            Duration::from_secs(3600),
        )
        .unwrap();
    let dir = config.credentials_dir();
    fs::remove_dir_all(&dir).unwrap();
    Credentials::from_pem("test", &request.key_pem, &chain, ca.certificate_pem(), then)
        .unwrap()
        .save(&dir)
        .unwrap();
}

#[tokio::test]
async fn an_orchestrator_is_not_made_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let seams = Seams::system();
    let founding = founding(&dir.path().join("towline"), "127.0.0.1:7443");
    let first = found(&founding, &seams).await.unwrap();
    let key = fs::read(first.config.ca_dir().join("ca-key.pem")).unwrap();
    let said = format!("{:#}", found(&founding, &seams).await.err().unwrap());
    assert!(
        said.contains("already") && said.contains("hint: `towline serve"),
        "{said}"
    );
    assert_eq!(fs::read(first.config.ca_dir().join("ca-key.pem")).unwrap(), key);
}

#[tokio::test]
async fn nothing_is_left_of_an_orchestrator_that_could_not_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline");
    let founding = founding(&path, "0.0.0.0:7443");
    let said = format!("{:#}", found(&founding, &Seams::system()).await.err().unwrap());
    assert!(said.contains("hint: add --name"), "{said}");
    assert!(!path.exists());
}
