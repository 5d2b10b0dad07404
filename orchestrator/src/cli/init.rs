//! `towline init`: a new orchestrator, and the first admin on this machine.

use std::path::PathBuf;

use clap::Args;
use towline_link::{
    identity::{OperatorName, TrustDomain},
    seams::Seams,
};

use super::{
    Global, alone, context,
    exit::{Exit, Fault},
    output::{Console, Format},
    serve::DEFAULT_DIR,
};
use crate::found::{self, Founded, Founding};

/// Makes a new orchestrator: CA, certificate, configuration, database, first admin.
///
/// The first admin's key and certificate go to this user's CLI context, so that
/// `towline` works at once. Nothing that exists is overwritten.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline init
  towline init --dir /var/lib/towline --listen 0.0.0.0:7443 --name towline.example.com")]
pub struct Init {
    /// The directory to make the orchestrator in; empty or not there yet.
    #[arg(long, value_name = "DIR", env = "TOWLINE_DIR", default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// The one port for API, links, enrolment and pages.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7443")]
    listen: String,
    /// A name or IP address by which agents and operators reach it; the first
    /// goes into join tokens. May be given more than once.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The first part of every identity in certificates.
    #[arg(long, value_name = "DOMAIN", default_value = "towline")]
    trust_domain: TrustDomain,
    /// The name of the first admin.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: OperatorName,
}

impl Init {
    pub fn run(self, global: &Global, console: &mut Console) -> Result<Exit, Fault> {
        alone(async {
            let context_file = context::path(global)?;
            context::refuse_existing(&context_file)?;
            context::make_place(&context_file)?;
            let founding = Founding {
                dir: self.dir,
                listen: self.listen,
                names: self.names,
                trust_domain: self.trust_domain,
                admin: self.admin,
            };
            let founded = found::found(&founding, &Seams::system()).await?;
            let credentials = context::credentials_for(&context_file);
            founded.admin.save(&credentials)?;
            context::save(&context_file, &founded.config.public_address, &credentials)?;
            let made = Made {
                founding: &founding,
                founded: &founded,
                context_file: std::path::absolute(&context_file)
                    .unwrap_or(context_file)
                    .display()
                    .to_string(),
                usual_context: global.config.is_none(),
            };
            match console.format {
                Format::Json => console.data(&format!("{:#}", made.json()))?,
                Format::Table => console.data(&made.text())?,
            }
            Ok(Exit::Done)
        })
    }
}

struct Made<'a> {
    founding: &'a Founding,
    founded: &'a Founded,
    context_file: String,
    usual_context: bool,
}

impl Made<'_> {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "dir": self.founded.config.dir.display().to_string(),
            "listen": self.founded.config.listen,
            "public_address": self.founded.config.public_address,
            "trust_domain": self.founded.config.trust_domain.as_str(),
            "ca_fingerprint": self.founded.ca_fingerprint,
            "certificate_names": self.founded.names,
            "admin": self.founding.admin.as_str(),
            "context": self.context_file,
        })
    }

    fn text(&self) -> String {
        let config = &self.founded.config;
        let dir = config.dir.display();
        let serve = match config.dir.as_os_str() == DEFAULT_DIR {
            true => "towline serve".to_owned(),
            false => format!("towline serve --dir {dir}"),
        };
        let context = match self.usual_context {
            true => String::new(),
            false => format!(
                "  export TOWLINE_CONFIG={}   # unless it is set already\n",
                self.context_file
            ),
        };
        format!(
            "Made an orchestrator in {dir}\n\
             \x20 address      {}\n\
             \x20 CA           sha256 {}\n\
             \x20 certificate  for {}\n\
             \x20 first admin  {}, with the context {}\n\
             \n\
             Next:\n\
             {context}\
             \x20 {serve}\n\
             \x20 towline agent invite NAME      # then run in the account what it prints\n\
             \x20 towline apply -f towline.yaml\n\
             \n\
             Keep a copy of {dir}/ca in a safe place: its key signs every certificate.",
            config.public_address,
            self.founded.ca_fingerprint,
            self.founded.names.join(", "),
            self.founding.admin,
            self.context_file,
        )
    }
}
