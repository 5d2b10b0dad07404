//! The people: what they ask the orchestrator for, and what they are told.

use std::{collections::BTreeMap, fs, path::Path};

use jiff::SignedDuration;
use towline::engine::{
    AgentMode, Caller, DeploymentState, DeploymentView, Engine, EngineError, Intervention,
    InterventionDecision as Decision, NewFreeze, NewRelease, Page, Promotion, Redeployment, Role, Rollback,
};
use towline_link::{
    ca::certificate_request, credentials::Credentials, identity::AgentName, join::JoinToken, seams::Seams,
};

use crate::{schedule::AGENTS, world::World};

/// Who there is besides the admin `ann`.
pub const OPERATORS: [(&str, Role); 4] = [
    ("bob", Role::Approver),
    ("cho", Role::Approver),
    ("dan", Role::Deployer),
    ("eve", Role::Admin),
];

/// What a person does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    JoinAgent(&'static str),
    InviteOperator(&'static str),
    Apply,
    Create {
        version: String,
        orders: String,
        web: String,
    },
    Promote {
        version: String,
        environment: &'static str,
        force: bool,
    },
    Approve {
        version: String,
        environment: &'static str,
        by: &'static str,
    },
    Cancel {
        version: String,
        environment: &'static str,
        detach: bool,
    },
    Reject {
        version: String,
        environment: &'static str,
    },
    Decide {
        version: String,
        environment: &'static str,
        decision: Decision,
    },
    Freeze {
        environment: &'static str,
        seconds: i64,
    },
    Unfreeze,
    Block {
        version: String,
    },
    Unblock {
        version: String,
    },
    RollBack {
        environment: &'static str,
    },
    Redeploy {
        environment: &'static str,
        force: bool,
    },
    /// Approves all that waits, and decides about what went wrong: the schedule is over.
    ApproveAll,
    Survey,
}

/// What has not come to rest.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub open: Vec<(String, String)>,
    pub waiting_for_approval: Vec<String>,
    pub seen: usize,
}

pub fn caller(name: &str) -> Caller {
    Caller {
        operator: name.parse().expect("a name"),
    }
}

/// What everybody needs first.
pub fn founding_commands() -> Vec<Command> {
    let agents = AGENTS.iter().map(|agent| Command::JoinAgent(agent.name));
    let operators = OPERATORS.iter().map(|(name, _)| Command::InviteOperator(name));
    agents.chain(operators).chain([Command::Apply]).collect()
}

impl Command {
    /// Whether the schedule does not begin before it has worked.
    pub fn must_work(&self) -> bool {
        matches!(self, Self::JoinAgent(_) | Self::InviteOperator(_) | Self::Apply)
    }

