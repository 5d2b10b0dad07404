//! A listening agent, driven directly with an operator's certificate: no
//! orchestrator in between, so that what is seen is the agent's own.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use towline_link::{
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, Protocol, dial},
    identity::Identity,
    seams::Seams,
};
use towline_proto::agent::v1::{
    CancelMode, CancelOperationRequest, DeployFargateServiceRequest, DescribeServiceRequest,
    DescribeServiceResponse, Finished, OperationEvent, UpdateServiceRequest,
    agent_service_client::AgentServiceClient, operation_event::Event,
};

use crate::world::World;

/// What lets the first admin deploy at an agent: lines for its `agent.toml`.
pub const MAY_DEPLOY: &str = "\n[[operators]]\nname = \"admin\"\nallow = [\"read\", \"deploy\"]\n";

/// Longer than any operation of the tests.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to one agent.
#[derive(Debug)]
pub struct Direct {
    runtime: Runtime,
    client: AgentServiceClient<LinkChannel>,
}

/// How an operation went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub events: Vec<OperationEvent>,
    pub finished: Finished,
    /// When the verdict arrived.
    pub at: Instant,
}

impl Outcome {
    /// The verdict and its reason, as a person reads them.
    pub fn words(&self) -> String {
        let finished = &self.finished;
        let verdict = finished.verdict().as_str_name();
        let steps: Vec<&str> = self.events.iter().filter_map(detail).collect();
        format!(
            "{verdict} {}: {} {}\n    {}",
            finished.reason,
            finished.summary,
            finished.hint,
            steps.join("\n    ")
        )
    }
}

/// What a step or a finding says.
fn detail(event: &OperationEvent) -> Option<&str> {
    match event.event.as_ref()? {
        Event::StepChanged(changed) => Some(&changed.detail),
        Event::Finding(finding) => Some(&finding.message),
        _ => None,
    }
}

impl Direct {
    /// Dials the agent with the first admin's certificate.
    pub fn dial(world: &World, agent: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let seams = Seams::system();
        let credentials =
            Credentials::load(&world.credentials("admin"), seams.clock.now()).expect("credentials");
        let destination = Destination {
            address: world.agent(agent).listen.clone().expect("an agent that listens"),
            protocol: Protocol::Api,
            expected: Identity::Agent(agent.parse().expect("a name")),
            proxy: None,
        };
        let channel = runtime.block_on(async {
            let stream = dial(&seams, &credentials, &destination)
                .await
                .expect("the agent answers");
            LinkChannel::unwatched(stream, &TaskTracker::new())
                .await
                .expect("HTTP/2")
        });
        Self {
            client: AgentServiceClient::new(channel),
            runtime,
        }
    }

    /// Calls something else of the agent.
    pub fn call<T>(&self, call: impl AsyncFnOnce(AgentServiceClient<LinkChannel>) -> T) -> T {
        self.runtime.block_on(call(self.client.clone()))
    }

    /// Deploys, and follows to the end.
    ///
    /// # Errors
    /// The words of the agent's refusal, or of a stream that ended without a verdict.
    pub fn deploy(&self, request: DeployFargateServiceRequest) -> Result<Outcome, String> {
        self.deploy_and(request, |_| false)
    }

    /// The same, and cancels when `is_time` says so of an event.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub fn deploy_and(
        &self,
        request: DeployFargateServiceRequest,
        is_time: impl Fn(&OperationEvent) -> bool,
    ) -> Result<Outcome, String> {
        self.followed(async |client| {
            let answer = client.deploy_fargate_service(request).await;
            let stream = answer.map_err(|status| refused(&status))?.into_inner();
            follow(client, stream, |message| message.event, is_time).await
        })
    }

    /// Updates an existing service, and follows to the end.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub fn update(&self, request: UpdateServiceRequest) -> Result<Outcome, String> {
        self.update_and(request, |_| false)
    }

    /// The same, and cancels when `is_time` says so of an event.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub fn update_and(
        &self,
        request: UpdateServiceRequest,
        is_time: impl Fn(&OperationEvent) -> bool,
    ) -> Result<Outcome, String> {
        self.followed(async |client| {
            let answer = client.update_service(request).await;
            let stream = answer.map_err(|status| refused(&status))?.into_inner();
            follow(client, stream, |message| message.event, is_time).await
        })
    }

    fn followed(
        &self,
        follow: impl AsyncFnOnce(&mut AgentServiceClient<LinkChannel>) -> Result<Outcome, String>,
    ) -> Result<Outcome, String> {
        let mut client = self.client.clone();
        self.runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, follow(&mut client)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no verdict within {PATIENCE:?}")),
            }
        })
    }
}

impl Direct {
    /// What runs.
    ///
    /// # Errors
    /// The words of the agent's refusal.
    pub fn describe(&self, request: DescribeServiceRequest) -> Result<DescribeServiceResponse, String> {
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.describe_service(request));
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(&status))
    }
}

fn refused(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

async fn follow<M>(
    client: &mut AgentServiceClient<LinkChannel>,
    mut stream: tonic::Streaming<M>,
    event_of: impl Fn(M) -> Option<OperationEvent>,
    is_time: impl Fn(&OperationEvent) -> bool,
) -> Result<Outcome, String> {
    let refused = |status: tonic::Status| refused(&status);
    let mut events: Vec<OperationEvent> = Vec::new();
    let mut is_cancelled = false;
    while let Some(message) = stream.message().await.map_err(refused)? {
        let Some(event) = event_of(message) else { continue };
        if !is_cancelled && is_time(&event) {
            is_cancelled = true;
            let request = CancelOperationRequest {
                operation_id: event.operation_id.clone(),
                mode: CancelMode::RollBack.into(),
                epoch: 0,
            };
            client.cancel_operation(request).await.map_err(refused)?;
        }
        events.push(event);
    }
    match events.last().and_then(|last| last.event.clone()) {
        Some(Event::Finished(finished)) => Ok(Outcome {
            events,
            finished,
            at: Instant::now(),
        }),
        other => Err(format!("the stream ended without a verdict: {other:?}")),
    }
}
