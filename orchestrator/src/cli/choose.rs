//! Which project or deployment a person means who left it out or described it.

use towline_proto::orchestrator::v1 as pb;

use super::{connection::Api, exit::Fault};

/// The project that was named, or the only one there is.
pub async fn project(api: &mut Api, given: Option<String>) -> Result<String, Fault> {
    if let Some(name) = given {
        return Ok(name);
    }
    let projects = projects(api).await?;
    match projects.as_slice() {
        [one] => Ok(one.name.clone()),
        [] => Err(Fault::local("there is no project yet").hint("towline apply -f towline.yaml")),
        many => {
            let names: Vec<_> = many.iter().map(|project| project.name.as_str()).collect();
            Err(
                Fault::local(format!("there are {} projects, and none was named", many.len()))
                    .hint(format!("--project NAME, one of: {}", names.join(", "))),
            )
        }
    }
}

/// All projects, over as many pages as there are.
pub async fn projects(api: &mut Api) -> Result<Vec<pb::Project>, Fault> {
    let mut projects = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListProjectsRequest {
            page_size: 0,
            page_token,
        };
        let page = api.projects.list_projects(request).await?.into_inner();
        projects.extend(page.projects);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(projects);
        }
    }
}

/// How a deployment is named on the command line.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// The deployment's id, as `towline release show` tells it.
    #[arg(required_unless_present = "release", conflicts_with_all = ["release", "environment", "project"])]
    pub deployment: Option<String>,
    /// The release's version, instead of an id.
    #[arg(long, value_name = "VERSION")]
    pub release: Option<String>,
    /// The environment of the release's deployment; may be left out when only
    /// one deployment can be meant.
    #[arg(long, value_name = "ENV", requires = "release")]
    pub environment: Option<String>,
    /// The project of the release; may be left out when there is just one.
    #[arg(long, value_name = "PROJECT", requires = "release")]
    pub project: Option<String>,
}

/// The deployment that was named: by its id, or the newest of a release that
/// `fits`. `wanted` says in words what fits: "awaits approval".
pub async fn deployment(
    api: &mut Api,
    which: Which,
    wanted: &str,
    fits: impl Fn(&pb::Deployment) -> bool,
) -> Result<pb::Deployment, Fault> {
    let Some(version) = which.release else {
        let id = which.deployment.unwrap_or_default();
        return by_id(api, id).await;
    };
    let project = project(api, which.project).await?;
    let request = pb::GetReleaseRequest {
        project: project.clone(),
        version: version.clone(),
    };
    let release = api.releases.get_release(request).await?.into_inner();
    let environment = which.environment.as_deref();
    let of_environment = |deployment: &&pb::Deployment| {
        environment.is_none_or(|environment| deployment.environment == environment)
    };
    let fitting: Vec<_> = release
        .deployments
        .iter()
        .filter(of_environment)
        .filter(|deployment| fits(deployment))
        .collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(none_fits(&release, &project, &version, environment, wanted)),
        [.., newest] if environment.is_some() => Ok((*newest).clone()),
        many => {
            let names: Vec<_> = many.iter().map(|d| d.environment.as_str()).collect();
            Err(Fault::local(format!(
                "release {version} has {} deployments that could be meant",
                many.len()
            ))
            .hint(format!("--environment ENV, one of: {}", names.join(", "))))
        }
    }
}

async fn by_id(api: &mut Api, id: String) -> Result<pb::Deployment, Fault> {
    let request = pb::GetDeploymentRequest { id: id.clone() };
    let response = api.deployments.get_deployment(request).await?.into_inner();
    response
        .deployment
        .ok_or_else(|| Fault::local(format!("the orchestrator answered without deployment {id}")))
}

fn none_fits(
    release: &pb::GetReleaseResponse,
    project: &str,
    version: &str,
    environment: Option<&str>,
    wanted: &str,
) -> Fault {
    let place = environment
        .map(|environment| format!(" in {environment}"))
        .unwrap_or_default();
    let there: Vec<_> = release
        .deployments
        .iter()
        .map(|d| format!("{} is {}", d.environment, super::show::state(d.state()).0))
        .collect();
    let hint = if there.is_empty() {
        format!("release {version} has no deployment yet: towline promote {version} --project {project}")
    } else {
        there.join(", ")
    };
    Fault::local(format!(
        "no deployment of {project} release {version}{place} {wanted}"
    ))
    .hint(hint)
}
