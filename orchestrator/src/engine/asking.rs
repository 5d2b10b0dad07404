//! Questions about a service that its target's agent answers: the template, and what a deployment would do. Nothing is stored, nothing changes.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use indexmap::IndexMap;
use tonic::Status;
use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::agent_service_client::AgentServiceClient;

use super::{
    Engine, EngineError, Fault, Planned, Promotion, PromotionPlan, ServicePlan, ServiceQuestion, ServiceTemplate,
    Unplanned, commands, reading::readings, wire,
};
use crate::domain::{
    name::{AgentName, ChannelName, EnvironmentName, ImageKey},
    operation::{self, Payload, Spot},
    plan::absence_of,
    project::{Environment, Project, Service, Target, nearest},
    release::{ChoiceFault, Release, ReleaseImage, choose_images_of},
    variable::{Readings, ValueSource},
};

/// How long an agent may take for a template: it asks AWS for the stack alone.
const TEMPLATE_PATIENCE: Duration = Duration::from_secs(60);
/// How long an agent may take for a plan: CloudFormation makes a change set
/// for a stack, and deletes it.
const PLAN_PATIENCE: Duration = Duration::from_secs(300);

/// How many plans of one promotion are made side by side.
pub(super) const PLANS_AT_ONCE: usize = 16;

/// A question with all that its answer needs.
struct Asking {
    client: AgentServiceClient<LinkChannel>,
    target: Target,
    payload: Payload,
}

impl Engine {
    /// The CloudFormation template of a fargate service on one target.
    pub async fn service_template(&self, question: &ServiceQuestion) -> Result<ServiceTemplate, EngineError> {
        let mut asking = self.asking(question).await?;
        let Payload::Fargate(payload) = &asking.payload else {
            return Err(no_template(&question.service));
        };
        let request = wire::template(&asking.target, payload);
        let asked = asking.client.get_fargate_template(request);
        let answer = self.0.seams.clock.timeout(TEMPLATE_PATIENCE, asked).await;
        answered(&asking.target, answer, TEMPLATE_PATIENCE).map(wire::service_template)
    }

    /// What a deployment of a service to one target would do.
    pub async fn plan_service(&self, question: &ServiceQuestion) -> Result<ServicePlan, EngineError> {
        let asking = self.asking(question).await?;
        self.plan_asking(question, asking).await
    }

    /// What a deployment of a release that is stored nowhere would do.
    pub(super) async fn plan_of(
        &self,
        project: &Project,
        release: &Release,
        question: &ServiceQuestion,
    ) -> Result<ServicePlan, EngineError> {
        let asking = self.filled(project, Some(release), question).await?;
        self.plan_asking(question, asking).await
    }

    async fn plan_asking(
        &self,
        question: &ServiceQuestion,
        asking: Asking,
    ) -> Result<ServicePlan, EngineError> {
        let Asking {
            client,
            target,
            payload,
        } = asking;
        let planned = self
            .plan_payload(client, &target, &payload, question.force)
            .await?;
        Ok(ServicePlan {
            of: ServiceQuestion {
                target: target.id().to_string(),
                ..question.clone()
            },
            planned,
        })
    }

    /// What an agent plans for a payload.
    pub(super) async fn plan_payload(
        &self,
        mut client: AgentServiceClient<LinkChannel>,
        target: &Target,
        payload: &Payload,
        force: bool,
    ) -> Result<Planned, EngineError> {
        let clock = self.0.seams.clock;
        let planned = match payload {
            Payload::Fargate(payload) => {
                let asked = client.plan_fargate_service(wire::plan_fargate(target, payload, force));
                let answer = clock.timeout(PLAN_PATIENCE, asked).await;
                wire::fargate_plan(answered(target, answer, PLAN_PATIENCE)?)
            }
            Payload::Update(payload) => {
                let asked = client.plan_service_update(wire::plan_update(target, payload, force));
                let answer = clock.timeout(PLAN_PATIENCE, asked).await;
                wire::update_plan(answered(target, answer, PLAN_PATIENCE)?)
            }
            // No question leads to a task: no agent plans one.
            Payload::Task(_) => None,
        };
        planned.ok_or_else(|| EngineError::Agent {
            status: Box::new(Status::unimplemented(
                "its plan has an action that is not known here",
            )),
            agent: target.agent.to_string(),
        })
    }

