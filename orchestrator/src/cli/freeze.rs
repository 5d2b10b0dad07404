//! `towline freeze`: times in which no deployment starts.

use clap::{Args, Subcommand, ValueEnum};
use towline_proto::orchestrator::v1::{self as pb, FreezeState, OperatorRole};

use super::{
    choose::{self, Which},
    connection::Api,
    deployments, events,
    exit::{Exit, Fault},
    output::Console,
    show::{self, Tone},
    table::{Entry, table},
    when::{self, Moment},
};

/// Times in which no deployment starts: make, list, show, remove, override.
///
/// What runs goes on; a deployment that meets a freeze waits for its end.
#[derive(Args, Debug)]
pub struct Freeze {
    #[command(subcommand)]
    verb: FreezeVerb,
}

#[derive(Debug, Subcommand)]
enum FreezeVerb {
    Create(Create),
    List(List),
    Show(Show),
    Remove(Remove),
    Override(Override),
}

/// Makes a freeze: once, or on some days of every week.
///
/// A length (`for 64h`) is time that passes; a time of day (`to mon 08:00`) is what
/// the clocks show there, whatever they do meanwhile.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline freeze create christmas --environment prod --from 2026-12-23T18:00Z --until 2027-01-02T08:00Z --because holidays
  towline freeze create weekend --environment prod --every \"fri 16:00 for 64h\" --timezone Europe/Berlin
  towline freeze create nights --every \"weekdays 18:00 to 08:00\" --timezone Europe/Berlin --override-role deployer
  towline freeze create incident --project shop --until 2h --because \"INC-481 is being looked at\"")]
struct Create {
    /// Lower-case letters, digits and hyphens.
    name: String,
    /// Only this project; may be repeated. All when left out.
    #[arg(long = "project", value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only this environment; may be repeated. All when left out.
    #[arg(long = "environment", value_name = "ENV")]
    environments: Vec<String>,
    /// When it begins: 2026-12-23T18:00+01:00, or 2h from now. Now when left out.
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    from: Option<Moment>,
    /// When it ends: a time, or how long from now.
    #[arg(long, value_name = "TIME", value_parser = when::moment, required_unless_present = "every")]
    until: Option<Moment>,
    /// Again and again: DAYS HH:MM for LENGTH, or DAYS HH:MM to [DAY] HH:MM. Days are
    /// daily, weekdays, weekends, or such as mon,wed and fri-sun.
    #[arg(long, value_name = "TEXT")]
    every: Option<String>,
    /// Where the times without an offset are said, by its name in the IANA database.
    /// UTC for --every when left out.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Why, for those who wait.
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
    /// Who may let a deployment start in spite of it. An admin always may.
    #[arg(long, value_enum, default_value_t = Role::Admin, value_name = "ROLE")]
    override_role: Role,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Deployer,
    Approver,
    Admin,
}

/// Lists the freezes that are in force or will be.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline freeze list
  towline freeze list --environment prod --all")]
struct List {
    /// Only those that cover this project.
    #[arg(long)]
    project: Option<String>,
    /// Only those that cover this environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Also those that are over.
    #[arg(long)]
    all: bool,
}

/// Shows a freeze.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline freeze show weekend")]
struct Show {
    name: String,
}

/// Ends a freeze; what waited for it goes on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline freeze remove christmas")]
struct Remove {
    name: String,
}

/// Lets one deployment start in spite of the freezes that hold it, and waits for
/// its end. Who and why stand in its log.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline freeze override --release 1.0.1 --environment prod --because INC-481
  towline freeze override DEPLOYMENT --because \"fixes INC-481\"")]
struct Override {
    #[command(flatten)]
    which: Which,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Freeze {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            FreezeVerb::Create(verb) => verb.run(api, console).await,
            FreezeVerb::List(verb) => verb.run(api, console).await,
            FreezeVerb::Show(verb) => verb.run(api, console).await,
            FreezeVerb::Remove(verb) => verb.run(api, console).await,
            FreezeVerb::Override(verb) => verb.run(api, console).await,
        }
    }
}

