//! The plan of an update, for `PlanServiceUpdate`; and, before the first write of
//! `UpdateService`, the comparison with the plan that was approved and the
//! pre-flight.

use towline_agent_domain::{
    observed::{ObservedService, TaskDefinitionArn},
    outside::Account,
    update::{
        plan::{Subject, UpdatePlan, plan},
        preflight::{Facts, Purpose, UpdateView},
        start::StartDecision,
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Diagnosis, Step, StepState};

use super::{Ending, Handle, Surroundings, Update, UpdateOrder, decide::Watched, observe::Observation};
use crate::operation::fargate::preflight::soon;

/// What an update would do. Writes nothing.
pub(crate) async fn plan_update<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &UpdateOrder,
) -> Result<UpdatePlan, Ending> {
    let mut driver = Update::new(surroundings, handle, order);
    let mut observation = driver.observe().await?;
    // A plan has nobody's earlier send to wait for: what is seen is what it rests on.
    let decision = driver.decide_on(&mut observation, Watched::LONG).await?;
    let plan = driver.plan(&observation, &decision);
    let (Some(service), Some(next)) = (&observation.service, &observation.next) else {
        return Ok(plan);
    };
    let next = next.definition();
    let view = UpdateView {
        service,
        running: observation.running.as_ref(),
        next: &next,
        spec: &order.spec,
    };
    let (findings, facts) = driver.look_ahead(&view, Purpose::Plan).await;
    let ran = driver.digests_that_run(service).await;
    Ok(with_digests(plan, &facts, &ran).with_findings(findings))
}

impl<A: Account> Update<'_, A> {
    /// Asked between the decision and the first write; says nothing where none follows.
    /// A repeat that finds its own revision registered has the same plan as before.
    pub(super) async fn before_writing(
        &self,
        observation: &Observation,
        decision: &StartDecision,
    ) -> Result<(), Ending> {
        let writes = matches!(
            decision,
            StartDecision::Register | StartDecision::Update { .. } | StartDecision::Force { .. }
        );
        let (Some(service), Some(next), true) = (&observation.service, &observation.next, writes) else {
            return Ok(());
        };
        self.approve(&self.plan(observation, decision))?;
        let next = next.definition();
        let view = UpdateView {
            service,
            running: observation.running.as_ref(),
            next: &next,
            spec: &self.order.spec,
        };
        let (findings, _) = self.look_ahead(&view, Purpose::Write).await;
        self.heed(&findings)
    }

    fn plan(&self, observation: &Observation, decision: &StartDecision) -> UpdatePlan {
        plan(&Subject {
            service: &self.order.service,
            spec: &self.order.spec,
            decision,
            runs: observation.service.as_ref().map(runs),
            running: observation.running.as_ref(),
            base: observation.base.as_ref(),
            next: observation.next.as_ref(),
        })
    }

    /// Refuses what was not approved.
    fn approve(&self, plan: &UpdatePlan) -> Result<(), Ending> {
        match &self.order.spec.plan_hash {
            Some(approved) if *approved != plan.hash => {
                let summary = format!(
                    "what would be done is not the plan that was approved: {}",
                    plan.summary
                );
                self.handle
                    .step(Step::Preflight, StepState::Failed, summary.clone());
                Err(Ending::new(Reason::PlanChanged, summary)
                    .hint("nothing was written; plan again, and approve that")
                    .diagnosis(Diagnosis {
                        root_cause: plan.summary.clone(),
                        details: plan.lines(),
                        ..Diagnosis::default()
                    })
                    .output("plan_hash", plan.hash.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Container name and digest, as ECS resolved them for what runs. A plan does
    /// without where ECS does not say.
    async fn digests_that_run(&self, service: &ObservedService) -> Vec<(String, String)> {
        let aws = &self.surroundings.aws;
        let (order, runs) = (self.order, runs(service));
        let read = aws.resolved_digests(&order.at, &order.service, runs);
        soon(self.handle.clock(), read).await.unwrap_or_default()
    }
}

fn runs(service: &ObservedService) -> &TaskDefinitionArn {
    service
        .primary()
        .map_or(&service.task_definition, |primary| &primary.task_definition)
}

fn with_digests(mut plan: UpdatePlan, facts: &Facts, ran: &[(String, String)]) -> UpdatePlan {
    for image in &mut plan.images {
        image.before_digest = match digest_in(&image.before) {
            "" => ran
                .iter()
                .find(|(container, _)| *container == image.container)
                .map(|(_, digest)| digest.clone())
                .unwrap_or_default(),
            pinned => pinned.to_owned(),
        };
        image.after_digest = match (digest_in(&image.after), facts.images.get(&image.after)) {
            ("", Some(Ok(Some(found)))) => found.digest.clone(),
            (pinned, _) => pinned.to_owned(),
        };
    }
    plan
}

/// The digest that a reference names; empty without one.
fn digest_in(image: &str) -> &str {
    image.split_once('@').map_or("", |(_, digest)| digest)
}
