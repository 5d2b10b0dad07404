//! `towline agent invite NAME` and `towline agent list`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
    show,
    table::{Entry, table},
    valid_for::ValidFor,
};

/// The agents: invite one, list them.
#[derive(Args, Debug)]
pub struct Agent {
    #[command(subcommand)]
    verb: AgentVerb,
}

#[derive(Debug, Subcommand)]
enum AgentVerb {
    Invite(Invite),
    List(List),
}

/// Makes a one-time token, and prints the one command to run on the agent's side.
///
/// An agent usually dials the orchestrator (polling). One that is to be dialled
/// needs its address.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline agent invite dev --serves eu-west-1/main
  towline agent invite staging --listening agent.staging.example.com:8444")]
struct Invite {
    /// The agent's name: a-z, 0-9 and dashes.
    name: String,
    /// Where the orchestrator dials this agent; without it the agent dials.
    #[arg(long, value_name = "HOST:PORT")]
    listening: Option<String>,
    /// A cluster that the agent will serve; only put into the printed command.
    /// May be given more than once.
    #[arg(long, value_name = "REGION/CLUSTER")]
    serves: Vec<String>,
    #[command(flatten)]
    valid_for: ValidFor,
}

/// Lists the agents, and whether they are connected.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline agent list
  towline agent list --output json | jq '.agents[] | select(.state != \"connected\") | .name'")]
struct List {}

impl Agent {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            AgentVerb::Invite(verb) => verb.run(api, console).await,
            AgentVerb::List(_) => list(api, console).await,
        }
    }
}

impl Invite {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let mode = match self.listening {
            Some(_) => pb::AgentMode::Listening,
            None => pb::AgentMode::Polling,
        };
        let request = pb::InviteAgentRequest {
            name: self.name.clone(),
            mode: mode.into(),
            address: self.listening.clone().unwrap_or_default(),
            valid_for: self.valid_for.wire(),
        };
        let invitation = api.fleet.invite_agent(request).await?.into_inner();
        if console.format == Format::Table {
            console.talk(&format!(
                "Run this once where agent {} will live, {}:",
                self.name,
                super::valid_for::until(invitation.expire_time.as_ref(), api.now()),
            ))?;
        }
        let command = self.command(&invitation.join_token);
        console.message("InviteAgentResponse", &invitation, |_| command)?;
        Ok(Exit::Done)
    }

    /// The one command for the agent's side.
    fn command(&self, token: &str) -> String {
        let mut command = format!("towline-agent join {token}");
        if self.serves.is_empty() {
            command += " --serves REGION/CLUSTER";
        }
        for cluster in &self.serves {
            command += &format!(" --serves {cluster}");
        }
        if let Some((host, port)) = self
            .listening
            .as_deref()
            .and_then(|address| address.rsplit_once(':'))
        {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            command += &format!(" --listen 0.0.0.0:{port} --listen-name {host}");
        }
        command
    }
}

async fn list(api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let mut all = pb::ListAgentsResponse::default();
    loop {
        let request = pb::ListAgentsRequest {
            page_size: 0,
            page_token: all.next_page_token,
        };
        let page = api.fleet.list_agents(request).await?.into_inner();
        all.agents.extend(page.agents);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    let now = api.now();
    console.message("ListAgentsResponse", &all, |color| {
        agents(&all.agents, now, color)
    })?;
    if all.agents.is_empty() {
        console.talk("no agent yet: towline agent invite NAME")?;
    }
    Ok(Exit::Done)
}

fn agents(agents: &[pb::Agent], now: Timestamp, color: bool) -> String {
    let heading = [
        "AGENT", "STATE", "SINCE", "MODE", "ADDRESS", "ACCOUNT", "REGIONS", "VERSION", "REASON",
    ];
    let rows = agents.iter().map(|agent| {
        let (state, tone) = show::agent_state(agent.state());
        vec![
            agent.name.as_str().into(),
            Entry::toned(state, tone),
            show::ago(agent.since.as_ref(), now).into(),
            show::mode(agent.mode()).into(),
            show::or_dash(&agent.address).into(),
            show::or_dash(&agent.account).into(),
            show::or_dash(&agent.regions.join(",")).into(),
            show::or_dash(&agent.version).into(),
            show::or_dash(&agent.reason).into(),
        ]
    });
    table(&heading, rows.collect(), color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_at_a_glance() {
        let now = Timestamp::new(10_000, 0).unwrap();
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let fleet = [
            pb::Agent {
                name: "dev".to_owned(),
                mode: pb::AgentMode::Polling.into(),
                state: pb::AgentState::Connected.into(),
                since: at(9_000),
                account: "111111111111".to_owned(),
                version: "0.1.0".to_owned(),
                regions: vec!["eu-west-1".to_owned()],
                ..pb::Agent::default()
            },
            pb::Agent {
                name: "staging".to_owned(),
                mode: pb::AgentMode::Listening.into(),
                address: "10.0.0.7:8444".to_owned(),
                state: pb::AgentState::Offline.into(),
                since: at(9_970),
                reason: "nothing received for 23.0 s".to_owned(),
                ..pb::Agent::default()
            },
        ];
        assert_eq!(
            agents(&fleet, now, false),
            "\
AGENT    STATE      SINCE    MODE       ADDRESS        ACCOUNT       REGIONS    VERSION  REASON
dev      connected  16m ago  polling    -              111111111111  eu-west-1  0.1.0    -
staging  offline    30s ago  listening  10.0.0.7:8444  -             -          -        nothing received for 23.0 s"
        );
    }

    #[test]
    fn the_printed_command_is_whole() {
        let invite = Invite {
            name: "staging".to_owned(),
            listening: Some("agent.example.com:8444".to_owned()),
            serves: vec!["eu-west-1/main".to_owned()],
            valid_for: ValidFor::default(),
        };
        assert_eq!(
            invite.command("tl1-abc"),
            "towline-agent join tl1-abc --serves eu-west-1/main --listen 0.0.0.0:8444 --listen-name agent.example.com"
        );
    }
}
