//! `towline audit list`, `export` and `verify`: who changed what, and whether
//! the log of it is whole.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};
use towline_proto::orchestrator::v1 as pb;

use super::{
    Global,
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
    show::{self, Tone},
    table::{Entry, table},
    with_api,
};
use crate::domain::audit::{Hash, Verifier};

/// Who changed what, when, and how it ended: every call that changes something,
/// refused ones too.
#[derive(Args, Debug)]
pub struct Audit {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    List(List),
    Export(Export),
    Verify(Verify),
}

/// Lists entries, newest first.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline audit list
  towline audit list --identity ann --since 7d
  towline audit list --rpc PromoteRelease --limit 100 --output json")]
struct List {
    /// Only what this operator or agent did.
    #[arg(long, value_name = "NAME", default_value = "")]
    identity: String,
    /// Only calls of this RPC, as the log names it.
    #[arg(long, value_name = "RPC", default_value = "")]
    rpc: String,
    /// Only since then: 2026-11-24, 2026-11-24T09:00:00Z, or an age (12h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
}

/// Prints the log, oldest entry first, each line with its hashes.
///
/// Keep exports outside of the orchestrator: with one, `verify` also finds out
/// that the log's end was cut off or that all of it was written anew.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline audit export > audit.jsonl
  towline audit export --format jsonl --since 2026-11-01 > november.jsonl")]
struct Export {
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl, value_name = "FORMAT")]
    format: ExportFormat,
    /// Only since then: 2026-11-24, 2026-11-24T09:00:00Z, or an age (12h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
}

/// Computes every hash anew, and names the first entry that was altered, removed
/// or added.
///
/// Without a file the orchestrator checks its whole log. With one the file alone
/// is checked, on this machine, without the orchestrator; `--against-server`
/// then asks it whether its log still holds the file's last entry.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline audit verify
  towline audit verify --file audit.jsonl
  towline audit verify --file audit.jsonl --against-server

Exit code 1 when an entry is not as it was written.")]
struct Verify {
    /// An export; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Check also that the orchestrator's log holds what the file ends with.
    #[arg(long, requires = "file")]
    against_server: bool,
}

impl Audit {
    pub fn run(self, global: &Global, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            AuditVerb::List(verb) => with_api(global, async |api| verb.run(api, console).await),
            AuditVerb::Export(verb) => with_api(global, async |api| verb.run(api, console).await),
            AuditVerb::Verify(verb) => verb.run(global, console),
        }
    }
}

impl List {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::ListAuditEntriesRequest {
            page_size: self.limit,
            page_token: String::new(),
            identity: self.identity,
            rpc: self.rpc,
            since: self.since.map(|since| since.wire(api.now())),
        };
        let found = api.audit.list_audit_entries(request).await?.into_inner();
        console.message("ListAuditEntriesResponse", &found, |color| {
            let rows = found.entries.iter().map(|entry| {
                let tone = match entry.outcome.as_str() {
                    "refused" => Tone::Bad,
                    _ => Tone::Plain,
                };
                vec![
                    entry.number.to_string().into(),
                    moment(entry.time.as_ref()).into(),
                    entry.identity.as_str().into(),
                    entry.rpc.as_str().into(),
                    Entry::toned(entry.outcome.as_str(), tone),
                    about(entry).into(),
                ]
            });
            table(
                &["ENTRY", "TIME", "WHO", "WHAT", "OUTCOME", "REQUEST"],
                rows.collect(),
                color,
            )
        })?;
        if !found.next_page_token.is_empty() {
            console.talk("there are older ones: --limit, --since, or towline audit export")?;
        }
        Ok(Exit::Done)
    }
}

