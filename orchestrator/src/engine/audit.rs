//! The audit log: the entries of calls that committed nothing, and reading,
//! exporting and checking all of it. The entry of a change is written by the
//! change's own commit (`store::audit`).

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;

use super::{Engine, EngineError, Page, Paged};
use crate::{
    domain::audit::{Broken, Hash, Verifier},
    store::{AuditFilter, AuditedCall, CommitPoint, StoreError, audit::StoredEntry},
};

/// Entries that are read at once.
const PART: u32 = 500;

/// What a check of the whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerification {
    /// Entries from the first on that are whole.
    pub entries: i64,
    /// The last of them.
    pub last: Option<(i64, Hash)>,
    pub broken: Option<Broken>,
}

impl Engine {
    /// The end of a call that is audited: writes its entry when no commit did.
    /// A refusal is an entry also when something was committed before it.
    pub async fn conclude_audit(&self, call: &AuditedCall, refusal: Option<Value>) {
        if call.is_recorded() && refusal.is_none() {
            return;
        }
        let entry = call.of_answer(refusal);
        let written: Result<(), StoreError> = async {
            let mut tx = self.0.store.begin().await?;
            tx.audit(&entry).await?;
            self.0.store.commit(tx, CommitPoint::CallAudited).await
        }
        .await;
        if let Err(error) = written {
            tracing::error!(
                identity = entry.identity,
                rpc = entry.rpc,
                outcome = entry.outcome.as_str(),
                error = ?error,
                "a call that changed nothing could not be written to the audit log"
            );
        }
    }

    /// Newest first.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<StoredEntry>, EngineError> {
        let (limit, before) = (page.limit(), page.before()?);
        let found = self.0.store.audit_before(filter, before, limit + 1).await?;
        Ok(super::queries::paged(
            found,
            limit,
            |stored| stored.entry.number.to_string(),
            |stored| stored,
        ))
    }

    /// After which entry an export begins; `None` when there is nothing in it.
    pub async fn audit_export_start(&self, since: Option<Timestamp>) -> Result<Option<i64>, EngineError> {
        match since {
            None => Ok(Some(0)),
            Some(since) => Ok(self
                .0
                .store
                .first_audit_since(since)
                .await?
                .map(|first| first - 1)),
        }
    }

    /// The next lines of an export, and after which entry it goes on.
    pub async fn audit_lines(&self, after: i64) -> Result<(Vec<String>, i64), EngineError> {
        let found = self.0.store.audit_after(after, PART).await?;
        let mut lines = Vec::with_capacity(found.len());
        let mut last = after;
        for (number, entry) in found {
            let entry = entry.with_context(|| {
                format!("entry {number} of the audit log cannot be read\nhint: towline audit verify")
            })?;
            lines.push(entry.line());
            last = number;
        }
        Ok((lines, last))
    }

    /// Computes every hash anew. With `known`, an entry from an export, that
    /// one has to be there: who can write the whole log anew, or cut its end
    /// off, cannot do it unseen by those who kept an export.
    pub async fn verify_audit(&self, known: Option<(i64, Hash)>) -> Result<AuditVerification, EngineError> {
        let mut verifier = Verifier::default();
        let broken = self.first_broken(&mut verifier, known).await?;
        Ok(AuditVerification {
            entries: verifier.entries(),
            last: verifier.last(),
            broken,
        })
    }

    async fn first_broken(
        &self,
        verifier: &mut Verifier,
        known: Option<(i64, Hash)>,
    ) -> Result<Option<Broken>, EngineError> {
        let ever = self.0.store.audit_ever().await?;
        loop {
            let after = verifier.last().map_or(0, |(number, _)| number);
            let found = self.0.store.audit_after(after, PART).await?;
            if found.is_empty() {
                break;
            }
            for (number, entry) in found {
                if after == 0 && verifier.last().is_none() && number != 1 {
                    return Ok(Some(missing(1)));
                }
                let taken = match entry {
                    Ok(entry) => verifier.take(&entry.line()).map(|()| entry.hash),
                    Err(error) => Err(Broken {
                        number,
                        reason: format!("it cannot be read: {error}"),
                    }),
                };
                match (taken, known) {
                    (Ok(hash), Some((known, other))) if known == number && other != hash => {
                        let reason = "it is another than the one in the export".to_owned();
                        return Ok(Some(Broken { number, reason }));
                    }
                    (Ok(_), _) => {}
                    (Err(broken), _) => return Ok(Some(broken)),
                }
            }
        }
        let last = verifier.last().map_or(0, |(number, _)| number);
        let should = ever.max(known.map_or(0, |(number, _)| number));
        Ok((last < should).then(|| missing(last + 1)))
    }
}

fn missing(number: i64) -> Broken {
    Broken {
        number,
        reason: "it is missing".to_owned(),
    }
}
