//! Follows a release to where nothing more happens by itself, and says on the
//! way what happens. A connection that is lost is made again, and the watch
//! goes on from its cursor.

use std::time::Duration;

use jiff::tz::TimeZone;
use tonic::{Code, Status, Streaming};
use towline_proto::orchestrator::v1::{self as pb, DeploymentState};

use super::{
    connection::Api,
    events::{self, InMotion, Lines},
    exit::{Exit, Fault},
    output::{Console, Format},
};
use crate::api::json;

/// How long a lost connection is tried again before the watch gives up.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long nothing has to happen before it is said why.
const QUIET: Duration = Duration::from_secs(3);

/// What is followed, and what of it is told.
pub struct Following {
    pub project: String,
    pub version: String,
    /// Tell only what happens in this deployment and after it was made.
    pub from_deployment: Option<String>,
    /// Only events after this cursor.
    pub after: i64,
    /// Where events go.
    pub told: Told,
}

/// Where the events of a release go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// They are what was asked for.
    AsData,
    /// They are talk while one waits.
    AsTalk,
}

/// How a release stood when nothing more happened by itself.
pub struct Followed {
    pub exit: Exit,
    pub waiting_on: String,
}

impl Followed {
    /// Tells the person what it waits on.
    pub fn say(&self, console: &mut Console) -> Result<(), Fault> {
        if !self.waiting_on.is_empty() {
            console.talk(&format!("waits on {}", self.waiting_on))?;
        }
        Ok(())
    }
}

/// Follows until the release settles.
pub async fn follow(api: &mut Api, console: &mut Console, following: Following) -> Result<Followed, Fault> {
    let mut teller = Teller::new(&following);
    loop {
        let lost = match watch(api, &following, teller.cursor).await {
            Ok(mut stream) => match teller.tell(api, console, &mut stream).await? {
                Ended::Settled(settled) => return Ok(teller.followed(&settled)),
                Ended::Lost(why) => why,
            },
            Err(status) if is_lost(&status) => status.message().to_owned(),
            Err(status) => return Err(status.into()),
        };
        console.talk(&format!("{lost}; trying again"))?;
        reconnect(api, &following).await?;
        console.talk("connected again")?;
    }
}

async fn watch(
    api: &mut Api,
    following: &Following,
    after_cursor: i64,
) -> Result<Streaming<pb::WatchReleaseResponse>, Status> {
    let request = pb::WatchReleaseRequest {
        project: following.project.clone(),
        version: following.version.clone(),
        after_cursor,
    };
    Ok(api.releases.watch_release(request).await?.into_inner())
}

