//! `towline service template` and `towline service plan`: what a service is, and
//! what its deployment would do, before anything is done.

use std::collections::HashMap;

use clap::{Args, Subcommand, ValueEnum};
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    create,
    exit::{Exit, Fault},
    output::{Console, Format},
    yaml,
};

mod existing;
mod planned;

pub use planned::text as plan_text;

/// The services: plan the deployment of one, or print a fargate service's template.
#[derive(Args, Debug)]
pub struct Service {
    #[command(subcommand)]
    verb: ServiceVerb,
}

#[derive(Debug, Subcommand)]
enum ServiceVerb {
    Template(Template),
    Plan(Plan),
}

/// Prints the CloudFormation template of a fargate service, ready for use
/// without Towline.
///
/// The template goes to standard output; what to give with it is said on
/// standard error. `--output json` prints both as one message.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline service template web --environment dev --image web=1.2.0 > web.json
  towline service template web --environment prod --release 1.2.0 --format yaml > web.yaml")]
struct Template {
    #[command(flatten)]
    which: Which,
    /// How the template is written.
    #[arg(long, value_enum, default_value_t = Writing::Json, value_name = "FORMAT")]
    format: Writing,
}

/// Shows what a deployment of a service would do, and changes nothing.
///
/// For a fargate service the target's agent makes a CloudFormation change set,
/// reads it and deletes it; for an existing one it compares task definitions.
/// `towline promote --plan` takes the plan's hash, `--plan-file` the JSON. The
/// exit code is 1 when the plan is refused, else 0.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline service plan web --environment dev --image web=1.2.0
  towline service plan web --environment prod --target 333333333333/eu-west-1/main --release 1.2.0
  towline service plan web --environment dev --image web=1.2.0 --output json | jq .changes
  towline service plan orders --environment dev --release 1.2.0 --force")]
struct Plan {
    #[command(flatten)]
    which: Which,
    /// Plan a new ECS deployment also when nothing changed.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Writing {
    Json,
    Yaml,
}

/// Which service, where, with which images.
#[derive(Args, Debug)]
struct Which {
    /// The service's key in the project file.
    service: String,
    /// Where it goes.
    #[arg(long, value_name = "ENV")]
    environment: String,
    /// account/region/cluster; the environment's first target when left out.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// The tag of an image; once for every image of the service whose tag is left open.
    #[arg(long = "image", value_name = "IMAGE=TAG", value_parser = create::image)]
    images: Vec<(String, String)>,
    /// Take the project and the images as this release has them; an --image beside
    /// it counts more.
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
}

impl Service {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            ServiceVerb::Template(verb) => verb.run(api, console).await,
            ServiceVerb::Plan(verb) => verb.run(api, console).await,
        }
    }
}

impl Template {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let asked = self.which.question(api).await?;
        let request = pb::GetServiceTemplateRequest {
            project: asked.project,
            service: asked.service,
            environment: asked.environment,
            target: asked.target,
            images: asked.images,
            release: asked.release,
        };
        let answer = api.projects.get_service_template(request).await?.into_inner();
        if console.format == Format::Json {
            console.message("GetServiceTemplateResponse", &answer, |_| String::new())?;
            return Ok(Exit::Done);
        }
        let template: serde_json::Value = serde_json::from_str(&answer.template)
            .map_err(|error| Fault::local(format!("the agent's template is no JSON: {error}")))?;
        let written = match self.format {
            Writing::Json => format!("{template:#}"),
            Writing::Yaml => yaml::of(&template).trim_end().to_owned(),
        };
        console.data(&written)?;
        console.talk(&how_to_use(&answer))?;
        Ok(Exit::Done)
    }
}

impl Plan {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let asked = self.which.question(api).await?;
        let request = pb::PlanServiceRequest {
            project: asked.project,
            service: asked.service,
            environment: asked.environment,
            target: asked.target,
            images: asked.images,
            release: asked.release,
            force: self.force,
        };
        let plan = api.projects.plan_service(request).await?.into_inner();
        console.message("PlanServiceResponse", &plan, |color| planned::text(&plan, color))?;
        match plan.action.as_str() {
            "refused" => Ok(Exit::Local),
            _ => Ok(Exit::Done),
        }
    }
}

/// A question whose project is known.
struct Question {
    project: String,
    service: String,
    environment: String,
    target: String,
    images: HashMap<String, String>,
    release: String,
}

impl Which {
    async fn question(self, api: &mut Api) -> Result<Question, Fault> {
        Ok(Question {
            project: choose::project(api, self.project).await?,
            service: self.service,
            environment: self.environment,
            target: self.target.unwrap_or_default(),
            images: self.images.into_iter().collect(),
            release: self.release.unwrap_or_default(),
        })
    }
}

/// The command that uses a template by itself.
fn how_to_use(answer: &pb::GetServiceTemplateResponse) -> String {
    let mut parameters: Vec<String> = answer
        .parameters
        .iter()
        .map(|(name, value)| format!("'{name}={}'", value.replace('\'', "'\\''")))
        .collect();
    parameters.sort();
    let mut command = format!(
        "aws cloudformation deploy --stack-name {} --template-file FILE --capabilities CAPABILITY_NAMED_IAM",
        answer.stack_name
    );
    if !parameters.is_empty() {
        command.push_str(" --parameter-overrides ");
        command.push_str(&parameters.join(" "));
    }
    format!("without Towline, with the target's credentials and region:\n  {command}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_uses_a_template_can_be_pasted() {
        let answer = pb::GetServiceTemplateResponse {
            stack_name: "towline-main-web".to_owned(),
            parameters: [
                ("WebImage".to_owned(), "shop/web:1.2.0".to_owned()),
                ("EnvoyImage".to_owned(), "it's".to_owned()),
            ]
            .into(),
            ..pb::GetServiceTemplateResponse::default()
        };
        assert_eq!(
            how_to_use(&answer).lines().nth(1),
            Some(
                "  aws cloudformation deploy --stack-name towline-main-web --template-file FILE \
                 --capabilities CAPABILITY_NAMED_IAM --parameter-overrides 'EnvoyImage=it'\\''s' \
                 'WebImage=shop/web:1.2.0'"
            )
        );
    }
}
