//! What somebody else, the machinery or a person does.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use towline_proto::agent::v1::{CancelMode, CancelOperationRequest};

use super::Play;
use crate::{
    row::{Act, Agent, Cancel},
    seeded,
    world::{ACCOUNT, CLUSTER, REGION, call_ecs},
};

/// Calls of the control interface that are not about one region.
const EVERYWHERE: [&str; 2] = ["faults", "images"];

impl Play {
    pub(super) async fn act(&mut self, act: &Act) {
        if let Some(action) = &act.ecs {
            self.somebody(action, &act.with).await;
        } else if let Some(path) = &act.sim {
            self.cause(path, &act.with).await;
        } else if let Some(tag) = &act.register {
            let definition = seeded::definition(&self.row, tag);
            self.somebody("RegisterTaskDefinition", &definition).await;
        } else if let Some(tag) = &act.hold_registration {
            self.hold_registration(tag).await;
        } else if act.release_registration {
            self.release_registration().await;
        } else if let Some(revision) = &act.deploy {
            let body = json!({"cluster": CLUSTER, "service": "orders", "taskDefinition": revision});
            self.somebody("UpdateService", &body).await;
        } else if act.force {
            self.world.force_deployment("orders").await;
        } else if act.stop {
            self.stop_newest().await;
        } else if let Some(minutes) = act.protect_min {
            self.protect(minutes).await;
        } else if let Some(seconds) = act.pass_s {
            self.pass(seconds).await;
        } else if let Some(mode) = act.cancel {
            self.cancel(mode).await;
        } else if let Some(agent) = act.agent {
            self.agent(agent).await;
        } else if let Some(words) = &act.told {
            self.until_told(words).await;
        } else {
            panic!("an act that does nothing: {act:?}");
        }
    }

    /// Somebody else calls ECS, and is not refused.
    async fn somebody(&self, action: &str, body: &Value) -> Value {
        let answer = self.world.ecs(action, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        let refused = answer.is_null() || answer.get("__type").is_some();
        assert!(!refused, "{action} by somebody else was refused: {answer}");
        answer
    }

    async fn cause(&self, path: &str, with: &Value) {
        let mut body = with.clone();
        if !EVERYWHERE.contains(&path) {
            seeded::patch(&mut body, &json!({"account": ACCOUNT, "region": REGION}));
        }
        let answer = self.world.sim_post(path, body).await;
        let refused = answer.is_null() || answer.get("error").is_some();
        assert!(!refused, "the simulator refused {path} {with}: {answer}");
    }

    /// Somebody's registration arrives and takes its time.
    async fn hold_registration(&mut self, tag: &str) {
        let spec = json!({"account": ACCOUNT, "region": REGION, "action": "RegisterTaskDefinition", "when": "before"});
        let held = self.world.sim_post("breakpoints", spec).await;
        let (address, definition) = (self.world.sim.address(), seeded::definition(&self.row, tag));
        let mut registering = JoinSet::new();
        registering.spawn(async move { call_ecs(address, "RegisterTaskDefinition", &definition).await });
        self.world.wait_hit(&held).await;
        self.registration = Some((registering, held));
    }

    async fn release_registration(&mut self) {
        let (mut registering, held) = self.registration.take().expect("a registration is held");
        self.world.release(&held, "continue").await;
        let answer = registering
            .join_next()
            .await
            .expect("it was sent")
            .expect("answered");
        assert!(answer.contains("taskDefinitionArn"), "{answer}");
    }

    async fn stop_newest(&self) {
        let body = json!({"cluster": CLUSTER, "service": "orders"});
        let listed = self.somebody("ListServiceDeployments", &body).await;
        let newest = &listed["serviceDeployments"][0]["serviceDeploymentArn"];
        let body = json!({"serviceDeploymentArn": newest, "stopType": "ROLLBACK"});
        self.somebody("StopServiceDeployment", &body).await;
    }

    async fn protect(&self, minutes: u32) {
        let body = json!({"cluster": CLUSTER, "serviceName": "orders"});
        let listed = self.somebody("ListTasks", &body).await;
        let body = json!({
            "cluster": CLUSTER, "tasks": listed["taskArns"],
            "protectionEnabled": true, "expiresInMinutes": minutes,
        });
        self.somebody("UpdateTaskProtection", &body).await;
    }

    /// The simulated clock jumps in steps: what happens in between happens in its order.
    pub(super) async fn pass(&self, seconds: f64) {
        let milliseconds = (seconds * 1000.0) as u64;
        let body = json!({ "advance_ms": milliseconds });
        self.world.sim_post("clock", body).await;
    }

    async fn cancel(&mut self, mode: Cancel) {
        let mode = match mode {
            Cancel::RollBack => CancelMode::RollBack,
            Cancel::Detach => CancelMode::Detach,
        };
        let request = CancelOperationRequest {
            operation_id: self.id().to_owned(),
            mode: mode.into(),
            epoch: 0,
        };
        self.client()
            .cancel_operation(request)
            .await
            .expect("the cancel is taken");
        // Who asks for the operation again says so with it.
        self.request.context.as_mut().expect("a context").cancel = mode.into();
    }

    pub(super) async fn agent(&mut self, agent: Agent) {
        match agent {
            Agent::Killed => {
                self.world.kill_agent();
                self.client = None;
                self.readers.shutdown().await;
            }
            Agent::Started => {
                self.world.start_agent();
                self.client = Some(self.world.orchestrator().await);
                self.request.context.as_mut().expect("a context").repeated_send = true;
                self.send().await;
            }
        }
    }
}
