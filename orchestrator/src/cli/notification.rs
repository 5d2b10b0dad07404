//! `towline notification …`: who is told what happens, and whether it arrives.

use clap::{Args, Subcommand, ValueEnum};
use towline_proto::orchestrator::v1 as pb;

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
    show::{self, Tone},
    table::{Entry, table},
};

/// Receivers that are told what happens: webhooks (CloudEvents 1.0) and Slack.
#[derive(Args, Debug)]
pub struct Notification {
    #[command(subcommand)]
    verb: NotificationVerb,
}

#[derive(Debug, Subcommand)]
enum NotificationVerb {
    Create(Create),
    List(List),
    Show(Show),
    Test(Test),
    Retry(Retry),
    Remove(Remove),
}

/// Tells a receiver what happens from now on.
///
/// Events are posted in their order, at least once, and tried again with growing
/// pauses until the receiver answers 2xx or `give_up_days` (towline.toml) are
/// over. With a secret every post is signed as Standard Webhooks has it: header
/// webhook-signature, HMAC-SHA256 over id, timestamp and body.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification create ops --url https://ops.example.com/towline --on deployment_failed,deployment_errored
  towline notification create audit --url https://siem.example.com/in --on all --secret-file secrets/siem
  towline notification create team --format slack --url-file secrets/slack --project shop --environment prod --on deployment_finished,approval_requested,drift_found

Files are the orchestrator's: a path on its machine, relative to its directory.")]
struct Create {
    /// Its name.
    name: String,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = WireFormat::Cloudevents, value_name = "FORMAT")]
    format: WireFormat,
    /// Where to: https, or http to the orchestrator's own machine.
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "url_file",
        conflicts_with = "url_file"
    )]
    url: Option<String>,
    /// The file on the orchestrator's machine that holds the URL, where that is a secret.
    #[arg(long, value_name = "FILE")]
    url_file: Option<String>,
    /// The file on the orchestrator's machine that holds the secret to sign with.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
    /// Only of this project.
    #[arg(long, value_name = "PROJECT", default_value = "")]
    project: String,
    /// Only in this environment.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "")]
    environment: String,
    /// Kinds of events: all, deployment_finished, deployment_failed, operation_failed,
    /// approval_requested, intervention_requested, drift_found, drift_gone, …
    #[arg(long, value_name = "KIND", required = true, value_delimiter = ',')]
    on: Vec<String>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WireFormat {
    /// CloudEvents 1.0 in structured mode: application/cloudevents+json.
    Cloudevents,
    /// An incoming webhook of Slack.
    Slack,
}

/// Lists the receivers, with what waits and what went wrong.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification list
  towline notification list --output json")]
struct List {}

/// Shows one receiver, what waits for it, and what could not be delivered.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification show ops")]
struct Show {
    /// Its name.
    name: String,
}

/// Sends an event of the type dev.towline.test now, and says what the receiver answered.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification test ops")]
struct Test {
    /// Its name.
    name: String,
}

/// Tries those events once more that were given up on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification retry ops")]
struct Retry {
    /// Its name.
    name: String,
}

/// Takes a receiver away; what waits for it is dropped.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline notification remove ops")]
struct Remove {
    /// Its name.
    name: String,
}

impl Notification {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            NotificationVerb::Create(verb) => verb.run(api, console).await,
            NotificationVerb::List(_) => list(api, console).await,
            NotificationVerb::Show(verb) => show_one(verb.name, api, console).await,
            NotificationVerb::Test(verb) => test(verb.name, api, console).await,
            NotificationVerb::Retry(verb) => retry(verb.name, api, console).await,
            NotificationVerb::Remove(verb) => remove(verb.name, api, console).await,
        }
    }
}

impl Create {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let format = match self.format {
            WireFormat::Cloudevents => pb::NotificationFormat::Cloudevents,
            WireFormat::Slack => pb::NotificationFormat::Slack,
        };
        let request = pb::CreateNotificationRequest {
            name: self.name.clone(),
            format: format.into(),
            url: self.url.unwrap_or_default(),
            url_file: self.url_file.unwrap_or_default(),
            secret_file: self.secret_file.unwrap_or_default(),
            project: self.project,
            environment: self.environment,
            kinds: self.on,
        };
        let created = api.notifications.create_notification(request).await?.into_inner();
        console.message("CreateNotificationResponse", &created, |_| {
            format!("notification {} is told what happens from now on", self.name)
        })?;
        if console.format == Format::Table {
            console.talk(&format!("try it: towline notification test {}", self.name))?;
        }
        Ok(Exit::Done)
    }
}