    pub async fn run(&self, engine: &Engine, world: &World, seams: &Seams) -> Result<String, EngineError> {
        match self {
            Self::JoinAgent(name) => join(engine, world, seams, name).await,
            Self::InviteOperator(name) => {
                let role = OPERATORS
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, role)| *role);
                let role = role.unwrap_or(Role::Viewer);
                let invited = engine
                    .invite_operator(&caller("ann"), &name.parse().expect("a name"), role, None)
                    .await;
                invited.map(|_| String::new())
            }
            Self::Apply => {
                let applied = engine
                    .apply(&caller("ann"), &world.schedule.project, "towline.yaml", false)
                    .await;
                applied.map(|_| String::new())
            }
            Self::Create { version, orders, web } => {
                let mut images = BTreeMap::from([("orders".to_owned(), orders.clone())]);
                if world.schedule.project.contains("kind: fargate") {
                    images.insert("web".to_owned(), web.clone());
                }
                let new = NewRelease {
                    project: "shop".to_owned(),
                    version: version.clone(),
                    images,
                    ..NewRelease::default()
                };
                engine
                    .create_release(&caller("dan"), new)
                    .await
                    .map(|_| String::new())
            }
            Self::Promote {
                version,
                environment,
                force,
            } => {
                let promotion = Promotion {
                    project: "shop".to_owned(),
                    version: version.clone(),
                    environment: Some((*environment).to_owned()),
                    force: *force,
                    ..Promotion::default()
                };
                let made = engine.promote(&caller("dan"), &promotion).await;
                made.map(|made| made.id)
            }
            Self::Approve {
                version,
                environment,
                by,
            } => {
                let Some(deployment) = newest(engine, version, environment).await? else {
                    return Ok("nothing to approve".to_owned());
                };
                approve(engine, by, &deployment).await.map(|made| made.id)
            }
            Self::Cancel {
                version,
                environment,
                detach,
            } => {
                let Some(deployment) = newest(engine, version, environment).await? else {
                    return Ok("nothing to cancel".to_owned());
                };
                let made = engine
                    .cancel(&caller("dan"), &deployment.id, *detach, "chaos")
                    .await;
                made.map(|made| made.id)
            }
            Self::Reject { version, environment } => {
                let Some(deployment) = newest(engine, version, environment).await? else {
                    return Ok("nothing to reject".to_owned());
                };
                let made = engine.reject(&caller("bob"), &deployment.id, "chaos").await;
                made.map(|made| made.id)
            }
            Self::Decide {
                version,
                environment,
                decision,
            } => {
                let Some(deployment) = newest(engine, version, environment).await? else {
                    return Ok("nothing to decide".to_owned());
                };
                decide(engine, &deployment.id, *decision).await
            }
            Self::Freeze { environment, seconds } => {
                let now = seams.clock.now();
                let new = NewFreeze {
                    name: format!("freeze-{}", now.as_second()),
                    environments: vec![(*environment).to_owned()],
                    from: Some(now),
                    until: Some(now + SignedDuration::from_secs(*seconds)),
                    because: "chaos".to_owned(),
                    ..NewFreeze::default()
                };
                engine
                    .create_freeze(&caller("ann"), new)
                    .await
                    .map(|_| String::new())
            }
            Self::Unfreeze => {
                let freezes = engine.freezes(("", ""), false, Page::default()).await?;
                for freeze in freezes.items {
                    engine.remove_freeze(&caller("ann"), &freeze.name).await?;
                }
                Ok(String::new())
            }
            Self::Block { version } => {
                let made = engine
                    .block_release(&caller("ann"), "shop", version, "chaos")
                    .await;
                made.map(|_| String::new())
            }
            Self::Unblock { version } => {
                let made = engine
                    .unblock_release(&caller("ann"), "shop", version, "chaos")
                    .await;
                made.map(|_| String::new())
            }
            Self::RollBack { environment } => {
                let asked = Rollback {
                    project: "shop".to_owned(),
                    environment: (*environment).to_owned(),
                    ..Rollback::default()
                };
                engine.roll_back(&caller("dan"), &asked).await.map(|made| made.id)
            }
            Self::Redeploy { environment, force } => {
                let asked = Redeployment {
                    project: "shop".to_owned(),
                    environment: (*environment).to_owned(),
                    force: *force,
                    note: String::new(),
                };
                engine.redeploy(&caller("dan"), &asked).await.map(|made| made.id)
            }
            Self::ApproveAll => approve_all(engine, world).await,
            Self::Survey => survey(engine, world).await,
        }
    }
}

async fn approve(
    engine: &Engine,
    by: &str,
    deployment: &DeploymentView,
) -> Result<DeploymentView, EngineError> {
    engine
        .approve(&caller(by), &deployment.id, "", &deployment.plan_hash)
        .await
}

async fn decide(engine: &Engine, deployment: &str, decision: Decision) -> Result<String, EngineError> {
    let asked = Intervention {
        deployment: deployment.to_owned(),
        decision,
        service: String::new(),
        target: String::new(),
        note: "chaos".to_owned(),
    };
    let made = engine.intervene(&caller("dan"), &asked).await;
    made.map(|made| made.id)
}

async fn newest(
    engine: &Engine,
    version: &str,
    environment: &str,
) -> Result<Option<DeploymentView>, EngineError> {
    let release = engine.release("shop", version).await?;
    let mut deployments = release.deployments.into_iter().rev();
    Ok(deployments.find(|deployment| deployment.environment == environment))
}

