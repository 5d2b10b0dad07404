//! A project file from what runs: every agent's clusters are listed at once,
//! and `domain::import` joins what they hold. Nothing is stored.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Status;
use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::{self as agent, agent_service_client::AgentServiceClient};

use super::{AgentState, AgentView, Engine, EngineError, Fault, wire};
use crate::domain::{
    import::{self, FoundCluster, Glob, Imported, Unfit},
    name::{AccountId, AgentName, EnvironmentName, ProjectName},
    plan::absence_of,
    project::{Claim, nearest},
};

/// How long an agent may take to list one page: it asks AWS for each task definition.
const PATIENCE: Duration = Duration::from_secs(120);
/// Services of one page; a description has about one KiB, and a message at most 4 MiB.
const PAGE: i32 = 500;

/// Which services, and how the project is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportQuestion {
    /// The project's name; "imported" when empty.
    pub project: String,
    /// Only these agents; empty for all.
    pub agents: Vec<String>,
    /// Patterns of clusters' names; empty for all.
    pub clusters: Vec<String>,
    /// Patterns of the services' names in ECS; empty for all.
    pub services: Vec<String>,
    /// The environment of an agent's clusters, in the order of the lifecycle.
    pub environments: Vec<(String, String)>,
}

/// A project file from what runs, and whom it is not from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub imported: Imported,
    /// Agents that were not asked, or did not answer, and why.
    pub unreached: Vec<(String, String)>,
}

/// A question that was checked.
struct Wanted {
    project: ProjectName,
    agents: Vec<(AgentView, EnvironmentName)>,
    clusters: Vec<Glob>,
    services: Vec<Glob>,
    order: Vec<EnvironmentName>,
}

type Client = AgentServiceClient<LinkChannel>;

impl Engine {
    /// The services of the agents' clusters as a project file.
    pub async fn import_project(&self, question: &ImportQuestion) -> Result<Import, EngineError> {
        let wanted = wanted(question, self.0.fleet.views())?;
        let asked = wanted.agents.iter().map(|(agent, environment)| {
            let wanted = &wanted;
            async move { (agent, self.clusters_of(agent, environment, wanted).await) }
        });
        let mut clusters = Vec::new();
        let mut unreached = Vec::new();
        for (agent, answer) in join_all(asked).await {
            match answer {
                Ok(found) => clusters.extend(found),
                Err(why) => unreached.push((agent.name.clone(), why)),
            }
        }
        self.mark_claimed(&wanted.project, &mut clusters).await?;
        if clusters.iter().all(|cluster| cluster.services.is_empty()) {
            return Err(nothing(&unreached));
        }
        let imported = import::import(&wanted.project, clusters, &wanted.order);
        match imported.services.is_empty() {
            true => Err(all_left_out(&imported)),
            false => Ok(Import { imported, unreached }),
        }
    }

    /// What one agent's clusters hold, or why that is not known.
    async fn clusters_of(
        &self,
        agent: &AgentView,
        environment: &EnvironmentName,
        wanted: &Wanted,
    ) -> Result<Vec<FoundCluster>, String> {
        if agent.state == AgentState::Invited {
            return Err("it was invited and has not joined yet".to_owned());
        }
        let name: AgentName = agent.name.parse().map_err(|_| "it has no name".to_owned())?;
        let client = agent
            .name
            .parse()
            .ok()
            .and_then(|name| self.0.fleet.client(&name));
        let Some(client) = client else {
            let absence = absence_of(&self.0.fleet.connectivity(), &name);
            let said = absence.map(|on| on.to_string()).unwrap_or_default();
            let prefix = format!("agent {name} ");
            return Err(said.strip_prefix(&prefix).unwrap_or(&said).to_owned());
        };
        let told = self
            .asked(client.clone().get_agent(agent::GetAgentRequest {}))
            .await?;
        let account: AccountId = told
            .account
            .parse()
            .map_err(|_| format!("it names {:?} as its account", told.account))?;
        let served = told.regions.iter().flat_map(|region| {
            let clusters = region.clusters.iter();
            clusters.map(|cluster| (region.region.clone(), cluster.clone()))
        });
        let served = served.filter(|(_, cluster)| any_matches(&wanted.clusters, cluster));
        let lists = served.map(|(region, cluster)| {
            let (client, account, name) = (client.clone(), &account, &name);
            async move {
                let services = self.services_of(client, &region, &cluster).await?;
                let here = services
                    .iter()
                    .filter(|it| any_matches(&wanted.services, &it.name));
                let wrong = |_| format!("it names cluster {region}/{cluster}, which is no name in AWS");
                Ok(FoundCluster {
                    agent: AgentName::clone(name),
                    account: AccountId::clone(account),
                    region: region.parse().map_err(wrong)?,
                    cluster: cluster.parse().map_err(wrong)?,
                    environment: environment.clone(),
                    services: here.filter_map(wire::found_service).collect(),
                })
            }
        });
        join_all(lists).await.into_iter().collect()
    }

