//! Telling receivers what happens. One task ([`Engine::fill_outbox`]) follows
//! the log of events and queues what subscriptions want; a courier for each
//! subscription delivers its queue in order, so that a slow receiver holds up
//! nobody else. An event is taken off the queue only when its receiver said
//! that it has it: after a kill it may be told twice, with the same id.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Caller, Engine, EngineError, Page, Paged, lock};
use crate::{
    domain::{
        deployment::OperationState,
        notification::{
            self, Destination, Format, Happening, Next, Problem, Subscription, cloud_event, next_attempt,
            slack_message,
        },
    },
    store::{
        AuditedCall, CommitPoint, StoreError,
        deployments::deployment,
        drift::newest_cursor,
        outbox::{self, NewDelivery, StoredDelivery, StoredNotification, happenings_after, next_delivery},
    },
    webhook::{Answer, Parcel, Poster, Url},
};

/// Events that are looked at together.
const BATCH: u32 = 200;
/// Events that nobody wanted are passed without a commit, up to so many.
const PASSED: i64 = 2_000;
/// How many deliveries are shown of a notification.
const SHOWN: u32 = 50;
/// When the outbox is tried again after the database refused.
const AFTER_A_FAULT: std::time::Duration = std::time::Duration::from_secs(5);

/// What the engine keeps for it.
pub(super) struct Couriers {
    /// The orchestrator's directory: files are named relative to it.
    pub dir: PathBuf,
    /// "//towline.example.com:7443"
    pub source: String,
    poster: OnceLock<Poster>,
    /// Who is on the way, and how to stop them.
    sent: Mutex<HashMap<String, CancellationToken>>,
    /// Changes with every change of the outbox.
    queued: watch::Sender<u64>,
}

impl Couriers {
    pub fn new(dir: PathBuf, public_address: &str) -> Self {
        Self {
            dir,
            source: format!("//{public_address}"),
            poster: OnceLock::new(),
            sent: Mutex::default(),
            queued: watch::Sender::new(0),
        }
    }
}

/// How one attempt went.
struct Attempt {
    status: u16,
    retry_after: Option<std::time::Duration>,
    /// `None` when the receiver took it.
    problem: Option<String>,
}

