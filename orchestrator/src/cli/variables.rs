//! `towline variables`: which value wins where, and why.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
    table::{Entry, table},
};

/// Shows which value each variable has in each place, and why that one.
///
/// Of the values that match a place, the one that names the most scopes wins.
/// Values that stand in an account are shown by their source: its agent reads
/// them when a plan is made.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline variables
  towline variables --environment prod --service orders
  towline variables --environment prod --target 333333333333/eu-west-1/main --name POOL
  towline variables --release 1.0.0 --output json")]
pub struct Variables {
    /// Only in this environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Only on this target.
    #[arg(long, value_name = "ACCOUNT/REGION/CLUSTER")]
    target: Option<String>,
    /// Only for this service.
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Only for releases of this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Only this variable.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The release whose snapshot counts; the project's newest version when left out.
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
}

impl Variables {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let mut request = pb::ListVariablesRequest {
            project: choose::project(api, self.project).await?,
            release: self.release.unwrap_or_default(),
            environment: self.environment.unwrap_or_default(),
            target: self.target.unwrap_or_default(),
            service: self.service.unwrap_or_default(),
            channel: self.channel.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            page_size: 0,
            page_token: String::new(),
        };
        let mut all = pb::ListVariablesResponse::default();
        loop {
            let page = api.variables.list_variables(request.clone()).await?.into_inner();
            all.variables.extend(page.variables);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        console.message("ListVariablesResponse", &all, |color| text(&all, color))?;
        Ok(Exit::Done)
    }
}

fn text(answer: &pb::ListVariablesResponse, color: bool) -> String {
    if answer.variables.is_empty() {
        return "no variables here".to_owned();
    }
    // A channel is told only where there is more than one.
    let mut channels = answer.variables.iter().map(|it| it.channel.as_str());
    let first = channels.next().unwrap_or_default();
    let several = channels.any(|channel| channel != first);
    let rows = answer.variables.iter().map(|variable| {
        let place = match several {
            true => format!("{}, {}", variable.environment, variable.channel),
            false => variable.environment.clone(),
        };
        let value = variable.value.as_ref().map_or_else(|| "-".to_owned(), value_text);
        let row: Vec<Entry> = vec![
            variable.name.as_str().into(),
            place.into(),
            variable.target.as_str().into(),
            variable.service.as_str().into(),
            value.into(),
            line(variable).into(),
            variable.why.as_str().into(),
        ];
        row
    });
    let heading = ["VARIABLE", "IN", "TARGET", "SERVICE", "VALUE", "LINE", "WHY"];
    table(&heading, rows.collect(), color)
}

fn value_text(value: &pb::VariableValue) -> String {
    match (value.parameter.as_str(), value.stack.as_str()) {
        ("", "") => value.texts.join(", "),
        ("", stack) => format!("(output {} of stack {stack})", value.output),
        (parameter, _) => format!("(SSM parameter {parameter})"),
    }
}

fn line(variable: &pb::Variable) -> String {
    match variable.value.as_ref().map(|value| value.line) {
        None | Some(0) => "-".to_owned(),
        Some(line) => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_its_line_and_the_reason_stand_beside_each_other() {
        let variable = |name: &str, value: Option<pb::VariableValue>, why: &str| pb::Variable {
            name: name.to_owned(),
            environment: "prod".to_owned(),
            target: "333333333333/eu-west-1/main".to_owned(),
            service: "web".to_owned(),
            channel: "stable".to_owned(),
            value,
            why: why.to_owned(),
            ..pb::Variable::default()
        };
        let plain = pb::VariableValue {
            texts: vec!["a".to_owned(), "b".to_owned()],
            line: 14,
            ..pb::VariableValue::default()
        };
        let read = pb::VariableValue {
            parameter: "/shop/prod/host".to_owned(),
            line: 20,
            ..pb::VariableValue::default()
        };
        let answer = pb::ListVariablesResponse {
            variables: vec![
                variable("LIST", Some(plain), "it has no scope"),
                variable("HOST", Some(read), "the only value"),
                variable("NONE", None, "none of its values matches here"),
            ],
            next_page_token: String::new(),
        };
        let rows: Vec<Vec<String>> = text(&answer, false)
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|it| !it.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .collect();
        let target = "333333333333/eu-west-1/main";
        assert_eq!(
            rows[1],
            ["LIST", "prod", target, "web", "a, b", "14", "it has no scope"]
        );
        assert_eq!(rows[2][4], "(SSM parameter /shop/prod/host)");
        assert_eq!(
            rows[3],
            [
                "NONE",
                "prod",
                target,
                "web",
                "-",
                "-",
                "none of its values matches here"
            ]
        );
    }
}