    /// All services of a cluster, page by page.
    async fn services_of(
        &self,
        mut client: Client,
        region: &str,
        cluster: &str,
    ) -> Result<Vec<agent::ServiceDescription>, String> {
        let mut services = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = agent::ListServicesRequest {
                region: region.to_owned(),
                cluster: cluster.to_owned(),
                page_size: PAGE,
                page_token,
                account: String::new(),
            };
            let page = self.asked(client.list_services(request)).await;
            let page = page.map_err(|why| format!("{region}/{cluster}: {why}"))?;
            services.extend(page.services);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(services);
            }
        }
    }

    async fn asked<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, String> {
        match self.0.seams.clock.timeout(PATIENCE, call).await {
            Some(Ok(answer)) => Ok(answer.into_inner()),
            Some(Err(status)) => Err(status.message().to_owned()),
            None => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// A service that another project holds cannot be applied with this one.
    async fn mark_claimed(
        &self,
        project: &ProjectName,
        clusters: &mut [FoundCluster],
    ) -> Result<(), EngineError> {
        for cluster in clusters {
            let claims: Vec<Claim> = cluster
                .services
                .iter()
                .map(|service| Claim {
                    account: cluster.account.clone(),
                    region: cluster.region.clone(),
                    cluster: cluster.cluster.clone(),
                    ecs_service: service.name.clone(),
                })
                .collect();
            for taken in self.0.store.taken(project.as_str(), &claims).await? {
                let mut services = cluster.services.iter_mut();
                if let Some(service) = services.find(|it| it.name == taken.claim.ecs_service) {
                    service.unfit.get_or_insert(Unfit::Claimed(taken.by));
                }
            }
        }
        Ok(())
    }
}

/// All that is wrong with a question at once.
fn wanted(question: &ImportQuestion, agents: Vec<AgentView>) -> Result<Wanted, EngineError> {
    let mut faults = Vec::new();
    let project = match question.project.as_str() {
        "" => "imported",
        name => name,
    };
    let project: Option<ProjectName> = project
        .parse()
        .map_err(|why: crate::domain::name::BadName| faults.push(Fault::of("project", why.to_string())))
        .ok();
    check_agents(question, &agents, &mut faults);
    let mut order: Vec<EnvironmentName> = Vec::new();
    let mut environments = Vec::new();
    for (at, (agent, name)) in question.environments.iter().enumerate() {
        match name.parse::<EnvironmentName>() {
            Ok(name) => {
                if !order.contains(&name) {
                    order.push(name.clone());
                }
                environments.push((agent.as_str(), name));
            }
            Err(why) => faults.push(Fault::of(
                format!("environments[{at}].environment"),
                why.to_string(),
            )),
        }
    }
    let environment_of = |agent: &str| {
        let said = environments.iter().find(|(name, _)| *name == agent);
        said.map(|(_, name)| name.clone()).or_else(|| agent.parse().ok())
    };
    let wanted = agents
        .iter()
        .filter(|agent| question.agents.is_empty() || question.agents.contains(&agent.name));
    let wanted = wanted.filter_map(|agent| Some((agent.clone(), environment_of(&agent.name)?)));
    let wanted: Vec<_> = wanted.collect();
    match (project, faults.is_empty()) {
        (Some(project), true) => Ok(Wanted {
            project,
            agents: wanted,
            clusters: question.clusters.iter().map(|it| Glob::of(it)).collect(),
            services: question.services.iter().map(|it| Glob::of(it)).collect(),
            order,
        }),
        _ => Err(EngineError::Invalid { faults }),
    }
}

/// Agents that are named have to be there.
fn check_agents(question: &ImportQuestion, agents: &[AgentView], faults: &mut Vec<Fault>) {
    let known: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let named = question
        .agents
        .iter()
        .enumerate()
        .map(|(at, name)| (format!("agents[{at}]"), name));
    let mapped = question.environments.iter().enumerate();
    let mapped = mapped.map(|(at, (name, _))| (format!("environments[{at}].agent"), name));
    for (field, name) in named.chain(mapped) {
        if !known.contains(&name.as_str()) {
            let fault = Fault::of(field, format!("there is no agent {name:?}"));
            faults.push(match nearest(name, &known) {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault.hint(format!("agents: {}", known.join(", "))),
            });
        }
    }
}

fn any_matches(patterns: &[Glob], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
}

fn nothing(unreached: &[(String, String)]) -> EngineError {
    let Some((agent, why)) = unreached.first() else {
        return EngineError::NotFound {
            what: "service",
            name: "to import".to_owned(),
            hint: "the agents' clusters have none that the filters let through; `towline agent list` shows the agents"
                .to_owned(),
        };
    };
    let others = match unreached.len() {
        1 => String::new(),
        many => format!(", and {} other agents", many - 1),
    };
    EngineError::NotReady {
        waiting_on: format!("agent {agent}: {why}{others}"),
        hint: "nothing was found on the agents that could be asked".to_owned(),
    }
}

fn all_left_out(imported: &Imported) -> EngineError {
    let why = imported.notes.first().map(|note| note.message.clone());
    EngineError::NotFound {
        what: "service",
        name: "that Towline can update".to_owned(),
        hint: why.unwrap_or_default(),
    }
}
