//! Between the domain's words and those of `towline.agent.v1`.

use jiff::Timestamp;
use prost_types::Timestamp as WireTimestamp;
use towline_link::status::Details;
use towline_proto::agent::v1::{self as agent, operation_event::Event as AgentEvent};

use crate::domain::{
    deployment::{CancelMode, ExpectedState, Outcome, Verdict},
    operation::{FargateContainer, FargatePayload, NewImage, Payload, PlannedOperation},
    project::{Architecture, Condition, Protocol},
};

/// One request that starts or repeats an operation.
pub enum OperationRequest {
    Fargate(Box<agent::DeployFargateServiceRequest>),
    Update(Box<agent::UpdateServiceRequest>),
}

/// What an agent is asked for an operation.
pub fn request(
    planned: &PlannedOperation,
    expected: Option<&ExpectedState>,
    context: agent::OperationContext,
) -> OperationRequest {
    let region = planned.region.to_string();
    let cluster = planned.cluster.to_string();
    let account = planned.account.to_string();
    let expected = expected.map(to_expected);
    match &planned.payload {
        Payload::Fargate(payload) => {
            OperationRequest::Fargate(Box::new(agent::DeployFargateServiceRequest {
                region,
                cluster,
                account,
                service: Some(fargate_spec(payload)),
                context: Some(context),
                expected,
                ..agent::DeployFargateServiceRequest::default()
            }))
        }
        Payload::Update(payload) => OperationRequest::Update(Box::new(agent::UpdateServiceRequest {
            region,
            cluster,
            account,
            service: payload.service.to_string(),
            containers: payload
                .containers
                .iter()
                .map(|update| {
                    let (image, tag) = match &update.image {
                        NewImage::Whole(image) => (image.clone(), String::new()),
                        NewImage::Tag(tag) => (String::new(), tag.clone()),
                    };
                    agent::ContainerImage {
                        name: update.container.to_string(),
                        image,
                        tag,
                    }
                })
                .collect(),
            family: String::new(),
            context: Some(context),
            expected,
        })),
    }
}

/// The question whose answer an operation starts from.
pub fn describe(planned: &PlannedOperation) -> agent::DescribeServiceRequest {
    let stack = match &planned.payload {
        Payload::Fargate(payload) if payload.stack_name.is_empty() => "default".to_owned(),
        Payload::Fargate(payload) => payload.stack_name.clone(),
        Payload::Update(_) => String::new(),
    };
    agent::DescribeServiceRequest {
        region: planned.region.to_string(),
        cluster: planned.cluster.to_string(),
        account: planned.account.to_string(),
        service: planned.payload.ecs_service().to_string(),
        stack,
    }
}

fn fargate_spec(payload: &FargatePayload) -> agent::FargateServiceSpec {
    agent::FargateServiceSpec {
        name: payload.name.to_string(),
        stack_name: payload.stack_name.clone(),
        cpu: payload.cpu,
        memory: payload.memory,
        architecture: match payload.architecture {
            Architecture::X86_64 => agent::CpuArchitecture::X8664,
            Architecture::Arm64 => agent::CpuArchitecture::Arm64,
        }
        .into(),
        containers: payload.containers.iter().map(container).collect(),
        network: Some(agent::NetworkSpec {
            subnets: payload.subnets.clone(),
            security_groups: payload.security_groups.clone(),
            assign_public_ip: payload.assign_public_ip,
        }),
        load_balancers: payload
            .load_balancers
            .iter()
            .map(|linked| agent::LoadBalancerSpec {
                container: linked.container.to_string(),
                port: linked.port.into(),
                target_group: linked.target_group.clone(),
                listener_rule: None,
            })
            .collect(),
        desired_count: payload.desired_count,
        task_role: payload.task_role.clone(),
        execution_role: payload.execution_role.clone(),
        rollout: Some(agent::RolloutSpec {
            minimum_healthy_percent: payload.rollout.minimum_healthy_percent,
            maximum_percent: payload.rollout.maximum_percent,
            ..agent::RolloutSpec::default()
        }),
        tags: payload.tags.clone().into_iter().collect(),
        ..agent::FargateServiceSpec::default()
    }
}

fn container(container: &FargateContainer) -> agent::ContainerSpec {
    agent::ContainerSpec {
        name: container.name.to_string(),
        image: container.image.clone(),
        cpu: container.cpu.unwrap_or_default(),
        memory: container.memory.unwrap_or_default(),
        memory_reservation: container.memory_reservation.unwrap_or_default(),
        ports: container
            .ports
            .iter()
            .map(|port| agent::PortSpec {
                container_port: port.port.into(),
                protocol: match port.protocol {
                    Protocol::Tcp => agent::PortProtocol::Tcp,
                    Protocol::Udp => agent::PortProtocol::Udp,
                }
                .into(),
                ..agent::PortSpec::default()
            })
            .collect(),
        environment: container.environment.clone().into_iter().collect(),
        secrets: container.secrets.clone().into_iter().collect(),
        depends_on: container
            .depends_on
            .iter()
            .map(|(name, condition)| agent::DependencySpec {
                container: name.to_string(),
                condition: match condition {
                    Condition::Start => agent::DependencyCondition::Start,
                    Condition::Complete => agent::DependencyCondition::Complete,
                    Condition::Success => agent::DependencyCondition::Success,
                    Condition::Healthy => agent::DependencyCondition::Healthy,
                }
                .into(),
            })
            .collect(),
        essential: Some(container.essential),
        entry_point: container.entry_point.clone(),
        command: container.command.clone(),
        ..agent::ContainerSpec::default()
    }
}