impl Engine {
    /// Adds a receiver; it is told what happens from now on.
    pub async fn create_notification(
        &self,
        caller: &Caller,
        subscription: Subscription,
    ) -> Result<StoredNotification, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let cursor = newest_cursor(tx.connection()).await?;
        let by = caller.operator.to_string();
        if !tx
            .put_notification(&subscription, &by, self.now(), cursor)
            .await?
        {
            return Err(EngineError::Conflict {
                reason: "notification_exists",
                message: format!("there is a notification {} already", subscription.name),
                hint: "choose another name, or remove it first: towline notification remove".to_owned(),
            });
        }
        self.0.store.commit(tx, CommitPoint::NotificationChanged).await?;
        self.send_couriers().await?;
        self.notification(&subscription.name).await
    }

    /// By name.
    pub async fn notifications(&self, page: Page) -> Result<Paged<StoredNotification>, EngineError> {
        let limit = page.limit();
        let all = outbox::notifications(&mut *self.0.store.reader().await?).await?;
        let after = all.into_iter().filter(|it| it.subscription.name > page.token);
        Ok(super::queries::paged(
            after.take(limit as usize + 1).collect(),
            limit,
            |it: &StoredNotification| it.subscription.name.clone(),
            |it| it,
        ))
    }

    pub async fn notification(&self, name: &str) -> Result<StoredNotification, EngineError> {
        let found = outbox::notification(&mut *self.0.store.reader().await?, name).await?;
        found.ok_or_else(|| no_notification(name))
    }

    /// What waits, what was given up on, and what was delivered last.
    pub async fn deliveries(&self, name: &str) -> Result<Vec<StoredDelivery>, EngineError> {
        Ok(outbox::deliveries(&mut *self.0.store.reader().await?, name, SHOWN).await?)
    }

    /// Takes a receiver away; how much was still to be told.
    pub async fn remove_notification(&self, name: &str) -> Result<i64, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let dropped = tx.remove_notification(name).await?;
        let dropped = dropped.ok_or_else(|| no_notification(name))?;
        AuditedCall::tell("dropped", dropped);
        self.0.store.commit(tx, CommitPoint::NotificationChanged).await?;
        self.send_couriers().await?;
        Ok(dropped)
    }

    /// Queues again what was given up on; how much.
    pub async fn retry_notification(&self, name: &str) -> Result<i64, EngineError> {
        self.notification(name).await?;
        let mut tx = self.0.store.begin().await?;
        let revived = tx.revive(name, self.now()).await?;
        if revived > 0 {
            AuditedCall::tell("retried", revived);
            self.0.store.commit(tx, CommitPoint::OutboxChanged).await?;
            self.announce_outbox();
        }
        Ok(revived)
    }

    /// Sends one event to a receiver now, beside its queue: the receiver's
    /// status (0 without an answer), and what went wrong.
    pub async fn test_notification(&self, name: &str) -> Result<(u16, Option<String>), EngineError> {
        let subscription = self.notification(name).await?.subscription;
        let happening = Happening {
            at: self.now(),
            kind: "test".to_owned(),
            message: format!("a test of notification {name}"),
            project: subscription.project.clone().unwrap_or_else(|| "test".to_owned()),
            environment: subscription.environment.clone().unwrap_or_default(),
            ..Happening::default()
        };
        let (body, id) = (self.body(&subscription, &happening), happening.id().to_string());
        let attempt = self.post(&subscription, &id, body).await;
        AuditedCall::tell("http_status", attempt.status);
        AuditedCall::note_done();
        Ok((attempt.status, attempt.problem))
    }

    /// Queues what happens for those who want to be told, until `stop`.
    pub(super) async fn fill_outbox(&self, stop: CancellationToken) {
        let clock = self.0.seams.clock;
        let mut commits = self.0.store.commits();
        let mut passed = HashMap::new();
        loop {
            commits.mark_unchanged();
            let again = match self.queue_news(&mut passed).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "cannot queue notifications; tries again"
                    );
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = clock.sleep(AFTER_A_FAULT) => true,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = commits.changed(), if !again => if changed.is_err() { return },
                () = std::future::ready(()), if again => {}
            }
        }
    }

    /// One round over all subscriptions; true when there is more to look at.
    /// `passed` is how far events were looked at that nobody wanted.
    async fn queue_news(&self, passed: &mut HashMap<String, i64>) -> Result<bool, EngineError> {
        let mut connection = self.0.store.reader().await?;
        let subscriptions = outbox::notifications(&mut connection).await?;
        if subscriptions.is_empty() {
            return Ok(false);
        }
        let newest = newest_cursor(&mut connection).await?;
        let mut more = false;
        for stored in subscriptions {
            let name = &stored.subscription.name;
            let after = passed.get(name).copied().unwrap_or(0).max(stored.cursor);
            if after >= newest {
                continue;
            }
            let happenings = happenings_after(&mut connection, after, BATCH).await?;
            let Some(last) = happenings.last().map(|last| last.cursor) else {
                continue;
            };
            more |= last < newest;
            let mut wanted = Vec::new();
            for mut happening in happenings {
                if stored.subscription.wants(&happening) {
                    happening.problems = problems(&mut connection, &happening).await?;
                    wanted.push(self.delivery(&stored.subscription, &happening));
                }
            }
            passed.insert(name.clone(), last);
            if !wanted.is_empty() || last - stored.cursor > PASSED {
                let mut tx = self.0.store.begin().await?;
                tx.queue(name, &wanted, last, self.now()).await?;
                self.0.store.commit(tx, CommitPoint::OutboxChanged).await?;
                self.announce_outbox();
            }
        }
        Ok(more)
    }

    fn delivery(&self, subscription: &Subscription, happening: &Happening) -> NewDelivery {
        NewDelivery {
            cursor: happening.cursor,
            event_id: happening.id().to_string(),
            event_type: happening.event_type(),
            body: self.body(subscription, happening),
            summary: happening.summary(),
        }
    }

    fn body(&self, subscription: &Subscription, happening: &Happening) -> String {
        match subscription.format {
            Format::CloudEvents => cloud_event(happening, &self.0.couriers.source).to_string(),
            Format::Slack => slack_message(happening).to_string(),
        }
    }

    fn announce_outbox(&self) {
        self.0.couriers.queued.send_modify(|count| *count += 1);
    }

    /// A courier for each subscription that has none; those of removed ones stop.
    pub(super) async fn send_couriers(&self) -> Result<(), EngineError> {
        let subscriptions = outbox::notifications(&mut *self.0.store.reader().await?).await?;
        let names: Vec<String> = subscriptions.into_iter().map(|it| it.subscription.name).collect();
        let mut sent = lock(&self.0.couriers.sent);
        sent.retain(|name, stop| {
            let keep = names.contains(name);
            if !keep {
                stop.cancel();
            }
            keep
        });
        for name in names {
            sent.entry(name.clone()).or_insert_with(|| {
                let stop = self.0.stop.child_token();
                let (engine, stopped) = (self.clone(), stop.clone());
                self.0.tasks.spawn(async move {
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = engine.deliver_all(&name) => {}
                    }
                });
                stop
            });
        }
        Ok(())
    }

    /// Delivers a queue in its order, for as long as the subscription is there.
    async fn deliver_all(&self, name: &str) {
        let clock = self.0.seams.clock;
        let mut queued = self.0.couriers.queued.subscribe();
        loop {
            queued.mark_unchanged();
            let pause = match self.deliver_next(name).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(
                        notification = name,
                        error = format!("{error:#}"),
                        "a courier failed; tries again"
                    );
                    Pause::Until(self.now().saturating_add(AFTER_A_FAULT).unwrap_or(Timestamp::MAX))
                }
            };
            match pause {
                Pause::None => {}
                Pause::UntilQueued => drop(queued.changed().await),
                Pause::Until(at) => tokio::select! {
                    _ = queued.changed() => {}
                    () = clock.sleep_until(at) => {}
                },
            }
        }
    }

    async fn deliver_next(&self, name: &str) -> Result<Pause, EngineError> {
        let mut connection = self.0.store.reader().await?;
        let (Some(stored), Some(delivery)) = (
            outbox::notification(&mut connection, name).await?,
            next_delivery(&mut connection, name).await?,
        ) else {
            return Ok(Pause::UntilQueued);
        };
        drop(connection);
        if delivery.next_at > self.now() {
            return Ok(Pause::Until(delivery.next_at));
        }
        let attempt = self
            .post(&stored.subscription, &delivery.event_id, delivery.body.clone())
            .await;
        self.note_attempt(name, &delivery, attempt).await?;
        Ok(Pause::None)
    }

    async fn note_attempt(
        &self,
        name: &str,
        delivery: &StoredDelivery,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut tx = self.0.store.begin().await?;
        match attempt.problem {
            None => tx.note_delivered(name, delivery.number, now).await?,
            Some(problem) => {
                let next = next_attempt(
                    delivery.first_tried_at.unwrap_or(now),
                    delivery.attempts + 1,
                    now,
                    self.0.record.give_up_after,
                    attempt.retry_after,
                    self.0
                        .seams
                        .random
                        .up_to(std::time::Duration::from_secs(1))
                        .as_secs_f64(),
                );
                let next = match next {
                    Next::At(at) => Some(at),
                    Next::Dead => None,
                };
                tracing::warn!(
                    notification = name,
                    event = delivery.event_id,
                    problem,
                    given_up = next.is_none(),
                    "a notification was not delivered"
                );
                tx.note_undelivered(name, delivery.number, &problem, (now, next))
                    .await?;
            }
        }
        self.0.store.commit(tx, CommitPoint::OutboxChanged).await
    }

    /// Posts once.
    async fn post(&self, subscription: &Subscription, id: &str, body: String) -> Attempt {
        let answer = async {
            let parcel = self.parcel(subscription, id, body).await?;
            let poster = self.0.couriers.poster.get_or_init(|| {
                Poster::new(
                    self.0.seams.clone(),
                    self.0.record.ca_file.clone(),
                    self.0.tasks.clone(),
                )
            });
            poster.post(parcel).await
        };
        match answer.await {
            Ok(answer) => Attempt {
                status: answer.status,
                retry_after: answer.retry_after,
                problem: (!answer.is_taken()).then(|| Answer::problem(&answer)),
            },
            Err(problem) => Attempt {
                status: 0,
                retry_after: None,
                problem: Some(problem),
            },
        }
    }

    async fn parcel(&self, subscription: &Subscription, id: &str, body: String) -> Result<Parcel, String> {
        let url = match &subscription.destination {
            Destination::Url(url) => url.clone(),
            Destination::UrlFile(file) => self.secret(file).await?,
        };
        let url = Url::parse(&url).map_err(|why| format!("the URL {why}"))?;
        let mut headers = Vec::new();
        if let Some(file) = &subscription.secret_file {
            let secret = self.secret(file).await?;
            let timestamp = self.now().as_second();
            headers.push(("webhook-signature", signature(&secret, id, timestamp, &body)?));
            headers.push(("webhook-timestamp", timestamp.to_string()));
        }
        headers.push(("webhook-id", id.to_owned()));
        Ok(Parcel {
            url,
            content_type: match subscription.format {
                Format::CloudEvents => "application/cloudevents+json; charset=utf-8",
                Format::Slack => "application/json; charset=utf-8",
            },
            headers,
            body,
        })
    }

    /// What a file on this machine holds; read anew each time, so that it can be changed.
    async fn secret(&self, file: &str) -> Result<String, String> {
        let path = self.0.couriers.dir.join(file);
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        match text.trim() {
            "" => Err(format!("{} is empty", path.display())),
            text => Ok(text.to_owned()),
        }
    }
}

