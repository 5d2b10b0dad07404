//! Notifications, and the outbox from which they are delivered. What is to be
//! told is derived from the log of events by a cursor: the rows and the cursor
//! are one transaction, so nothing is lost and nothing is queued twice.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{StoreError, WriteTx, as_json, corrupt, from_micros, of_json, to_micros};
use crate::domain::notification::{Happening, Subscription};

/// Deliveries that went well are kept to be looked at, so many of each notification.
const KEPT: i64 = 200;

/// A subscription, and how its deliveries stand.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNotification {
    pub subscription: Subscription,
    pub created_at: Timestamp,
    pub created_by: String,
    /// Events up to here were looked at.
    pub cursor: i64,
    pub waiting: i64,
    pub next_at: Option<Timestamp>,
    pub dead: i64,
    pub delivered: i64,
    pub last_delivered_at: Option<Timestamp>,
    /// Why the newest attempt failed; empty when it did not.
    pub last_problem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    Dead,
}

impl DeliveryState {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        match word {
            "waiting" => Ok(Self::Waiting),
            "delivered" => Ok(Self::Delivered),
            "dead" => Ok(Self::Dead),
            _ => Err(corrupt("a state of a delivery", word)),
        }
    }
}

/// One event on its way to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    pub number: i64,
    /// The CloudEvent's id.
    pub event_id: String,
    pub event_type: String,
    /// What is sent: JSON.
    pub body: String,
    pub summary: String,
    pub created_at: Timestamp,
    pub state: DeliveryState,
    pub attempts: u32,
    pub first_tried_at: Option<Timestamp>,
    pub next_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub problem: String,
}

/// What is to be told of one event.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub cursor: i64,
    pub event_id: String,
    pub event_type: String,
    pub body: String,
    pub summary: String,
}

impl WriteTx {
    /// Stores a new subscription, which begins after a cursor; false when its name is taken.
    pub async fn put_notification(
        &mut self,
        subscription: &Subscription,
        by: &str,
        at: Timestamp,
        cursor: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO notifications (name, doc, created_at, created_by, cursor) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )
        .bind(&subscription.name)
        .bind(as_json(subscription)?)
        .bind(to_micros(at))
        .bind(by)
        .bind(cursor)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes a subscription away, with what waits for it: how much; `None`
    /// when there is none of the name.
    pub async fn remove_notification(&mut self, name: &str) -> Result<Option<i64>, StoreError> {
        let waiting =
            sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE notification = ?1 AND state = 'waiting'")
                .bind(name)
                .fetch_one(self.connection())
                .await?;
        let done = sqlx::query("DELETE FROM notifications WHERE name = ?1")
            .bind(name)
            .execute(self.connection())
            .await?;
        Ok((done.rows_affected() > 0).then_some(waiting))
    }

    /// Queues what a subscription is to be told, and remembers how far was looked.
    pub async fn queue(
        &mut self,
        name: &str,
        deliveries: &[NewDelivery],
        cursor: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for delivery in deliveries {
            sqlx::query(
                "INSERT INTO outbox (notification, cursor, event_id, type, event, summary, created_at, state, next_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', ?7)
                 ON CONFLICT (notification, cursor) DO NOTHING",
            )
            .bind(name)
            .bind(delivery.cursor)
            .bind(&delivery.event_id)
            .bind(&delivery.event_type)
            .bind(&delivery.body)
            .bind(&delivery.summary)
            .bind(to_micros(now))
            .execute(self.connection())
            .await?;
        }
        sqlx::query("UPDATE notifications SET cursor = MAX(cursor, ?2) WHERE name = ?1")
            .bind(name)
            .bind(cursor)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// A receiver took an event.
    pub async fn note_delivered(&mut self, name: &str, number: i64, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET state = 'delivered', attempts = attempts + 1, ended_at = ?2, problem = '',
                    first_tried_at = COALESCE(first_tried_at, ?2) WHERE number = ?1",
        )
        .bind(number)
        .bind(to_micros(at))
        .execute(self.connection())
        .await?;
        sqlx::query(
            "UPDATE notifications SET delivered = delivered + 1, last_delivered_at = ?2, last_problem = ''
             WHERE name = ?1",
        )
        .bind(name)
        .bind(to_micros(at))
        .execute(self.connection())
        .await?;
        sqlx::query(
            "DELETE FROM outbox WHERE notification = ?1 AND state = 'delivered' AND number <= (
                 SELECT number FROM outbox WHERE notification = ?1 AND state = 'delivered'
                 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(name)
        .bind(KEPT)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A receiver did not take an event: it is tried again at `next`, or given up on.
    pub async fn note_undelivered(
        &mut self,
        name: &str,
        number: i64,
        problem: &str,
        (now, next): (Timestamp, Option<Timestamp>),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1, problem = ?2, first_tried_at = COALESCE(first_tried_at, ?3),
                    state = CASE WHEN ?4 IS NULL THEN 'dead' ELSE 'waiting' END,
                    ended_at = CASE WHEN ?4 IS NULL THEN ?3 END, next_at = COALESCE(?4, next_at)
             WHERE number = ?1",
        )
        .bind(number)
        .bind(problem)
        .bind(to_micros(now))
        .bind(next.map(to_micros))
        .execute(self.connection())
        .await?;
        sqlx::query("UPDATE notifications SET last_problem = ?2 WHERE name = ?1")
            .bind(name)
            .bind(problem)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// What was given up on waits again; how many.
    pub async fn revive(&mut self, name: &str, now: Timestamp) -> Result<i64, StoreError> {
        let done = sqlx::query(
            "UPDATE outbox SET state = 'waiting', ended_at = NULL, first_tried_at = NULL, attempts = 0, next_at = ?2
             WHERE notification = ?1 AND state = 'dead'",
        )
        .bind(name)
        .bind(to_micros(now))
        .execute(self.connection())
        .await?;
        Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
    }
}

/// The subscriptions, by name.
pub async fn notifications(connection: &mut SqliteConnection) -> Result<Vec<StoredNotification>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(with_counts("")))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(StoredNotification::try_from).collect()
}