    /// What a promotion would do; its approved plans do not count.
    pub async fn plan_promotion(&self, promotion: &Promotion) -> Result<PromotionPlan, EngineError> {
        let mut view = self.0.store.read().await?;
        let (stored, stop) = self.next_stop(&mut view, promotion).await?;
        let project = self.project_of(&mut view, &stored.release).await?;
        drop(view);
        let environment = &stop.environment;
        let targets = project.environments.get(environment).map(|it| &it.targets);
        let operations = targets.into_iter().flatten().flat_map(|target| {
            let services = project.services.iter();
            let here = services.filter(|(_, service)| service.goes_to(environment, target));
            here.map(|(name, _)| ServiceQuestion {
                project: promotion.project.clone(),
                service: name.to_string(),
                environment: environment.to_string(),
                target: target.id().to_string(),
                release: promotion.version.clone(),
                force: promotion.force,
                ..ServiceQuestion::default()
            })
        });
        let questions: Vec<ServiceQuestion> = operations.collect();
        let asked = questions.into_iter().map(|question| {
            let engine = self.clone();
            async move {
                let answer = engine.plan_service(&question).await;
                (question, answer)
            }
        });
        let answers: Vec<_> = stream::iter(asked).buffered(PLANS_AT_ONCE).collect().await;
        let mut plan = PromotionPlan {
            environment: environment.to_string(),
            plans: Vec::new(),
            unplanned: Vec::new(),
        };
        for (question, answer) in answers {
            match answer {
                Ok(planned) => plan.plans.push(planned),
                Err(error) => plan.unplanned.push(Unplanned {
                    service: question.service,
                    target: question.target,
                    reason: error.to_string(),
                    hint: error.hint().unwrap_or_default().to_owned(),
                }),
            }
        }
        Ok(plan)
    }

    async fn asking(&self, question: &ServiceQuestion) -> Result<Asking, EngineError> {
        let (project, release) = self.snapshot(question).await?;
        self.filled(&project, release.as_ref(), question).await
    }

    /// The question's payload, with the values that stand in the account as they
    /// are now.
    async fn filled(
        &self,
        project: &Project,
        release: Option<&Release>,
        question: &ServiceQuestion,
    ) -> Result<Asking, EngineError> {
        let (target, mut filled, reads) = payload(project, release, question, &Readings::new())?;
        let mut client = self.client(&target.agent)?;
        if !reads.is_empty() {
            let place = (&target.account, &target.region);
            let values = self.read_values(&mut client, place, &reads).await;
            let values = values.map_err(|why| why.into_error(&target.agent))?;
            (_, filled, _) = payload(project, release, question, &readings(&values))?;
        }
        Ok(Asking {
            client,
            target,
            payload: filled,
        })
    }

    /// The definition that counts, and the release that was named.
    async fn snapshot(
        &self,
        question: &ServiceQuestion,
    ) -> Result<(Arc<Project>, Option<Release>), EngineError> {
        let name = question.project.as_str();
        if question.release.is_empty() {
            let newest = self.0.store.newest_version(name).await?;
            let newest = newest.ok_or_else(|| commands::no_project(name))?;
            return Ok((Arc::new(newest.parsed), None));
        }
        let mut view = self.0.store.read().await?;
        let stored = commands::find_release(&mut view, name, &question.release).await?;
        let project = self.project_of(&mut view, &stored.release).await?;
        Ok((project, Some(stored.release)))
    }

    /// A client of an agent that can be asked now.
    pub(super) fn client(&self, agent: &AgentName) -> Result<AgentServiceClient<LinkChannel>, EngineError> {
        let linked = agent.as_str().parse().ok();
        if let Some(client) = linked.and_then(|name| self.0.fleet.client(&name)) {
            return Ok(client);
        }
        let waits = absence_of(&self.0.fleet.connectivity(), agent);
        let hint = waits.as_ref().map(|on| on.hint()).unwrap_or_default();
        let on = waits.map_or_else(|| format!("agent {agent}"), |on| on.to_string());
        Err(EngineError::NotReady {
            // The sentence ends with the hint, which is told apart here.
            waiting_on: on.trim_end_matches(&format!(", hint: {hint}")).to_owned(),
            hint,
        })
    }
}

/// Where the question leads, with every hole filled; all that is wrong with it at once.
fn payload(
    project: &Project,
    release: Option<&Release>,
    question: &ServiceQuestion,
    read: &Readings,
) -> Result<(Target, Payload, Vec<ValueSource>), EngineError> {
    let mut faults = Vec::new();
    let service = service(project, &question.service)
        .map_err(|fault| faults.push(fault))
        .ok();
    let place = place(project, question).map_err(|fault| faults.push(fault)).ok();
    let images = service.and_then(|(name, service)| {
        images_of(project, service, release, question)
            .map_err(|wrong| faults.extend(commands::choice_faults(&wrong)))
            .ok()
            .map(|images| (name, service, images))
    });
    let (Some((name, service, images)), Some((environment, target)), []) = (images, place, faults.as_slice())
    else {
        return Err(EngineError::Invalid { faults });
    };
    let id = target.id();
    let environment_name: Option<EnvironmentName> = question.environment.parse().ok();
    let Some(environment_name) = environment_name.filter(|it| service.goes_to(it, target)) else {
        let fault = Fault::of("target", format!("service {name} is not on target {id}"));
        return Err(EngineError::Invalid {
            faults: vec![fault.hint("only_in of the service says where it is")],
        });
    };
    let spot = Spot {
        environment: &environment_name,
        definition: environment,
        target,
        channel: channel_of(project, release),
        read,
    };
    let (payload, reads) = operation::pending_payload(project, &images, (name, service), spot)
        .map_err(|why| EngineError::invalid("project", why.to_string()))?;
    Ok((target.clone(), payload, reads))
}

