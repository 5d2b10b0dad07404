//! What an agent of the tests plans and reads, for a test to change.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use towline_proto::agent::v1 as proto;

/// The account that an agent lives in.
#[derive(Clone, Default)]
pub struct Account {
    /// The account has changed so: every plan is another one.
    plan: Arc<Mutex<String>>,
    /// Of parameters by name, and of outputs by stack/output: their text, or the
    /// reason why they cannot be read.
    values: Arc<Mutex<BTreeMap<String, Result<String, String>>>>,
    pub reads: Arc<AtomicUsize>,
}

impl Account {
    pub fn changes(&self, how: &str) {
        *self.plan.lock().expect("a lock") = how.to_owned();
    }

    pub fn holds(&self, name: &str, value: Result<&str, &str>) {
        let value = value.map(str::to_owned).map_err(str::to_owned);
        self.values.lock().expect("a lock").insert(name.to_owned(), value);
    }

    /// How often it was asked for values.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub fn plan_of(
        &self,
        update: &proto::ServiceUpdatePlan,
        asked: &proto::UpdateServiceRequest,
    ) -> proto::ServiceUpdatePlan {
        let how = self.plan.lock().expect("a lock").clone();
        let environment = asked.containers.iter().filter_map(|it| it.environment.as_ref());
        let mut set: Vec<String> = environment
            .flat_map(|it| &it.set)
            .map(|(name, value)| format!("{name}{value}"))
            .collect();
        set.sort();
        let told = set.join("") + &how;
        let plain: String = told.chars().filter(char::is_ascii_alphanumeric).collect();
        let change = proto::DefinitionChange {
            path: "cpu".to_owned(),
            before: "256".to_owned(),
            after: format!("\"{told}\""),
        };
        proto::ServiceUpdatePlan {
            hash: format!("4f2a{plain}"),
            changes: Vec::from_iter((!told.is_empty()).then_some(change)),
            ..update.clone()
        }
    }

    pub fn read(&self, source: proto::ValueSource) -> proto::ReadValue {
        use proto::{read_value::Result as Read, value_source::Source};
        let name = match source.source.as_ref().expect("a source") {
            Source::Parameter(name) => name.clone(),
            Source::StackOutput(it) => format!("{}/{}", it.stack, it.output),
        };
        let known = self.values.lock().expect("a lock").get(&name).cloned();
        let result = match known.unwrap_or_else(|| Err("not_found".to_owned())) {
            Ok(value) => Read::Found(proto::FoundValue {
                value,
                ..Default::default()
            }),
            Err(reason) => Read::Failure(proto::ValueFailure {
                message: format!("{name}: {reason}"),
                hint: "see the account".to_owned(),
                reason,
            }),
        };
        proto::ReadValue {
            source: Some(source),
            result: Some(result),
        }
    }
}