impl Create {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let now = api.now();
        let zone = self.timezone.as_deref();
        let instant = |name: &str, typed: Option<&Moment>| {
            let told = typed.map(|moment| moment.instant(now, zone)).transpose();
            told.map_err(|why| Fault::local(format!("--{name}: {why}")))
        };
        let freeze = pb::Freeze {
            from: instant("from", self.from.as_ref())?.map(when::sent),
            until: instant("until", self.until.as_ref())?.map(when::sent),
            // Without `every` it has only helped to say the two instants.
            timezone: match self.every {
                Some(_) => self.timezone.clone().unwrap_or_default(),
                None => String::new(),
            },
            name: self.name,
            projects: self.projects,
            environments: self.environments,
            every: self.every.unwrap_or_default(),
            because: self.because,
            override_role: match self.override_role {
                Role::Deployer => OperatorRole::Deployer,
                Role::Approver => OperatorRole::Approver,
                Role::Admin => OperatorRole::Admin,
            }
            .into(),
            ..pb::Freeze::default()
        };
        let request = pb::CreateFreezeRequest { freeze: Some(freeze) };
        let made = api.freezes.create_freeze(request).await?.into_inner();
        print(console, &made.freeze.unwrap_or_default())
    }
}

impl List {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let mut all = pb::ListFreezesResponse::default();
        let mut request = pb::ListFreezesRequest {
            project: self.project.unwrap_or_default(),
            environment: self.environment.unwrap_or_default(),
            include_past: self.all,
            page_size: 0,
            page_token: String::new(),
        };
        loop {
            let page = api.freezes.list_freezes(request.clone()).await?.into_inner();
            all.freezes.extend(page.freezes);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        console.message("ListFreezesResponse", &all, |color| overview(&all.freezes, color))?;
        if all.freezes.is_empty() {
            console.talk("there is no freeze")?;
        }
        Ok(Exit::Done)
    }
}

impl Show {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::GetFreezeRequest { name: self.name };
        let shown = api.freezes.get_freeze(request).await?.into_inner();
        print(console, &shown.freeze.unwrap_or_default())
    }
}

impl Remove {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::RemoveFreezeRequest {
            name: self.name.clone(),
        };
        let removed = api.freezes.remove_freeze(request).await?.into_inner();
        console.message("RemoveFreezeResponse", &removed, |_| {
            format!("freeze {} is removed", self.name)
        })?;
        Ok(Exit::Done)
    }
}

impl Override {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let is_active = |deployment: &pb::Deployment| !events::has_ended(deployment.state());
        let deployment = choose::deployment(api, self.which, "is under way", is_active).await?;
        let request = pb::OverrideFreezeRequest {
            deployment: deployment.id,
            because: self.because,
        };
        let overridden = api.freezes.override_freeze(request).await?.into_inner();
        let deployment = overridden.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

fn print(console: &mut Console, freeze: &pb::Freeze) -> Result<Exit, Fault> {
    console.message("Freeze", freeze, |color| {
        overview(std::slice::from_ref(freeze), color)
    })?;
    Ok(Exit::Done)
}

/// One row for each.
fn overview(freezes: &[pb::Freeze], color: bool) -> String {
    let rows = freezes.iter().map(|freeze| {
        let (state, tone) = state(freeze);
        vec![
            freeze.name.as_str().into(),
            Entry::toned(state, tone),
            window(freeze).into(),
            all_or(&freeze.projects).into(),
            all_or(&freeze.environments).into(),
            show::role(freeze.override_role()).into(),
            show::or_dash(&freeze.because).into(),
        ]
    });
    let heading = [
        "FREEZE",
        "STATE",
        "WINDOW",
        "PROJECTS",
        "ENVIRONMENTS",
        "OVERRIDE",
        "BECAUSE",
    ];
    table(&heading, rows.collect(), color)
}

fn state(freeze: &pb::Freeze) -> (String, Tone) {
    let time =
        |at: Option<&prost_types::Timestamp>| show::instant(at).map_or_else(|| "-".to_owned(), show::moment);
    match freeze.state() {
        FreezeState::Unspecified => ("-".to_owned(), Tone::Plain),
        FreezeState::InForce => (
            format!("in force until {}", time(freeze.window_end.as_ref())),
            Tone::Busy,
        ),
        FreezeState::Ahead => (
            format!("from {}", time(freeze.window_start.as_ref())),
            Tone::Plain,
        ),
        FreezeState::Over => ("over".to_owned(), Tone::Plain),
    }
}

fn window(freeze: &pb::Freeze) -> String {
    match freeze.every.as_str() {
        "" => "once".to_owned(),
        every => format!("{every}, {}", freeze.timezone),
    }
}

fn all_or(names: &[String]) -> String {
    match names {
        [] => "all".to_owned(),
        names => names.join(", "),
    }
}
