//! Service events, in ECS's words.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>.

use crate::{
    ecs::model::{Event, Service},
    world::{Region, SimTime},
};

/// DescribeServices shows the latest hundred.
const SHOWN: usize = 100;

/// Where ECS sends readers of its messages.
pub const GUIDE: &str =
    "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

/// Adds `(service NAME) words`.
pub fn add(region: &mut Region, service: &mut Service, now: SimTime, words: &str) {
    let event = Event {
        id: region.ids.uuid("event"),
        at: now,
        message: format!("(service {}) {words}", service.name),
    };
    service.events.push_front(event);
    service.events.truncate(SHOWN);
}

/// `(task a) (task b)`.
pub fn task_list(ids: &[String]) -> String {
    let listed: Vec<String> = ids.iter().map(|id| format!("(task {id})")).collect();
    listed.join(" ")
}
