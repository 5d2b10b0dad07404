//! A simulated account, and what its control API says.

use std::{path::Path, time::Duration};

use aws_sim::{Handle, Simulator, world::seed::Seed};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline_agent_aws::{AccessKey, Aws, AwsSettings};
use towline_agent_domain::observed::{ClusterRef, ServiceDeployment, TargetHealth};
use towline_agent_domain::outside::{Ecs as _, LoadBalancing as _, Tasks as _};
use towline_agent_domain::rollout::follow::{
    Evidence, JudgeOptions, OurDeployment, RolloutJudgement, RolloutView, judge, shows_ours,
};
use towline_agent_domain::rollout::stuck::Stillness;
use towline_agent_domain::rollout::targets::Targets;
use towline_link::seams::{Network, Seams};

pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "eu-west-1";
/// Simulated seconds in one of the machine's.
const SPEED: f64 = 100.0;

/// Running targets of ours, and the health in each group.
type Targeted = (Vec<String>, Vec<(String, Vec<TargetHealth>)>);

pub struct Sim {
    handle: Handle,
    pub aws: Aws,
}

pub fn main_cluster() -> ClusterRef {
    ClusterRef {
        region: REGION.to_owned(),
        cluster: "main".to_owned(),
    }
}

impl Sim {
    /// The demo's world, and the agent's way into its dev account.
    pub async fn start() -> Self {
        let seed = include_str!("../../../../tests/aws-sim/seeds/shop.toml");
        Self::of(seed, SPEED, Duration::from_millis(50)).await
    }

    /// The world of a seed's text, at so many times the machine's speed.
    pub async fn of(seed: &str, speed: f64, poll_interval: Duration) -> Self {
        let seed = Seed::read(seed).unwrap();
        let handle = Simulator::start(seed, "127.0.0.1:0".parse().unwrap(), speed)
            .await
            .unwrap();
        let recorded = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/wire"));
        handle.record_wire(Some(recorded)).unwrap();
        let settings = AwsSettings {
            http: None,
            endpoint_url: Some(handle.url()),
            region: REGION.to_owned(),
            poll_interval,
            attempt_timeout: Duration::from_secs(5),
            access_key: Some(AccessKey {
                id: ACCOUNT.to_owned(),
                secret: "none".to_owned(),
            }),
        };
        let aws = Aws::connect(settings, &Seams::system()).await.unwrap();
        Self { handle, aws }
    }

    /// From here on nothing is written down for the check against AWS's models: what
    /// nobody has invented yet is in none of them.
    pub fn leave_the_models(&self) {
        self.handle.record_wire(None).unwrap();
    }

    /// The way into an account that nobody answers for any more.
    pub async fn stop(self) -> Aws {
        self.handle.stop().await;
        self.aws
    }

    /// A call of the control API.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let line = format!("{method} /_sim/{path} HTTP/1.1");
        self.exchange(&line, body).await
    }

    /// A call of AWS's JSON protocol by somebody else than the agent.
    pub async fn raw(&self, target: &str, body: &Value) -> Value {
        let scope = format!("Credential={ACCOUNT}/20260101/{REGION}/ecs/aws4_request");
        let line =
            format!("POST / HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 {scope}\r\nx-amz-target: {target}");
        self.exchange(&line, body).await
    }

    async fn exchange(&self, first_lines: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = Network::Tcp
            .connect(&self.handle.address().to_string())
            .await
            .unwrap();
        let head = format!("{first_lines}\r\nhost: sim\r\nconnection: close");
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Every arrival of this action.
    pub async fn arrivals(&self, action: &str) -> Vec<Value> {
        let effects = self.control("GET", "effects", &json!({})).await;
        let of_action = |effect: &&Value| effect["action"] == action;
        effects
            .as_array()
            .unwrap()
            .iter()
            .filter(of_action)
            .cloned()
            .collect()
    }

    /// Follows a service's rollout to its end, as the agent does.
    pub async fn follow(&self, service: &str, ours: &OurDeployment) -> RolloutJudgement {
        let at = main_cluster();
        let mut misses = 0;
        loop {
            let seen = self.aws.next_service(&at, service).await.unwrap();
            misses = if shows_ours(seen.as_ref(), ours) {
                0
            } else {
                misses + 1
            };
            let mut records: Option<Vec<ServiceDeployment>> = None;
            let mut targets: Option<Targeted> = None;
            let stopped = self.aws.stopped(&at, service).await.unwrap();
            loop {
                let view = RolloutView {
                    service: seen.as_ref(),
                    ours,
                    misses,
                    service_deployments: records.as_deref(),
                    stopped: &stopped,
                    logs: &[],
                    stillness: Stillness::NONE,
                    calm: true,
                    targets: match &targets {
                        Some((ours, groups)) => Targets::Read { ours, groups },
                        None => Targets::NotRead,
                    },
                };
                match judge(&view, JudgeOptions::default()) {
                    RolloutJudgement::InProgress(_) => break,
                    RolloutJudgement::Needs(Evidence::ServiceDeployments) => {
                        records = Some(self.aws.service_deployments(&at, service).await.unwrap());
                    }
                    RolloutJudgement::Needs(Evidence::Targets) => {
                        let ids = self
                            .aws
                            .running_target_ids(&at, service, &ours.task_definition)
                            .await
                            .unwrap();
                        let mut groups = Vec::new();
                        for link in &seen.as_ref().unwrap().load_balancers {
                            let health = self.aws.target_health(REGION, &link.target_group).await.unwrap();
                            groups.push((link.target_group.clone(), health));
                        }
                        targets = Some((ids, groups));
                    }
                    ended => return ended,
                }
            }
        }
    }
}