async fn reconnect(api: &mut Api, following: &Following) -> Result<(), Fault> {
    let clock = api.seams.clock;
    let start = clock.instant();
    let mut pause = Duration::from_millis(200);
    loop {
        clock.sleep(api.seams.random.up_to(pause)).await;
        match api.reconnect().await {
            Ok(()) => return Ok(()),
            Err(fault) if start.elapsed() > PATIENCE => {
                let version = &following.version;
                return Err(fault.hint(format!(
                    "what was started goes on; `towline watch {version}` shows it"
                )));
            }
            Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Whether the connection, and not the orchestrator, ended a call.
fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

enum Ended {
    Settled(pb::Settled),
    Lost(String),
}

/// What has been told so far.
struct Teller {
    project: String,
    version: String,
    cursor: i64,
    told: Told,
    /// Set until the deployment from which on we tell has shown up.
    skipping_to: Option<String>,
    subject: Subject,
    outcome: Outcome,
    in_motion: InMotion,
    /// Why nothing happened, as it was last said.
    waiting_on: String,
    lines: Lines,
}

impl Teller {
    fn new(following: &Following) -> Self {
        Self {
            project: following.project.clone(),
            version: following.version.clone(),
            cursor: following.after,
            told: following.told,
            skipping_to: following.from_deployment.clone(),
            subject: match following.from_deployment {
                Some(_) => Subject::Deployment,
                None => Subject::Release,
            },
            outcome: Outcome::default(),
            in_motion: InMotion::default(),
            waiting_on: String::new(),
            lines: Lines::in_zone(TimeZone::system()),
        }
    }

    async fn tell(
        &mut self,
        api: &mut Api,
        console: &mut Console,
        stream: &mut Streaming<pb::WatchReleaseResponse>,
    ) -> Result<Ended, Fault> {
        let clock = api.seams.clock;
        loop {
            let Some(next) = clock.timeout(QUIET, stream.message()).await else {
                self.quiet(api, console).await?;
                continue;
            };
            match next {
                Ok(Some(response)) => {
                    self.cursor = self.cursor.max(response.cursor);
                    if console.format == Format::Json && self.told == Told::AsData {
                        console.data(&json::of("WatchReleaseResponse", &response)?.to_string())?;
                    }
                    if let Some(event) = &response.event {
                        self.event(api, console, event).await?;
                    }
                    if let Some(settled) = response.settled {
                        for line in self.in_motion.rest() {
                            self.say(console, &line)?;
                        }
                        return Ok(Ended::Settled(settled));
                    }
                }
                Ok(None) => return Ok(Ended::Lost("the orchestrator ended the watch".to_owned())),
                Err(status) if is_lost(&status) => return Ok(Ended::Lost(status.message().to_owned())),
                Err(status) => return Err(status.into()),
            }
        }
    }

    async fn event(
        &mut self,
        api: &mut Api,
        console: &mut Console,
        event: &pb::DeploymentEvent,
    ) -> Result<(), Fault> {
        if self
            .skipping_to
            .as_ref()
            .is_some_and(|id| *id == event.deployment)
        {
            self.skipping_to = None;
        }
        if self.skipping_to.is_some() {
            return Ok(());
        }
        self.outcome.take(event);
        if console.format == Format::Json && self.told == Told::AsData {
            return Ok(());
        }
        self.waiting_on.clear();
        let line = self.lines.line(event);
        let lines = match console.redraws() {
            true => self.in_motion.take(event, line),
            false => vec![line],
        };
        for line in lines {
            self.say(console, &line)?;
        }
        if events::is_bad_end(event) {
            for line in why(api, event).await {
                self.say(console, &line)?;
            }
        }
        console.in_place(&self.in_motion.lines())?;
        Ok(())
    }

    /// Nothing has happened for a while: says why, once.
    async fn quiet(&mut self, api: &mut Api, console: &mut Console) -> Result<(), Fault> {
        let request = pb::GetReleaseRequest {
            project: self.project.clone(),
            version: self.version.clone(),
        };
        // The stream tells when the connection is lost.
        let Ok(release) = api.releases.get_release(request).await else {
            return Ok(());
        };
        let waiting_on = events::waiting_on(&release.into_inner());
        if waiting_on != self.waiting_on && !waiting_on.is_empty() {
            console.talk(&format!("waits on {waiting_on}"))?;
            console.in_place(&self.in_motion.lines())?;
        }
        self.waiting_on = waiting_on;
        Ok(())
    }

    fn say(&self, console: &mut Console, line: &str) -> Result<(), Fault> {
        match self.told {
            Told::AsData => console.data(line)?,
            Told::AsTalk => console.talk(line)?,
        }
        Ok(())
    }

    fn followed(&self, settled: &pb::Settled) -> Followed {
        Followed {
            exit: self.outcome.exit(settled, self.subject),
            waiting_on: settled.waiting_on.clone(),
        }
    }
}

/// The diagnosis of an operation. The event's own line is all that there is
/// when it cannot be had.
async fn why(api: &mut Api, event: &pb::DeploymentEvent) -> Vec<String> {
    let request = pb::GetDeploymentRequest {
        id: event.deployment.clone(),
    };
    let Ok(response) = api.deployments.get_deployment(request).await else {
        return Vec::new();
    };
    let deployment = response.into_inner().deployment.unwrap_or_default();
    events::operation_of(&deployment, event)
        .map(events::why)
        .unwrap_or_default()
}

/// Whose verdict the exit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Release,
    Deployment,
}

/// The verdict over what was told: the newest state of each environment.
#[derive(Debug, Default)]
struct Outcome {
    states: std::collections::BTreeMap<String, DeploymentState>,
}

impl Outcome {
    fn take(&mut self, event: &pb::DeploymentEvent) {
        if event.state() != DeploymentState::Unspecified {
            self.states.insert(event.environment.clone(), event.state());
        }
    }

    /// The worst of what was told; without any state told, what the
    /// orchestrator says of the whole release. A release as a whole waits while
    /// it waits on a promotion; one deployment of it has then ended.
    fn exit(&self, settled: &pb::Settled, subject: Subject) -> Exit {
        let told = self
            .states
            .values()
            .map(|state| Exit::of_state(*state))
            .reduce(Exit::worse)
            .unwrap_or_else(|| match settled.outcome() {
                DeploymentState::Unspecified => Exit::Waits,
                outcome => Exit::of_state(outcome),
            });
        match subject {
            Subject::Release if !settled.waiting_on.is_empty() => told.worse(Exit::Waits),
            Subject::Release | Subject::Deployment => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(environment: &str, state: DeploymentState) -> pb::DeploymentEvent {
        pb::DeploymentEvent {
            environment: environment.to_owned(),
            state: state.into(),
            ..pb::DeploymentEvent::default()
        }
    }

    fn exit(events: &[(&str, DeploymentState)]) -> Exit {
        let mut outcome = Outcome::default();
        for (environment, state) in events {
            outcome.take(&event(environment, *state));
        }
        outcome.exit(&pb::Settled::default(), Subject::Release)
    }

    #[test]
    fn a_release_waits_for_its_promotion_and_its_deployment_has_succeeded() {
        let mut outcome = Outcome::default();
        outcome.take(&event("dev", DeploymentState::Succeeded));
        let settled = pb::Settled {
            waiting_on: "promotion to prod".to_owned(),
            ..pb::Settled::default()
        };
        assert_eq!(outcome.exit(&settled, Subject::Release), Exit::Waits);
        assert_eq!(outcome.exit(&settled, Subject::Deployment), Exit::Done);
        outcome.take(&event("dev", DeploymentState::Failed));
        assert_eq!(outcome.exit(&settled, Subject::Release), Exit::Failed);
    }

    #[test]
    fn a_release_that_stops_at_an_approval_waits() {
        use DeploymentState::{AwaitingApproval, Running, Succeeded};
        let events = [("dev", Running), ("dev", Succeeded), ("prod", AwaitingApproval)];
        assert_eq!(exit(&events), Exit::Waits);
    }

    #[test]
    fn a_second_try_that_goes_well_replaces_the_first() {
        use DeploymentState::{Failed, Succeeded};
        assert_eq!(exit(&[("dev", Failed)]), Exit::Failed);
        assert_eq!(exit(&[("dev", Failed), ("dev", Succeeded)]), Exit::Done);
    }

    #[test]
    fn a_release_with_no_deployment_waits_for_its_promotion() {
        assert_eq!(exit(&[]), Exit::Waits);
    }
}