async fn list(api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let mut all = pb::ListNotificationsResponse::default();
    loop {
        let request = pb::ListNotificationsRequest {
            page_size: 0,
            page_token: all.next_page_token,
        };
        let page = api.notifications.list_notifications(request).await?.into_inner();
        all.notifications.extend(page.notifications);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    let now = api.now();
    console.message("ListNotificationsResponse", &all, |color| {
        let rows = all.notifications.iter().map(|it| {
            vec![
                it.name.as_str().into(),
                format(it).into(),
                destination(it).into(),
                scope(it).into(),
                it.kinds.join("\n").into(),
                standing(it, now),
            ]
        });
        table(
            &["NOTIFICATION", "FORMAT", "TO", "OF", "ON", "DELIVERIES"],
            rows.collect(),
            color,
        )
    })?;
    if all.notifications.is_empty() {
        console.talk("nobody is told: towline notification create NAME --url URL --on deployment_failed")?;
    }
    Ok(Exit::Done)
}

fn format(it: &pb::Notification) -> &'static str {
    match it.format() {
        pb::NotificationFormat::Unspecified => "-",
        pb::NotificationFormat::Cloudevents => "cloudevents",
        pb::NotificationFormat::Slack => "slack",
    }
}

fn destination(it: &pb::Notification) -> String {
    match it.url_file.as_str() {
        "" => it.url.clone(),
        file => format!("as {file} says"),
    }
}

fn scope(it: &pb::Notification) -> String {
    match (it.project.as_str(), it.environment.as_str()) {
        ("", "") => "everything".to_owned(),
        (project, "") => project.to_owned(),
        ("", environment) => format!("*/{environment}"),
        (project, environment) => format!("{project}/{environment}"),
    }
}

fn standing(it: &pb::Notification, now: jiff::Timestamp) -> Entry {
    let mut lines = vec![match &it.last_delivery_time {
        Some(at) => format!(
            "{} delivered, the last {}",
            it.delivered,
            show::ago(Some(at), now)
        ),
        None => "none delivered".to_owned(),
    }];
    if it.waiting > 0 {
        lines.push(format!("{} waiting", it.waiting));
    }
    if it.dead > 0 {
        lines.push(format!("{} given up on", it.dead));
    }
    if !it.last_problem.is_empty() {
        lines.push(it.last_problem.clone());
    }
    let tone = match (it.dead > 0 || !it.last_problem.is_empty(), it.waiting > 0) {
        (true, _) => Tone::Bad,
        (false, true) => Tone::Busy,
        (false, false) => Tone::Plain,
    };
    Entry::toned(lines.join("\n"), tone)
}

async fn show_one(name: String, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let request = pb::GetNotificationRequest { name };
    let found = api.notifications.get_notification(request).await?.into_inner();
    let now = api.now();
    console.message("GetNotificationResponse", &found, |color| {
        let it = found.notification.clone().unwrap_or_default();
        let signed = match it.secret_file.as_str() {
            "" => "not signed".to_owned(),
            file => format!("signed with what is in {file}"),
        };
        let head = format!(
            "{}: {} to {}, {signed}\nof {} on {}\n",
            it.name,
            format(&it),
            destination(&it),
            scope(&it),
            it.kinds.join(", "),
        );
        let rows = found.deliveries.iter().map(|it| {
            let (state, tone) = match it.state.as_str() {
                "delivered" => ("delivered".to_owned(), Tone::Good),
                "dead" => ("given up on".to_owned(), Tone::Bad),
                _ if it.attempts > 0 => (
                    format!("waiting, next try {}", moment(it.next_attempt_time.as_ref())),
                    Tone::Busy,
                ),
                other => (other.to_owned(), Tone::Busy),
            };
            let problem = show::or_dash(&it.problem).to_owned();
            vec![
                show::ago(it.event_time.as_ref(), now).into(),
                it.summary.as_str().into(),
                Entry::toned(state, tone),
                it.attempts.to_string().into(),
                problem.into(),
            ]
        });
        let heading = ["QUEUED", "EVENT", "STATE", "TRIES", "PROBLEM"];
        format!("{head}\n{}", table(&heading, rows.collect(), color))
    })?;
    Ok(Exit::Done)
}

fn moment(time: Option<&prost_types::Timestamp>) -> String {
    show::instant(time).map_or_else(|| "-".to_owned(), |at| at.strftime("%m-%d %H:%M:%SZ").to_string())
}

async fn test(name: String, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let request = pb::TestNotificationRequest { name: name.clone() };
    let tested = api.notifications.test_notification(request).await?.into_inner();
    if !tested.problem.is_empty() && console.format == Format::Table {
        return Err(Fault::local(format!("notification {name}: {}", tested.problem)));
    }
    console.message("TestNotificationResponse", &tested, |_| {
        format!("the receiver of {name} answered {}", tested.http_status)
    })?;
    Ok(if tested.problem.is_empty() {
        Exit::Done
    } else {
        Exit::Local
    })
}

async fn retry(name: String, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let request = pb::RetryNotificationRequest { name };
    let retried = api.notifications.retry_notification(request).await?.into_inner();
    console.message("RetryNotificationResponse", &retried, |_| match retried.retried {
        0 => "nothing was given up on".to_owned(),
        1 => "one event waits again".to_owned(),
        many => format!("{many} events wait again"),
    })?;
    Ok(Exit::Done)
}

async fn remove(name: String, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
    let request = pb::RemoveNotificationRequest { name: name.clone() };
    let removed = api.notifications.remove_notification(request).await?.into_inner();
    console.message("RemoveNotificationResponse", &removed, |_| {
        match removed.dropped {
            0 => format!("removed {name}"),
            dropped => format!("removed {name}, and {dropped} that waited for it"),
        }
    })?;
    Ok(Exit::Done)
}