/// The request in a line; of a refusal its message.
fn about(entry: &pb::AuditEntry) -> String {
    const WIDTH: usize = 72;
    let result: serde_json::Value = serde_json::from_str(&entry.result).unwrap_or_default();
    let text = match result.get("message").and_then(serde_json::Value::as_str) {
        Some(message) if entry.outcome == "refused" => message,
        _ => entry.request.as_str(),
    };
    let mut short: String = text.chars().take(WIDTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn moment(time: Option<&prost_types::Timestamp>) -> String {
    show::instant(time).map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

impl Export {
    async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let ExportFormat::Jsonl = self.format;
        let request = pb::WatchAuditExportRequest {
            since: self.since.map(|since| since.wire(api.now())),
        };
        let mut parts = api.audit.watch_audit_export(request).await?.into_inner();
        let mut entries = 0;
        while let Some(part) = parts.message().await? {
            entries += part.lines.len();
            console.data(&part.lines.join("\n"))?;
        }
        console.talk(&format!("{entries} entries"))?;
        Ok(Exit::Done)
    }
}

impl Verify {
    fn run(self, global: &Global, console: &mut Console) -> Result<Exit, Fault> {
        let known = match &self.file {
            Some(file) => {
                let checked = check_file(file)?;
                if checked.broken_number == 0 && self.against_server {
                    Some((checked.last_number, checked.last_hash))
                } else {
                    return report(&checked, &file.display().to_string(), console);
                }
            }
            None => None,
        };
        with_api(global, async |api| {
            let (known_number, known_hash) = known.unwrap_or_default();
            let request = pb::GetAuditVerificationRequest {
                known_number,
                known_hash,
            };
            let checked = api.audit.get_audit_verification(request).await?.into_inner();
            report(&checked, "the orchestrator's audit log", console)
        })
    }
}

/// What the orchestrator answers of its own log, of a file.
fn check_file(file: &PathBuf) -> Result<pb::GetAuditVerificationResponse, Fault> {
    let cannot = |error: io::Error| Fault::local(format!("cannot read {}: {error}", file.display()));
    let lines: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(cannot)?)),
    };
    let mut verifier = Verifier::default();
    let mut broken = None;
    for line in lines.lines() {
        if let Err(first) = verifier.take(&line.map_err(cannot)?) {
            broken = Some(first);
            break;
        }
    }
    let (last_number, last_hash) = verifier.last().unwrap_or((0, Hash::NONE));
    let (broken_number, broken_reason) =
        broken.map_or((0, String::new()), |broken| (broken.number, broken.reason));
    Ok(pb::GetAuditVerificationResponse {
        entries: verifier.entries(),
        last_number,
        last_hash: last_hash.to_string(),
        broken_number,
        broken_reason,
    })
}

fn report(
    checked: &pb::GetAuditVerificationResponse,
    what: &str,
    console: &mut Console,
) -> Result<Exit, Fault> {
    let broken = checked.broken_number != 0;
    if broken && console.format == Format::Table {
        return Err(Fault::local(format!(
            "{what} is broken at entry {}: {}",
            checked.broken_number, checked.broken_reason
        ))
        .hint("what comes from this entry on proves nothing; compare with an export or a backup"));
    }
    console.message("GetAuditVerificationResponse", checked, |_| {
        match checked.entries {
            0 => format!("{what} has no entries"),
            entries => format!(
                "{what} is whole: entries {} to {}\nlast hash {}",
                checked.last_number - entries + 1,
                checked.last_number,
                checked.last_hash
            ),
        }
    })?;
    Ok(if broken { Exit::Local } else { Exit::Done })
}

/// A moment, or how long ago.
#[derive(Clone, Copy, Debug)]
enum Since {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Since {
    fn wire(self, now: Timestamp) -> prost_types::Timestamp {
        let at = match self {
            Self::At(at) => at,
            Self::Ago(age) => now.saturating_sub(age).unwrap_or(Timestamp::MIN),
        };
        prost_types::Timestamp {
            seconds: at.as_second(),
            nanos: at.subsec_nanosecond(),
        }
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        if let Ok(date) = text.parse::<Date>()
            && let Ok(start) = date.at(0, 0, 0, 0).to_zoned_datetime(TimeZone::UTC)
        {
            return Ok(Self::At(start.timestamp()));
        }
        let age = text.parse::<Span>().ok();
        age.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .filter(|age| age.is_positive())
            .map(Self::Ago)
            .ok_or_else(|| format!("{text:?} is no date, time or age: 2026-11-24, 2026-11-24T09:00:00Z, 7d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_typed_as_people_do() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let seconds = |text: &str| text.parse::<Since>().map(|since| since.wire(now).seconds);
        assert_eq!(seconds("2026-11-24"), Ok(1_795_478_400));
        assert_eq!(seconds("2026-11-24T00:00:00Z"), Ok(1_795_478_400));
        assert_eq!(seconds("36h"), Ok(1_795_478_400));
        assert_eq!(seconds("1d 12h"), Ok(1_795_478_400));
        assert!(seconds("yesterday").is_err());
    }
}
