//! `towline operator invite NAME --role ROLE` and `towline operator list`.

use clap::{Args, Subcommand, ValueEnum};
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
    show::{self, Tone},
    table::{Entry, table},
    valid_for::{self, ValidFor},
};

/// The people and scripts that may use the API: invite one, list them.
#[derive(Args, Debug)]
pub struct Operator {
    #[command(subcommand)]
    verb: OperatorVerb,
}

#[derive(Debug, Subcommand)]
enum OperatorVerb {
    Invite(Invite),
    List(List),
}

/// Makes a one-time token, and prints the one command for the new operator.
///
/// Inviting a name that exists gives it the role and a new certificate.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline operator invite ada --role approver
  towline operator invite ci --role deployer --valid-for 30m")]
struct Invite {
    /// The operator's name: a-z, 0-9 and dashes.
    name: String,
    /// What the operator may do.
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    valid_for: ValidFor,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Look at everything.
    Viewer,
    /// Look, apply projects, create and promote releases, cancel.
    Deployer,
    /// Look, and approve deployments.
    Approver,
    /// Everything, and invite agents and operators.
    Admin,
}

/// Lists the operators with their roles.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline operator list")]
struct List {}

impl Operator {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            OperatorVerb::Invite(verb) => verb.run(api, console).await,
            OperatorVerb::List(_) => list(api, console).await,
        }
    }
}

impl Invite {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let role = match self.role {
            Role::Viewer => pb::OperatorRole::Viewer,
            Role::Deployer => pb::OperatorRole::Deployer,
            Role::Approver => pb::OperatorRole::Approver,
            Role::Admin => pb::OperatorRole::Admin,
        };
        let request = pb::InviteOperatorRequest {
            name: self.name.clone(),
            role: role.into(),
            valid_for: self.valid_for.wire(),
        };
        let invitation = api.fleet.invite_operator(request).await?.into_inner();
        if console.format == Format::Table {
            console.talk(&format!(
                "{} runs this once, {}:",
                self.name,
                valid_for::until(invitation.expire_time.as_ref(), api.now()),
            ))?;
        }
        console.message("InviteOperatorResponse", &invitation, |_| {
            format!("towline join {}", invitation.join_token)
        })?;
        Ok(Exit::Done)
    }
}

async fn list(api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let mut all = pb::ListOperatorsResponse::default();
    loop {
        let request = pb::ListOperatorsRequest {
            page_size: 0,
            page_token: all.next_page_token,
        };
        let page = api.fleet.list_operators(request).await?.into_inner();
        all.operators.extend(page.operators);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    console.message("ListOperatorsResponse", &all, |color| {
        let rows = all.operators.iter().map(|operator| {
            let (joined, tone) = match operator.joined {
                true => ("joined", Tone::Good),
                false => ("invited", Tone::Busy),
            };
            vec![
                operator.name.as_str().into(),
                show::role(operator.role()).into(),
                Entry::toned(joined, tone),
            ]
        });
        table(&["OPERATOR", "ROLE", "STATE"], rows.collect(), color)
    })?;
    Ok(Exit::Done)
}