/// The channel whose variables count: of the release, or the only one there is.
fn channel_of<'a>(project: &'a Project, release: Option<&'a Release>) -> Option<&'a ChannelName> {
    let mut channels = project.channels.keys();
    match (release, channels.next(), channels.next()) {
        (Some(release), _, _) => Some(&release.channel),
        (None, Some(only), None) => Some(only),
        (None, _, _) => None,
    }
}

/// The images that count: those of the question before those of the release,
/// which come with their digests.
fn images_of(
    project: &Project,
    service: &Service,
    release: Option<&Release>,
    question: &ServiceQuestion,
) -> Result<IndexMap<ImageKey, ReleaseImage>, Vec<ChoiceFault>> {
    let of_release = release.into_iter().flat_map(|release| &release.images);
    let mut chosen: Vec<(String, String)> = of_release
        .map(|(key, image)| (key.to_string(), image.tag.to_string()))
        .collect();
    // Said twice, the last word counts.
    chosen.extend(question.images.iter().cloned());
    let mut images = choose_images_of(project, service, &chosen)?;
    for (key, image) in &mut images {
        let of_release = release.and_then(|release| release.images.get(key));
        if let Some(same) = of_release.filter(|it| it.tag == image.tag) {
            *image = same.clone();
        }
    }
    Ok(images)
}

fn no_template(service: &str) -> EngineError {
    let fault = Fault::of(
        "service",
        format!("service {service} is of kind existing: Towline has no stack for it"),
    );
    EngineError::Invalid {
        faults: vec![
            fault
                .hint("only a service of kind fargate has a template; `towline service plan` works for both"),
        ],
    }
}

type Named<'a> = (&'a crate::domain::name::ServiceName, &'a Service);

fn service<'a>(project: &'a Project, wanted: &str) -> Result<Named<'a>, Fault> {
    let found = project.services.iter().find(|(name, _)| name.as_str() == wanted);
    found.ok_or_else(|| {
        let known: Vec<&str> = project.services.keys().map(|name| name.as_str()).collect();
        missing("service", project, wanted, &known)
    })
}

fn place<'a>(
    project: &'a Project,
    question: &ServiceQuestion,
) -> Result<(&'a Environment, &'a Target), Fault> {
    let wanted = question.environment.as_str();
    let environment = project
        .environments
        .iter()
        .find(|(name, _)| name.as_str() == wanted)
        .map(|(_, environment)| environment)
        .ok_or_else(|| {
            let known: Vec<&str> = project.environments.keys().map(|name| name.as_str()).collect();
            missing("environment", project, wanted, &known)
        })?;
    let wanted = question.target.as_str();
    let mut targets = environment.targets.iter();
    let target = match wanted {
        "" => targets.next(),
        wanted => targets.find(|target| target.id().as_str() == wanted),
    };
    target.map(|target| (environment, target)).ok_or_else(|| {
        let known: Vec<String> = environment.targets.iter().map(|it| it.id().to_string()).collect();
        Fault::of(
            "target",
            format!("environment {} has no target {wanted:?}", question.environment),
        )
        .hint(format!("its targets: {}", known.join(", ")))
    })
}

fn missing(what: &str, project: &Project, wanted: &str, known: &[&str]) -> Fault {
    let fault = Fault::of(what, format!("project {} has no {what} {wanted:?}", project.name));
    match nearest(wanted, known) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault.hint(format!("known here: {}", known.join(", "))),
    }
}

fn answered<T>(
    target: &Target,
    answer: Option<Result<tonic::Response<T>, Status>>,
    patience: Duration,
) -> Result<T, EngineError> {
    let agent = target.agent.to_string();
    match answer {
        Some(Ok(answer)) => Ok(answer.into_inner()),
        Some(Err(status)) => Err(EngineError::Agent {
            agent,
            status: Box::new(status),
        }),
        None => Err(EngineError::NotReady {
            waiting_on: format!(
                "agent {agent}, which did not answer within {} s",
                patience.as_secs()
            ),
            hint: "see its log: it may wait for AWS".to_owned(),
        }),
    }
}
