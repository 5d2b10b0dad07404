//! `NotificationService`: who is told what happens, and whether it arrives.

use tonic::{Request, Response, Status};
use towline_proto::orchestrator::v1::{self as pb, notification_service_server::NotificationService};

use super::{Api, caller::caller, convert, error::status, page};
use crate::{
    domain::{
        audit::origin,
        notification::{self, Destination, Format, Subscription},
    },
    engine::{EngineError, Fault},
    store::outbox::{StoredDelivery, StoredNotification},
    webhook::Url,
};

#[tonic::async_trait]
impl NotificationService for Api {
    async fn create_notification(
        &self,
        request: Request<pb::CreateNotificationRequest>,
    ) -> Result<Response<pb::CreateNotificationResponse>, Status> {
        let caller = caller(&request)?;
        let subscription = subscription(request.into_inner()).map_err(status)?;
        let created = self
            .engine
            .create_notification(&caller, subscription)
            .await
            .map_err(status)?;
        Ok(Response::new(pb::CreateNotificationResponse {
            notification: Some(shown(created)),
        }))
    }

    async fn list_notifications(
        &self,
        request: Request<pb::ListNotificationsRequest>,
    ) -> Result<Response<pb::ListNotificationsResponse>, Status> {
        let asked = request.into_inner();
        let page = page(asked.page_size, asked.page_token)?;
        let paged = self.engine.notifications(page).await.map_err(status)?;
        Ok(Response::new(pb::ListNotificationsResponse {
            notifications: paged.items.into_iter().map(shown).collect(),
            next_page_token: paged.next,
        }))
    }

    async fn get_notification(
        &self,
        request: Request<pb::GetNotificationRequest>,
    ) -> Result<Response<pb::GetNotificationResponse>, Status> {
        let name = request.into_inner().name;
        let found = self.engine.notification(&name).await.map_err(status)?;
        let deliveries = self.engine.deliveries(&name).await.map_err(status)?;
        Ok(Response::new(pb::GetNotificationResponse {
            notification: Some(shown(found)),
            deliveries: deliveries.into_iter().map(delivery).collect(),
        }))
    }

    async fn remove_notification(
        &self,
        request: Request<pb::RemoveNotificationRequest>,
    ) -> Result<Response<pb::RemoveNotificationResponse>, Status> {
        let name = request.into_inner().name;
        let dropped = self.engine.remove_notification(&name).await.map_err(status)?;
        Ok(Response::new(pb::RemoveNotificationResponse { dropped }))
    }

    async fn test_notification(
        &self,
        request: Request<pb::TestNotificationRequest>,
    ) -> Result<Response<pb::TestNotificationResponse>, Status> {
        let name = request.into_inner().name;
        let (http_status, problem) = self.engine.test_notification(&name).await.map_err(status)?;
        Ok(Response::new(pb::TestNotificationResponse {
            problem: problem.unwrap_or_default(),
            http_status: http_status.into(),
        }))
    }

    async fn retry_notification(
        &self,
        request: Request<pb::RetryNotificationRequest>,
    ) -> Result<Response<pb::RetryNotificationResponse>, Status> {
        let name = request.into_inner().name;
        let retried = self.engine.retry_notification(&name).await.map_err(status)?;
        Ok(Response::new(pb::RetryNotificationResponse { retried }))
    }
}

/// Checks the request as a whole: all of its faults at once.
fn subscription(asked: pb::CreateNotificationRequest) -> Result<Subscription, EngineError> {
    let mut faults = Vec::new();
    let format = match asked.format() {
        pb::NotificationFormat::Slack => Format::Slack,
        pb::NotificationFormat::Unspecified | pb::NotificationFormat::Cloudevents => Format::CloudEvents,
    };
    let named = asked.name.parse::<crate::domain::name::EnvironmentName>();
    if let Err(why) = named {
        faults.push(Fault::of("name", why.to_string()));
    }
    let destination = match (asked.url.as_str(), asked.url_file.as_str()) {
        ("", "") => {
            faults.push(Fault::of("url", "is not given").hint("the address of the receiver, or url_file"));
            None
        }
        (url, "") => check_url(url, format, &mut faults),
        ("", file) => Some(Destination::UrlFile(file.to_owned())),
        _ => {
            faults.push(Fault::of("url_file", "stands beside url").hint("give one of the two"));
            None
        }
    };
    if asked.kinds.is_empty() {
        faults.push(Fault::of("kinds", "is empty").hint(usual_kinds()));
    }
    if let Err(unknown) = notification::check_words(&asked.kinds) {
        faults.push(Fault::of("kinds", unknown.to_string()).hint(usual_kinds()));
    }
    match destination {
        Some(destination) if faults.is_empty() => Ok(Subscription {
            name: asked.name,
            format,
            destination,
            secret_file: given(asked.secret_file),
            project: given(asked.project),
            environment: given(asked.environment),
            kinds: asked.kinds,
        }),
        _ => Err(EngineError::Invalid { faults }),
    }
}

fn usual_kinds() -> String {
    let words: Vec<&str> = notification::words().collect();
    format!("one or more of: {}", words.join(", "))
}

fn check_url(url: &str, format: Format, faults: &mut Vec<Fault>) -> Option<Destination> {
    let parsed = match Url::parse(url) {
        Ok(parsed) => parsed,
        Err(why) => {
            faults.push(Fault::of("url", why));
            return None;
        }
    };
    if format == Format::Slack && parsed.is_elsewhere() {
        faults.push(
            Fault::of("url", "of an incoming webhook of Slack is a secret, and secrets are references only").hint(
                "write it to a file on the orchestrator's machine that only its user can read, and name that (url_file)",
            ),
        );
        return None;
    }
    Some(Destination::Url(url.to_owned()))
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn shown(stored: StoredNotification) -> pb::Notification {
    let subscription = stored.subscription;
    let (url, url_file) = match subscription.destination {
        Destination::Url(url) => (origin(&url), String::new()),
        Destination::UrlFile(file) => (String::new(), file),
    };
    let format = match subscription.format {
        Format::CloudEvents => pb::NotificationFormat::Cloudevents,
        Format::Slack => pb::NotificationFormat::Slack,
    };
    pb::Notification {
        name: subscription.name,
        format: format.into(),
        url,
        url_file,
        secret_file: subscription.secret_file.unwrap_or_default(),
        project: subscription.project.unwrap_or_default(),
        environment: subscription.environment.unwrap_or_default(),
        kinds: subscription.kinds,
        create_time: Some(convert::timestamp(stored.created_at)),
        created_by: stored.created_by,
        waiting: stored.waiting,
        next_attempt_time: stored.next_at.map(convert::timestamp),
        dead: stored.dead,
        delivered: stored.delivered,
        last_delivery_time: stored.last_delivered_at.map(convert::timestamp),
        last_problem: stored.last_problem,
    }
}

fn delivery(stored: StoredDelivery) -> pb::Delivery {
    pb::Delivery {
        id: stored.event_id,
        r#type: stored.event_type,
        summary: stored.summary,
        state: stored.state.as_str().to_owned(),
        attempts: i32::try_from(stored.attempts).unwrap_or(i32::MAX),
        event_time: Some(convert::timestamp(stored.created_at)),
        next_attempt_time: stored
            .ended_at
            .is_none()
            .then(|| convert::timestamp(stored.next_at)),
        end_time: stored.ended_at.map(convert::timestamp),
        problem: stored.problem,
    }
}