async fn all(engine: &Engine) -> Result<Vec<DeploymentView>, EngineError> {
    let mut found = Vec::new();
    for release in engine.releases("shop", true, Page::default()).await?.items {
        found.extend(engine.release("shop", &release.version).await?.deployments);
    }
    Ok(found)
}

async fn survey(engine: &Engine, world: &World) -> Result<String, EngineError> {
    let mut survey = Survey::default();
    for deployment in all(engine).await? {
        survey.seen += 1;
        match deployment.state {
            DeploymentState::AwaitingApproval | DeploymentState::AwaitingIntervention => {
                survey.waiting_for_approval.push(deployment.id)
            }
            state if state.is_terminal() => {}
            state => survey
                .open
                .push((deployment.id, format!("{state:?}: {}", deployment.waiting_on))),
        }
    }
    let words = format!(
        "{} open, {} wait for approval",
        survey.open.len(),
        survey.waiting_for_approval.len()
    );
    world.state().survey = Some(survey);
    Ok(words)
}

async fn approve_all(engine: &Engine, world: &World) -> Result<String, EngineError> {
    let mut words = Vec::new();
    for deployment in all(engine).await? {
        if deployment.state == DeploymentState::AwaitingIntervention {
            words.push(decide(engine, &deployment.id, Decision::Abort).await?);
        }
        if deployment.state != DeploymentState::AwaitingApproval {
            continue;
        }
        for by in ["bob", "eve", "cho"] {
            match approve(engine, by, &deployment).await {
                Ok(_) => words.push(format!("{by} approves")),
                Err(error) => words.push(format!("{by}: {}", kind_of(&error))),
            }
        }
    }
    let _ = world;
    Ok(words.join(", "))
}

/// The kind of an error, without its words.
pub fn kind_of(error: &EngineError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Invites an agent, enrols it, and writes its directory.
async fn join(engine: &Engine, world: &World, seams: &Seams, name: &str) -> Result<String, EngineError> {
    let plan = AGENTS.iter().find(|plan| plan.name == name).expect("one of them");
    let (mode, address) = if plan.listens {
        (AgentMode::Listening, Some(format!("{name}:7000")))
    } else {
        (AgentMode::Polling, None)
    };
    let agent: AgentName = name.parse().expect("a name");
    let invitation = engine
        .invite_agent(&caller("ann"), &agent, mode, address.as_deref(), None)
        .await?;
    let token: JoinToken = invitation.token.parse().expect("a token");
    let request = certificate_request().expect("a key");
    let enrolled = engine
        .enrol(&token.secret.text(), &request.request_pem, &[name.to_owned()])
        .await?;
    let credentials = Credentials::from_pem(
        "chaos",
        &request.key_pem,
        &enrolled.certificate_chain,
        &enrolled.ca_certificate,
        seams.clock.now(),
    );
    let directory = world.dir.join(name);
    fs::create_dir_all(&directory).expect("a directory");
    credentials
        .expect("credentials")
        .save(&directory.join("identity"))
        .expect("saved");
    write_agent_file(&directory, plan);
    Ok(String::new())
}

fn write_agent_file(directory: &Path, plan: &crate::schedule::AgentPlan) {
    let door = if plan.listens {
        format!(
            "[listen]\naddress = \"0.0.0.0:7000\"\nnames = [\"{}\"]\n",
            plan.name
        )
    } else {
        "[orchestrator]\naddress = \"orchestrator:7000\"\n".to_owned()
    };
    let regions: String = plan
        .serves
        .iter()
        .map(|region| format!("[[aws.regions]]\nname = \"{region}\"\nclusters = [\"main\"]\n"))
        .collect();
    let text = format!(
        "name = \"{}\"\naccount = \"{}\"\n{door}[aws]\nendpoint_url = \"http://aws.invalid\"\n{regions}[timing]\npoll = \"2s\"\nsettle = \"5s\"\nstuck = \"3m\"\n",
        plan.name, plan.account
    );
    fs::write(directory.join("agent.toml"), text).expect("written");
}