pub async fn notification(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<StoredNotification>, StoreError> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(with_counts("WHERE n.name = ?1")))
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.map(StoredNotification::try_from).transpose()
}

fn with_counts(which: &str) -> String {
    let counted = |what: &str, state: &str| {
        format!("(SELECT {what} FROM outbox o WHERE o.notification = n.name AND o.state = '{state}')")
    };
    format!(
        "SELECT n.*, {} AS waiting, {} AS next_at, {} AS dead FROM notifications n {which} ORDER BY n.name",
        counted("COUNT(*)", "waiting"),
        counted("MIN(next_at)", "waiting"),
        counted("COUNT(*)", "dead"),
    )
}

/// What a receiver is told next: nothing overtakes it.
pub async fn next_delivery(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<StoredDelivery>, StoreError> {
    let row: Option<DeliveryRow> = sqlx::query_as(
        "SELECT * FROM outbox WHERE notification = ?1 AND state = 'waiting' ORDER BY number LIMIT 1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await?;
    row.map(StoredDelivery::try_from).transpose()
}

/// Deliveries of a subscription: those that wait in their order, then the
/// newest of the others.
pub async fn deliveries(
    connection: &mut SqliteConnection,
    name: &str,
    limit: u32,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT * FROM outbox WHERE notification = ?1
         ORDER BY state = 'waiting' DESC, state = 'dead' DESC,
                  CASE WHEN state = 'waiting' THEN number ELSE -number END LIMIT ?2",
    )
    .bind(name)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(StoredDelivery::try_from).collect()
}

/// The next lines of the log of events, of all releases, oldest first.
pub async fn happenings_after(
    connection: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Happening>, StoreError> {
    let rows: Vec<HappeningRow> = sqlx::query_as(
        "SELECT e.cursor, e.at, e.kind, e.message, r.project, r.version AS release, d.environment,
                e.deployment, o.service, o.target, e.state, e.verdict
         FROM events e
         JOIN releases r ON r.number = e.release
         LEFT JOIN operations o ON o.id = e.operation
         LEFT JOIN deployments d ON d.id = COALESCE(e.deployment, o.deployment)
         WHERE e.cursor > ?1 ORDER BY e.cursor LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Happening::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct Row {
    doc: String,
    created_at: i64,
    created_by: String,
    cursor: i64,
    waiting: i64,
    next_at: Option<i64>,
    dead: i64,
    delivered: i64,
    last_delivered_at: Option<i64>,
    last_problem: String,
}

impl TryFrom<Row> for StoredNotification {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            subscription: of_json("a notification", &row.doc)?,
            created_at: from_micros(row.created_at)?,
            created_by: row.created_by,
            cursor: row.cursor,
            waiting: row.waiting,
            next_at: row.next_at.map(from_micros).transpose()?,
            dead: row.dead,
            delivered: row.delivered,
            last_delivered_at: row.last_delivered_at.map(from_micros).transpose()?,
            last_problem: row.last_problem,
        })
    }
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    number: i64,
    event_id: String,
    r#type: String,
    event: String,
    summary: String,
    created_at: i64,
    state: String,
    attempts: u32,
    first_tried_at: Option<i64>,
    next_at: i64,
    ended_at: Option<i64>,
    problem: String,
}

impl TryFrom<DeliveryRow> for StoredDelivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.number,
            event_id: row.event_id,
            event_type: row.r#type,
            body: row.event,
            summary: row.summary,
            created_at: from_micros(row.created_at)?,
            state: DeliveryState::parse(&row.state)?,
            attempts: row.attempts,
            first_tried_at: row.first_tried_at.map(from_micros).transpose()?,
            next_at: from_micros(row.next_at)?,
            ended_at: row.ended_at.map(from_micros).transpose()?,
            problem: row.problem,
        })
    }
}

#[derive(sqlx::FromRow)]
struct HappeningRow {
    cursor: i64,
    at: i64,
    kind: String,
    message: String,
    project: String,
    release: String,
    environment: Option<String>,
    deployment: Option<String>,
    service: Option<String>,
    target: Option<String>,
    state: Option<String>,
    verdict: Option<String>,
}

impl TryFrom<HappeningRow> for Happening {
    type Error = StoreError;

    fn try_from(row: HappeningRow) -> Result<Self, StoreError> {
        Ok(Self {
            cursor: row.cursor,
            at: from_micros(row.at)?,
            kind: row.kind,
            message: row.message,
            project: row.project,
            release: row.release,
            environment: row.environment.unwrap_or_default(),
            deployment: row.deployment.unwrap_or_default(),
            service: row.service.unwrap_or_default(),
            target: row.target.unwrap_or_default(),
            state: row.state.unwrap_or_default(),
            verdict: row.verdict.unwrap_or_default(),
            problems: Vec::new(),
        })
    }
}