/// What a courier waits for.
enum Pause {
    None,
    UntilQueued,
    Until(Timestamp),
}

/// Standard Webhooks: HMAC-SHA256 in base64, of a secret as it is written or of
/// what is behind `whsec_` in base64.
fn signature(secret: &str, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    use aws_lc_rs::hmac;
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| "the secret begins with whsec_ and is not base64 behind it".to_owned())?,
        None => secret.as_bytes().to_vec(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, notification::signed_text(id, timestamp, body).as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

/// The operations that did not end well, of a deployment that has ended.
async fn problems(
    connection: &mut sqlx::SqliteConnection,
    happening: &Happening,
) -> Result<Vec<Problem>, StoreError> {
    let ended = happening.kind == "deployment_finished" && happening.state != "succeeded";
    let Some(id) = ended.then(|| happening.deployment.parse().ok()).flatten() else {
        return Ok(Vec::new());
    };
    let Some(stored) = deployment(connection, id).await? else {
        return Ok(Vec::new());
    };
    let problem = |operation: &crate::domain::deployment::Operation| match &operation.state {
        OperationState::Ended { outcome, .. } if !outcome.verdict.is_good() => Some(Problem {
            service: operation.slot.service.to_string(),
            target: operation.slot.target.to_string(),
            verdict: outcome.verdict.to_string(),
            reason: outcome.reason.clone(),
            summary: outcome.summary.clone(),
            hint: outcome.hint.clone(),
        }),
        _ => None,
    };
    Ok(stored.deployment.operations.iter().filter_map(problem).collect())
}

fn no_notification(name: &str) -> EngineError {
    EngineError::NotFound {
        what: "notification",
        name: name.to_owned(),
        hint: "`towline notification list` shows those that are there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own test suites.
    #[test]
    fn a_signature_is_the_one_of_standard_webhooks() {
        let made = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            made.as_deref(),
            Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert!(signature("whsec_?", "m", 1, "").is_err());
    }
}
