use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use towline_agent_domain::rollout::{budget::Purpose, pace::Outlook};
use towline_link::seams::Clock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PACED: When = When::Paced(Outlook::AsItStands);

type Receivers = Vec<oneshot::Receiver<Observation>>;

fn ask(queue: &mut Queue, name: &str, when: When, now: Instant, receivers: &mut Receivers) {
    let (answer, receiver) = oneshot::channel();
    receivers.push(receiver);
    let asker = Asker {
        operation: None,
        answer,
    };
    queue.join(name, when, asker, now);
}

/// The names of each call that is due; none while it sleeps.
fn calls(queue: &mut Queue, now: Instant) -> Vec<Vec<String>> {
    match queue.next(now) {
        Next::Call(batches) => batches
            .iter()
            .map(|batch| batch.askers.keys().cloned().collect())
            .collect(),
        Next::Nothing | Next::Sleep(_) => Vec::new(),
    }
}

fn start() -> Instant {
    Clock::system().instant()
}

#[test]
fn services_share_calls_ten_in_each() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    for index in 0..25 {
        ask(&mut queue, &format!("s{index:02}"), PACED, now, &mut receivers);
    }
    assert_eq!(
        calls(&mut queue, now),
        Vec::<Vec<String>>::new(),
        "others may join"
    );
    let sizes: Vec<usize> = calls(&mut queue, now + queue::JOIN)
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
}

#[test]
fn a_call_that_goes_takes_along_who_is_due_soon_and_nobody_else() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    // Missing services are looked at every three seconds.
    for (name, seconds_ago) in [("due", 3), ("soon", 2), ("later", 1)] {
        queue.saw(name, None, now + SECOND * (3 - seconds_ago));
        ask(&mut queue, name, PACED, now + SECOND * 3, &mut receivers);
    }
    assert_eq!(
        calls(&mut queue, now + SECOND * 3 + queue::JOIN),
        [["due", "soon"]]
    );
    assert!(calls(&mut queue, now + SECOND * 4).is_empty());
    assert_eq!(calls(&mut queue, now + SECOND * 5), [["later"]]);
}

#[test]
fn the_longest_overdue_go_first() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    for index in 0..12_u32 {
        ask(
            &mut queue,
            &format!("s{:02}", 11 - index),
            PACED,
            now + index * queue::JOIN,
            &mut receivers,
        );
    }
    let calls = calls(&mut queue, now + SECOND);
    assert_eq!(
        calls[0],
        [
            "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s10", "s11"
        ]
    );
    assert_eq!(calls[1], ["s00", "s01"]);
}

#[test]
fn who_needs_a_fresh_look_does_not_wait_for_the_pace() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    queue.saw("web", None, now);
    ask(&mut queue, "web", PACED, now, &mut receivers);
    assert!(calls(&mut queue, now + queue::JOIN).is_empty());
    ask(&mut queue, "web", When::Now, now + queue::JOIN, &mut receivers);
    let Next::Call(batches) = queue.next(now + queue::JOIN * 2) else {
        panic!("nothing is due")
    };
    assert_eq!(batches[0].purpose, Purpose::Acting);
    assert_eq!(
        batches[0].askers["web"].len(),
        2,
        "the follower gets the same look"
    );
}

#[test]
fn who_stopped_waiting_is_not_asked_for() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    queue.served = true;
    ask(&mut queue, "web", When::Now, now, &mut receivers);
    receivers.clear();
    assert!(matches!(queue.next(now + SECOND), Next::Nothing));
    assert!(!queue.served);
}

#[test]
fn a_service_that_aws_refused_has_no_call_of_others_refused_again() {
    let (mut queue, mut receivers, now) = (Queue::new(SECOND), Vec::new(), start());
    queue.refused("secret", now);
    for name in ["orders", "secret", "web"] {
        ask(&mut queue, name, When::Now, now, &mut receivers);
    }
    assert_eq!(
        calls(&mut queue, now + queue::JOIN),
        [vec!["orders", "web"], vec!["secret"]]
    );
    // It may be allowed by now: what says so is an answer, or time.
    queue.saw("secret", None, now + SECOND);
    ask(&mut queue, "secret", When::Now, now + SECOND, &mut receivers);
    ask(&mut queue, "web", When::Now, now + SECOND, &mut receivers);
    assert_eq!(calls(&mut queue, now + SECOND * 2), [["secret", "web"]]);
    queue.refused("secret", now);
    ask(&mut queue, "secret", When::Now, now + SECOND * 61, &mut receivers);
    ask(&mut queue, "web", When::Now, now + SECOND * 61, &mut receivers);
    assert_eq!(calls(&mut queue, now + SECOND * 62), [["secret", "web"]]);
}

#[tokio::test]
async fn a_panic_while_a_cluster_is_served_leaves_it_free_and_nobody_waiting() {
    let poller = Poller::new(Clock::system(), SECOND);
    let at = ClusterRef {
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
    };
    let cluster = poller.cluster(&at);
    let (answer, receiver) = oneshot::channel();
    let asker = Asker {
        operation: None,
        answer,
    };
    let serving = poller.join(&cluster, "web", When::Now, asker).unwrap();
    let task = poller.tasks.spawn(async move {
        let _serving = serving;
        panic!("planted");
    });
    assert!(task.await.is_err());
    assert!(receiver.await.is_err(), "told that there is no answer");
    let (answer, _receiver) = oneshot::channel();
    let asker = Asker {
        operation: None,
        answer,
    };
    assert!(
        poller.join(&cluster, "web", When::Now, asker).is_some(),
        "the next asker serves"
    );
}
