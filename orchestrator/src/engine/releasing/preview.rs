//! What a release would meet today, in every environment of its lifecycle at
//! once. Agents are asked; nothing is stored, nothing changes.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use tonic::Code;

use super::{draft::Draft, version_of};
use crate::{
    domain::{
        project::{Lifecycle, Project},
        release::Release,
    },
    engine::{
        Caller, Engine, EngineError, FindingSeverity, NewRelease, PlanAction, ReleaseView, ServicePlan,
        ServiceQuestion, Unplanned, asking::PLANS_AT_ONCE,
    },
};

/// What a release would meet.
#[derive(Clone, Debug)]
pub struct ReleasePreview {
    /// Its version is empty where none was given.
    pub release: ReleaseView,
    /// In the order of the lifecycle.
    pub environments: Vec<EnvironmentPreview>,
}

#[derive(Clone, Debug)]
pub struct EnvironmentPreview {
    pub environment: String,
    pub phase: String,
    /// In the order of waves, targets and services.
    pub plans: Vec<ServicePlan>,
    pub unplanned: Vec<Unplanned>,
    /// Those that would fail, with the first reason of each.
    pub failures: Vec<Unplanned>,
}

impl ReleasePreview {
    /// Some operation would fail today.
    pub fn would_fail(&self) -> bool {
        self.environments.iter().any(|it| !it.failures.is_empty())
    }

    /// What some operation would do is not known.
    pub fn is_unknown(&self) -> bool {
        self.environments.iter().any(|it| !it.unplanned.is_empty())
    }
}

/// What the agents were asked, with its place in the answer.
struct Question {
    stop: usize,
    of: ServiceQuestion,
}

impl Engine {
    /// Plans a release that is not there yet in every environment that it would go to.
    pub async fn preview_release(
        &self,
        caller: &Caller,
        new: NewRelease,
    ) -> Result<ReleasePreview, EngineError> {
        let version = version_of(&new)?;
        let Draft {
            project,
            channel,
            images,
        } = self.draft(&new).await?;
        let definition = Arc::new(project.parsed);
        let release = Release {
            project: definition.name.clone(),
            version: version
                .clone()
                .map_or_else(|| super::placeholder(&definition), Ok)?,
            channel,
            images,
            project_version: project.version,
            notes: new.notes,
            build_url: new.build_url,
            commit: new.commit,
            created: self.now(),
            created_by: caller.operator.to_string(),
        };
        let lifecycle = definition
            .channels
            .get(&release.channel)
            .and_then(|channel| definition.lifecycles.get(&channel.lifecycle));
        let mut stops = lifecycle.map(stops).unwrap_or_default();
        let questions = questions(&definition, &release, &stops);
        let release = Arc::new(release);
        let asked = questions.into_iter().map(|question| {
            let (engine, definition, release) = (self.clone(), definition.clone(), release.clone());
            async move {
                let answer = engine.plan_of(&definition, &release, &question.of).await;
                (question, answer)
            }
        });
        let answers: Vec<_> = stream::iter(asked).buffered(PLANS_AT_ONCE).collect().await;
        for (question, answer) in answers {
            if let Some(stop) = stops.get_mut(question.stop) {
                stop.take(question.of, answer);
            }
        }
        let mut shown = ReleaseView::of(&release);
        if version.is_none() {
            shown.version.clear();
        }
        Ok(ReleasePreview {
            release: shown,
            environments: stops,
        })
    }
}

fn stops(lifecycle: &Lifecycle) -> Vec<EnvironmentPreview> {
    let all = lifecycle.phases.iter().flat_map(|phase| {
        phase.environments.iter().map(|environment| EnvironmentPreview {
            environment: environment.to_string(),
            phase: phase.name.to_string(),
            plans: Vec::new(),
            unplanned: Vec::new(),
            failures: Vec::new(),
        })
    });
    all.collect()
}

fn questions(project: &Project, release: &Release, stops: &[EnvironmentPreview]) -> Vec<Question> {
    let of_stop = |(index, stop): (usize, &EnvironmentPreview)| {
        let environment = project.environments.get_key_value(stop.environment.as_str());
        let services = environment.into_iter().flat_map(move |(name, environment)| {
            environment.targets.iter().flat_map(move |target| {
                let here = project
                    .services
                    .iter()
                    .filter(|(_, service)| service.goes_to(name, target));
                here.map(move |(service, _)| (service, target))
            })
        });
        let question =
            |(service, target): (&crate::domain::name::ServiceName, &crate::domain::project::Target)| {
                Question {
                    stop: index,
                    of: ServiceQuestion {
                        project: release.project.to_string(),
                        service: service.to_string(),
                        environment: stop.environment.clone(),
                        target: target.id().to_string(),
                        ..ServiceQuestion::default()
                    },
                }
            };
        services.map(question).collect::<Vec<_>>()
    };
    stops.iter().enumerate().flat_map(of_stop).collect()
}

impl EnvironmentPreview {
    fn take(&mut self, of: ServiceQuestion, answer: Result<ServicePlan, EngineError>) {
        match answer {
            Ok(plan) => {
                self.failures.extend(failure(&plan));
                self.plans.push(plan);
            }
            // What the agent refuses would be refused then as well.
            Err(error) if is_refusal(&error) => self.failures.push(unplanned(of, &error)),
            Err(error) => self.unplanned.push(unplanned(of, &error)),
        }
    }
}

fn is_refusal(error: &EngineError) -> bool {
    match error {
        EngineError::Invalid { .. } | EngineError::NotFound { .. } => true,
        EngineError::Agent { status, .. } => matches!(
            status.code(),
            Code::InvalidArgument | Code::FailedPrecondition | Code::PermissionDenied | Code::NotFound
        ),
        _ => false,
    }
}

fn unplanned(of: ServiceQuestion, error: &EngineError) -> Unplanned {
    Unplanned {
        service: of.service,
        target: of.target,
        reason: error.to_string(),
        hint: error.hint().unwrap_or_default().to_owned(),
    }
}

/// Why an operation would fail.
fn failure(plan: &ServicePlan) -> Option<Unplanned> {
    let planned = &plan.planned;
    let error = planned
        .findings
        .iter()
        .find(|it| it.severity == FindingSeverity::Error);
    let (reason, hint) = match (error, planned.action) {
        (Some(finding), _) => (finding.message.clone(), finding.hint.clone()),
        (None, PlanAction::Refused) => (planned.summary.clone(), String::new()),
        (None, _) => return None,
    };
    Some(Unplanned {
        service: plan.of.service.clone(),
        target: plan.of.target.clone(),
        reason,
        hint,
    })
}
