//! Questions about a service that its target's agent answers: the template, and what a deployment would do. Nothing is stored, nothing changes.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream};
use tonic::Status;
use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::agent_service_client::AgentServiceClient;

use super::{
    Engine, EngineError, Fault, Planned, Promotion, PromotionPlan, ServicePlan, ServiceQuestion,
    ServiceTemplate, Unplanned, commands,
    question::{Pins, channel_of, images_of, payload, place, service},
    reading::readings,
    wire,
};
use crate::domain::{
    name::AgentName,
    operation::Payload,
    plan::absence_of,
    project::{Project, Target},
    release::{Release, origin_at},
    variable::Readings,
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
        let (project, release) = self.snapshot(question).await?;
        let pins = self.pins(&project, release.as_ref(), question).await?;
        let asking = self.filled(&project, release.as_ref(), question, &pins).await?;
        self.plan_asking(question, asking).await
    }

    /// What a deployment of a release that is stored nowhere would do.
    pub(super) async fn plan_of(
        &self,
        project: &Project,
        release: &Release,
        question: &ServiceQuestion,
    ) -> Result<ServicePlan, EngineError> {
        let asking = self
            .filled(project, Some(release), question, &Pins::new())
            .await?;
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
        self.filled(&project, release.as_ref(), question, &Pins::new())
            .await
    }

    /// The question's payload, with the values that stand in the account as they
    /// are now.
    async fn filled(
        &self,
        project: &Project,
        release: Option<&Release>,
        question: &ServiceQuestion,
        pins: &Pins,
    ) -> Result<Asking, EngineError> {
        let asked = (question, pins);
        let (target, mut filled, reads) = payload(project, release, asked, &Readings::new())?;
        let mut client = self.client(&target.agent)?;
        if !reads.is_empty() {
            let place = (&target.account, &target.region);
            let values = self.read_values(&mut client, place, &reads).await;
            let values = values.map_err(|why| why.into_error(&target.agent))?;
            (_, filled, _) = payload(project, release, asked, &readings(&values))?;
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

    /// What the tags that no release has pinned hold now, in the target's own
    /// repository: as a deployment would have them. One that is not known stays a
    /// tag, and the agent says what is with it.
    async fn pins(
        &self,
        project: &Project,
        release: Option<&Release>,
        question: &ServiceQuestion,
    ) -> Result<Pins, EngineError> {
        let nothing = Pins::new();
        let asked = (question, &nothing);
        // Everything that is wrong with the question is told before anybody is asked.
        payload(project, release, asked, &Readings::new())?;
        let (Ok(service), Ok((name, environment, target))) =
            (service(project, &question.service), place(project, question))
        else {
            return Ok(nothing);
        };
        let images = images_of(project, service.1, release, asked).unwrap_or_default();
        let open = images.into_iter().filter(|(_, image)| image.digest.is_none());
        let looked = open.map(|(key, image)| async move {
            let spot = ((name, environment), target, channel_of(project, release));
            let origin = origin_at(project, service, &key, spot)?;
            let pin = self.resolve(&origin, &image.tag).await.ok()?;
            Some((key, pin))
        });
        let pins = join_all(looked).await;
        Ok(pins.into_iter().flatten().collect())
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
