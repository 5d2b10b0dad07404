//! The shape of `agent.toml`, and the check from what is written to what is meant.

use std::{ops::Range, path::Path, str::FromStr, time::Duration};

use jiff::SignedDuration;
use serde::Deserialize;
use toml::Spanned;
use towline_agent_domain::policy::{NotReadable, OperatorRule, OperatorRules, Permission, ReadableValues};
use towline_link::identity::{AgentName, OperatorName};

use super::{Config, Fault, Listen, Timing, aws::AwsTable, span::line_and_column};

/// Shortest time between two looks at a rollout: ECS refills 20 reads a second for a whole account.
const SHORTEST_POLL: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    #[serde(default)]
    identity: Option<Spanned<String>>,
    orchestrator: Option<OrchestratorTable>,
    listen: Option<ListenTable>,
    aws: Spanned<AwsTable>,
    #[serde(default)]
    timing: TimingTable,
    #[serde(default)]
    operators: Vec<OperatorTable>,
    values: Option<ValuesTable>,
    #[cfg(feature = "planted-faults")]
    #[serde(default)]
    planted: super::Planted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrchestratorTable {
    address: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenTable {
    address: Spanned<String>,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimingTable {
    poll: Option<Spanned<String>>,
    settle: Option<Spanned<String>>,
    stuck: Option<Spanned<String>>,
    default_deadline: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorTable {
    name: Spanned<String>,
    allow: Vec<Permission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValuesTable {
    allow: Vec<Spanned<String>>,
}

pub(super) fn parse(text: &str, directory: &Path) -> Result<Config, Vec<Fault>> {
    let file: File = toml::from_str(text).map_err(|error| vec![syntax_fault(text, &error)])?;
    let mut check = Check {
        text,
        faults: Vec::new(),
    };
    let name = check.name(&file.name);
    if file.orchestrator.is_none() && file.listen.is_none() {
        check.fault(
            0..0,
            "neither [orchestrator] nor [listen] is there: nobody could reach this agent",
            Some(
                "add `[orchestrator]` with `address = \"host:port\"`, or `[listen]` with `address = \"0.0.0.0:8444\"`",
            ),
        );
    }
    let aws = check.aws(file.aws);
    let config = Config {
        account: file.account.map(|account| check.account(account)),
        identity: directory.join(
            file.identity
                .map_or_else(|| "identity".to_owned(), Spanned::into_inner),
        ),
        orchestrator: file.orchestrator.map(|table| check.address(table.address)),
        listen: file.listen.map(|table| Listen {
            address: check.address(table.address),
            names: table.names,
        }),
        timing: check.timing(file.timing),
        operators: OperatorRules::new(
            file.operators
                .into_iter()
                .map(|rule| check.operator(rule))
                .collect(),
        ),
        values: file
            .values
            .map_or_else(ReadableValues::default, |table| check.values(table)),
        aws,
        #[cfg(feature = "planted-faults")]
        planted: file.planted,
        name: match name {
            Some(name) => name,
            None => return Err(check.in_order()),
        },
    };
    if check.faults.is_empty() {
        Ok(config)
    } else {
        Err(check.in_order())
    }
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
    let message = error.message().trim().to_owned();
    let hint = message
        .contains("unknown field")
        .then(|| "a word that agent.toml does not know; look for a typing error".to_owned());
    Fault {
        line,
        column,
        message,
        hint,
    }
}

/// Collects the faults of one file.
pub(super) struct Check<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn in_order(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults
    }

    pub(super) fn fault(&mut self, at: Range<usize>, message: impl Into<String>, hint: Option<&str>) {
        let (line, column) = line_and_column(self.text, at.start);
        self.faults.push(Fault {
            line,
            column,
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn name(&mut self, name: &Spanned<String>) -> Option<AgentName> {
        match AgentName::from_str(name.get_ref()) {
            Ok(name) => Some(name),
            Err(error) => {
                self.fault(name.span(), error.to_string(), None);
                None
            }
        }
    }

    fn account(&mut self, account: Spanned<String>) -> String {
        let value = account.get_ref();
        if value.len() != 12 || !value.bytes().all(|b| b.is_ascii_digit()) {
            self.fault(
                account.span(),
                format!("account {value:?} is not an AWS account id"),
                Some("12 digits, in quotes"),
            );
        }
        account.into_inner()
    }

    fn address(&mut self, address: Spanned<String>) -> String {
        let port = address
            .get_ref()
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty())
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            self.fault(
                address.span(),
                format!("address {:?} is not host:port", address.get_ref()),
                Some("for example \"towline.example.com:8443\""),
            );
        }
        address.into_inner()
    }

    fn timing(&mut self, table: TimingTable) -> Timing {
        let usual = Timing::default();
        let poll = self.duration("poll", table.poll, SHORTEST_POLL, usual.poll);
        let settle = self.duration("settle", table.settle, Duration::ZERO, usual.settle);
        let least = Duration::from_secs(1);
        let stuck = self.duration("stuck", table.stuck, least, usual.stuck);
        let default_deadline = self.duration(
            "default_deadline",
            table.default_deadline,
            least,
            usual.default_deadline,
        );
        Timing {
            poll,
            settle,
            stuck,
            default_deadline,
        }
    }

    fn duration(
        &mut self,
        key: &str,
        written: Option<Spanned<String>>,
        least: Duration,
        usual: Duration,
    ) -> Duration {
        let Some(written) = written else { return usual };
        let parsed = SignedDuration::from_str(written.get_ref())
            .ok()
            .and_then(|d| Duration::try_from(d).ok());
        match parsed {
            Some(duration) if duration >= least => duration,
            Some(_) => {
                self.fault(written.span(), format!("{key} must be at least {least:?}"), None);
                usual
            }
            None => {
                self.fault(
                    written.span(),
                    format!("{key} {:?} is no duration", written.get_ref()),
                    Some("for example \"3s\", \"500ms\", \"1h 30m\""),
                );
                usual
            }
        }
    }

    fn values(&mut self, table: ValuesTable) -> ReadableValues {
        let mut list = Vec::new();
        for entry in table.allow {
            match entry.get_ref().parse() {
                Ok(readable) => list.push(readable),
                Err(error) => {
                    let error: NotReadable = error;
                    self.fault(
                        entry.span(),
                        error.to_string(),
                        Some("for example \"/shop/*\" (SSM parameters) or \"stack:network\" (a stack's outputs)"),
                    );
                }
            }
        }
        ReadableValues::only(list)
    }

    fn operator(&mut self, rule: OperatorTable) -> OperatorRule {
        let name = rule.name.get_ref().as_str();
        if name != "*"
            && let Err(error) = OperatorName::from_str(name)
        {
            self.fault(
                rule.name.span(),
                error.to_string(),
                Some("an operator's name, or \"*\" for all"),
            );
        }
        OperatorRule {
            operator: rule.name.into_inner(),
            permissions: rule.allow,
        }
    }
}