fn to_expected(expected: &ExpectedState) -> agent::ExpectedState {
    agent::ExpectedState {
        task_definition: expected.task_definition.clone(),
        deployment_id: expected.deployment_id.clone(),
        stack_id: expected.stack_id.clone(),
        absent: expected.absent,
    }
}

/// What an agent observed, as an operation's starting point.
pub fn of_expected(expected: agent::ExpectedState) -> ExpectedState {
    ExpectedState {
        task_definition: expected.task_definition,
        deployment_id: expected.deployment_id,
        stack_id: expected.stack_id,
        absent: expected.absent,
    }
}

pub fn cancel_mode(mode: CancelMode) -> agent::CancelMode {
    match mode {
        CancelMode::RollBack => agent::CancelMode::RollBack,
        CancelMode::Detach => agent::CancelMode::Detach,
    }
}

pub fn timestamp(at: Timestamp) -> WireTimestamp {
    WireTimestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// How an agent says that an operation ended.
pub fn outcome(finished: agent::Finished) -> Outcome {
    let verdict = match finished.verdict() {
        agent::Verdict::Succeeded => Verdict::Succeeded,
        agent::Verdict::Unchanged => Verdict::Unchanged,
        agent::Verdict::Failed => Verdict::Failed,
        agent::Verdict::Cancelled => Verdict::Cancelled,
        // A word that this program does not know is no success.
        agent::Verdict::Errored | agent::Verdict::Unspecified => Verdict::Errored,
    };
    Outcome {
        verdict,
        reason: finished.reason,
        summary: finished.summary,
        hint: finished.hint,
        diagnosis: finished.diagnosis.map(diagnosis).unwrap_or_default(),
        outputs: finished.outputs.into_iter().collect(),
    }
}

/// How an operation ends whose request the agent refused.
pub fn refusal(status: &tonic::Status) -> Outcome {
    let details = Details::of(status);
    let reason = details
        .reason
        .unwrap_or_else(|| status.code().to_string())
        .to_lowercase()
        .replace(' ', "_");
    let faults = details
        .violations
        .into_iter()
        .map(|(field, fault)| format!("{field}: {fault}"));
    Outcome {
        verdict: Verdict::Errored,
        reason,
        summary: format!("the agent refused: {}", status.message()),
        hint: details.hint.unwrap_or_default(),
        diagnosis: faults.collect(),
        outputs: Default::default(),
    }
}

/// Root cause first, one line each.
fn diagnosis(found: agent::Diagnosis) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |line: String| {
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    };
    say(found.root_cause);
    found.details.into_iter().for_each(&mut say);
    found.failed_resources.iter().map(resource).for_each(&mut say);
    found.stopped_tasks.iter().map(stopped_task).for_each(&mut say);
    found.log_lines.iter().map(log_line).for_each(&mut say);
    lines
}

/// One line for a person about an event; `None` for what other events tell.
pub fn progress(event: &AgentEvent) -> Option<String> {
    let line = match event {
        AgentEvent::Started(_) | AgentEvent::Finished(_) => return None,
        AgentEvent::StepChanged(step) => step_line(step),
        AgentEvent::Finding(finding) => match finding.hint.is_empty() {
            true => finding.message.clone(),
            false => format!("{} (hint: {})", finding.message, finding.hint),
        },
        AgentEvent::StackResource(changed) => resource(changed),
        AgentEvent::Rollout(rollout) => rollout_line(rollout),
        AgentEvent::ServiceEvent(event) => event.message.clone(),
        AgentEvent::TaskStopped(task) => stopped_task(task),
        AgentEvent::LogLine(line) => log_line(line),
    };
    Some(line)
}

fn step_line(step: &agent::StepChanged) -> String {
    let name = match step.step() {
        agent::Step::Unspecified => "step",
        agent::Step::Preflight => "pre-flight",
        agent::Step::ChangeSet => "change set",
        agent::Step::Stack => "stack",
        agent::Step::Revision => "revision",
        agent::Step::ServiceUpdate => "service update",
        agent::Step::Rollout => "rollout",
        agent::Step::Rollback => "rollback",
    };
    let state = match step.state() {
        agent::StepState::Unspecified => "changed",
        agent::StepState::Started => "started",
        agent::StepState::Done => "done",
        agent::StepState::Failed => "failed",
        agent::StepState::Skipped => "nothing to do",
    };
    match step.detail.is_empty() {
        true => format!("{name}: {state}"),
        false => format!("{name}: {state}: {}", step.detail),
    }
}

fn rollout_line(rollout: &agent::Rollout) -> String {
    let each: Vec<String> = rollout
        .deployments
        .iter()
        .map(|d| {
            let failed = match d.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!(
                "{} {}: {}/{} running, {} pending{failed}",
                d.status, d.task_definition, d.running, d.desired, d.pending
            )
        })
        .collect();
    each.join("; ")
}

fn resource(changed: &agent::StackResource) -> String {
    match changed.status_reason.is_empty() {
        true => format!("{} {}", changed.logical_id, changed.status),
        false => format!(
            "{} {}: {}",
            changed.logical_id, changed.status, changed.status_reason
        ),
    }
}

fn stopped_task(task: &agent::TaskStopped) -> String {
    let mut line = format!("task {} stopped: {}", task.task, task.stopped_reason);
    for container in &task.containers {
        let code = container
            .exit_code
            .map(|code| format!(" with exit code {code}"))
            .unwrap_or_default();
        let reason = match container.reason.is_empty() {
            true => String::new(),
            false => format!(": {}", container.reason),
        };
        if !code.is_empty() || !reason.is_empty() {
            line.push_str(&format!("; container {} ended{code}{reason}", container.name));
        }
    }
    line
}

fn log_line(line: &agent::LogLine) -> String {
    format!("{} | {}", line.container, line.message)
}
