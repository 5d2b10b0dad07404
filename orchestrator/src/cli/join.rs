//! `towline join TOKEN`: an operator exchanges an invitation for a certificate.

use clap::Args;
use towline_link::{
    join::{EnrolError, JoinKind, JoinToken, enrol},
    seams::Seams,
};

use super::{
    Global,
    connection::{fault_of_dial, fault_of_status},
    context,
    exit::{Exit, Fault},
    output::{Console, Format},
};

/// Joins an orchestrator as an operator, with the token of an invitation.
///
/// The key is made on this machine and never leaves it. The token holds the
/// fingerprint of the orchestrator's CA, so nobody else can answer for it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline join tl1-...
  towline --config prod.toml join tl1-...")]
pub struct Join {
    /// What `towline operator invite` printed, from `tl1-` on.
    token: String,
    /// Replace the context that is there, for example when its certificate has expired.
    #[arg(long)]
    replace: bool,
}

impl Join {
    pub async fn run(self, global: &Global, console: &mut Console) -> Result<Exit, Fault> {
        let token: JoinToken = self.token.trim().parse()?;
        if token.kind == JoinKind::Agent {
            return Err(Fault::local(format!(
                "this token is for agent {}, not for an operator",
                token.name
            ))
            .hint("run `towline-agent join TOKEN` where the agent will live"));
        }
        let file = context::path(global)?;
        if !self.replace {
            context::refuse_existing(&file).map_err(|fault| {
                fault.hint("--replace replaces it; --config FILE makes another one beside it")
            })?;
        }
        context::make_place(&file)?;
        let enrolled = enrol(&Seams::system(), &token, &[], None)
            .await
            .map_err(fault_of_enrol)?;
        let credentials = context::credentials_for(&file);
        enrolled.credentials.save(&credentials)?;
        context::save(&file, &token.orchestrator, &credentials)?;
        let (name, expires) = (enrolled.name, enrolled.credentials.expires());
        match console.format {
            Format::Json => console.data(&format!(
                "{:#}",
                serde_json::json!({
                    "operator": name,
                    "address": token.orchestrator,
                    "context": file.display().to_string(),
                    "certificate_expire_time": expires.to_string(),
                })
            ))?,
            Format::Table => console.data(&format!(
                "Joined {} as operator {name}; the context is {}, the certificate is good until {expires}.",
                token.orchestrator,
                file.display(),
            ))?,
        }
        Ok(Exit::Done)
    }
}

fn fault_of_enrol(error: EnrolError) -> Fault {
    match error {
        EnrolError::Dial(error) => fault_of_dial(error),
        EnrolError::Refused(status) => {
            let mut fault = fault_of_status(&status);
            fault.what = format!("the orchestrator refused: {}", status.message());
            fault
        }
        other => anyhow::Error::from(other).into(),
    }
}
