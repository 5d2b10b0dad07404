//! On what terms a deployment is made: whether it is forced, and which plans
//! people have approved for its operations. Start at [`Terms::of`].

use std::collections::BTreeMap;

use crate::domain::{
    deployment::Origin,
    name::{EnvironmentName, PlanHash, ServiceName, TargetId},
    project::Project,
};

/// What a person says with a promotion, checked against the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Start new ECS deployments also where nothing changed.
    pub force: bool,
    /// Why the deployment is made.
    pub origin: Origin,
    /// In the words of the person.
    pub note: String,
    plans: BTreeMap<(ServiceName, TargetId), PlanHash>,
}

/// A plan that somebody has approved, in the words of that person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedPlan {
    pub service: String,
    /// Empty where the service has just one target in the environment.
    pub target: String,
    pub hash: String,
}

/// Why an approved plan is no plan of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermFault {
    #[error("{0}")]
    BadHash(#[from] crate::domain::name::BadName),
    #[error("there is no service {service:?} in environment {environment}")]
    NoService {
        service: String,
        environment: EnvironmentName,
        known: Vec<ServiceName>,
    },
    #[error("service {service} does not go to target {target:?} in environment {environment}")]
    NoTarget {
        service: ServiceName,
        target: String,
        environment: EnvironmentName,
        known: Vec<TargetId>,
    },
    #[error("service {service} has {} targets in environment {environment}, and the plan names none", known.len())]
    TargetNotNamed {
        service: ServiceName,
        environment: EnvironmentName,
        known: Vec<TargetId>,
    },
    #[error("service {service} on target {target} has two different plans")]
    Twice { service: ServiceName, target: TargetId },
}

impl TermFault {
    /// The next step for a person; may be empty.
    pub fn hint(&self) -> String {
        let list = |known: &[TargetId]| known.iter().map(TargetId::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::BadHash(_) => "`towline service plan` prints it in its last line".to_owned(),
            Self::NoService { known, .. } => {
                let known: Vec<&str> = known.iter().map(ServiceName::as_str).collect();
                format!("its services: {}", known.join(", "))
            }
            Self::NoTarget { known, .. } => format!("its targets: {}", list(known)),
            Self::TargetNotNamed { service, known, .. } => {
                format!("--plan {service}@TARGET=HASH, one of: {}", list(known))
            }
            Self::Twice { .. } => String::new(),
        }
    }
}

impl Terms {
    /// Those of a deployment that is no promotion.
    pub fn made(origin: Origin, force: bool, note: &str) -> Self {
        Self {
            force,
            origin,
            note: note.to_owned(),
            plans: BTreeMap::new(),
        }
    }

    /// The terms of a deployment of the project into the environment.
    ///
    /// # Errors
    /// All that is wrong with the plans, each with its place in the list.
    pub fn of(
        project: &Project,
        environment: &EnvironmentName,
        force: bool,
        approved: &[ApprovedPlan],
    ) -> Result<Self, Vec<(usize, TermFault)>> {
        let mut plans = BTreeMap::new();
        let mut faults = Vec::new();
        for (index, plan) in approved.iter().enumerate() {
            let found = place(project, environment, plan)
                .and_then(|place| Ok((place, plan.hash.parse::<PlanHash>()?)))
                .and_then(|(place, hash)| match plans.get(&place) {
                    Some(other) if *other != hash => Err(TermFault::Twice {
                        service: place.0,
                        target: place.1,
                    }),
                    _ => Ok((place, hash)),
                });
            match found {
                Ok((place, hash)) => drop(plans.insert(place, hash)),
                Err(fault) => faults.push((index, fault)),
            }
        }
        match faults.is_empty() {
            true => Ok(Self {
                force,
                plans,
                ..Self::default()
            }),
            false => Err(faults),
        }
    }

    /// The plan that was approved for one operation.
    pub fn plan_of(&self, service: &ServiceName, target: &TargetId) -> Option<&PlanHash> {
        self.plans.get(&(service.clone(), target.clone()))
    }
}

fn place(
    project: &Project,
    environment: &EnvironmentName,
    plan: &ApprovedPlan,
) -> Result<(ServiceName, TargetId), TermFault> {
    let found = project
        .services
        .iter()
        .find(|(name, _)| name.as_str() == plan.service);
    let Some((service, definition)) = found else {
        return Err(TermFault::NoService {
            service: plan.service.clone(),
            environment: environment.clone(),
            known: project.services.keys().cloned().collect(),
        });
    };
    let targets = project.environments.get(environment).map(|it| &it.targets);
    let known: Vec<TargetId> = targets
        .into_iter()
        .flatten()
        .filter(|target| definition.goes_to(environment, target))
        .map(|target| target.id())
        .collect();
    let (service, environment) = (service.clone(), environment.clone());
    if plan.target.is_empty() {
        return match <[TargetId; 1]>::try_from(known) {
            Ok([only]) => Ok((service, only)),
            Err(known) => Err(TermFault::TargetNotNamed {
                service,
                environment,
                known,
            }),
        };
    }
    match known.iter().find(|target| target.as_str() == plan.target) {
        Some(target) => Ok((service, target.clone())),
        None => Err(TermFault::NoTarget {
            service,
            target: plan.target.clone(),
            environment,
            known,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project;

    const SHOP: &str = include_str!("../../../../examples/shop/towline.yaml");

    fn terms(environment: &str, plans: &[(&str, &str, &str)]) -> Result<Terms, Vec<String>> {
        let project = project::parse(SHOP, "f").unwrap();
        let plans: Vec<_> = plans
            .iter()
            .map(|(service, target, hash)| ApprovedPlan {
                service: (*service).to_owned(),
                target: (*target).to_owned(),
                hash: (*hash).to_owned(),
            })
            .collect();
        Terms::of(&project, &environment.parse().unwrap(), false, &plans).map_err(|faults| {
            faults
                .iter()
                .map(|(at, fault)| format!("{at}: {fault}"))
                .collect()
        })
    }

    #[test]
    fn a_plan_is_of_one_operation() {
        let terms = terms("dev", &[("web", "", "aa11"), ("web", "", "aa11")]).unwrap();
        let of = |service: &str| {
            let target = "111111111111/eu-west-1/main".parse().unwrap();
            terms
                .plan_of(&service.parse().unwrap(), &target)
                .map(PlanHash::to_string)
        };
        assert_eq!((of("web"), of("orders")), (Some("aa11".to_owned()), None));
    }

    #[test]
    fn a_plan_that_is_of_no_operation_is_told_with_all_others() {
        let faults = terms(
            "prod",
            &[
                ("web", "", "aa11"),
                ("wep", "", "aa11"),
                ("web", "111111111111/eu-west-1/main", "aa11"),
                ("web", "333333333333/eu-west-1/main", ""),
                ("orders", "333333333333/eu-west-1/main", "aa11"),
                ("orders", "333333333333/eu-west-1/main", "bb22"),
            ],
        )
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "0: service web has 2 targets in environment prod, and the plan names none",
                "1: there is no service \"wep\" in environment prod",
                "2: service web does not go to target \"111111111111/eu-west-1/main\" in environment prod",
                "3: \"\" is not a plan's hash: 1 to 128 letters, digits, colons and hyphens",
                "5: service orders on target 333333333333/eu-west-1/main has two different plans",
            ]
        );
    }
}
