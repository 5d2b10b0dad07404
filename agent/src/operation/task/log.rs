//! The lines of the container that decides, told as they come. Best effort: a log that
//! cannot be read is said once, and is no reason to lose the verdict.

use std::collections::VecDeque;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::LoggedLine,
    outside::Account,
    rollout::diagnosis::{ContainerLog, LogSource},
};
use towline_proto::agent::v1::{Severity, operation_event::Event};

use crate::{
    operation::{Handle, Surroundings},
    wire,
};

/// Lines that are told of one task; the last ones come with the verdict all the same.
const MOST_TOLD: usize = 500;
/// Lines that are kept for the diagnosis.
const LAST: usize = 20;
/// Looks after the end at a log that is still empty: lines arrive a moment later.
const LAST_LOOKS: u32 = 8;
/// Of a log that has lines already.
const LOOKS_FOR_MORE: u32 = 2;

/// The log of one container of one task.
pub(super) struct Tail {
    /// `None`: it logs elsewhere.
    source: Option<LogSource>,
    task: String,
    container: String,
    next: Option<String>,
    last: VecDeque<LoggedLine>,
    told: usize,
    looked: Option<Instant>,
    told_fault: bool,
}

impl Tail {
    pub(super) fn of(source: Option<LogSource>, task: &str, container: &str) -> Self {
        Self {
            source,
            task: task.to_owned(),
            container: container.to_owned(),
            next: None,
            last: VecDeque::new(),
            told: 0,
            looked: None,
            told_fault: false,
        }
    }

    /// Tells the new lines, when the last look is some polls ago.
    pub(super) async fn glance<A: Account>(&mut self, surroundings: &Surroundings<A>, handle: &Handle) {
        let now = handle.clock().instant();
        let pace = surroundings.timing.poll * 3;
        if self
            .looked
            .is_some_and(|looked| now.duration_since(looked) < pace)
        {
            return;
        }
        self.read(surroundings, handle).await;
    }

    /// All that is there; the number of new lines.
    async fn read<A: Account>(&mut self, surroundings: &Surroundings<A>, handle: &Handle) -> usize {
        let Some(source) = self.source.clone() else {
            return 0;
        };
        let mut count = 0;
        loop {
            self.looked = Some(handle.clock().instant());
            let LogSource {
                region,
                group,
                stream,
            } = &source;
            let page = surroundings
                .aws
                .log_lines(region, group, stream, self.next.as_deref())
                .await;
            match page {
                Ok(page) if page.lines.is_empty() => return count,
                Ok(page) => {
                    count += page.lines.len();
                    self.next = page.next;
                    page.lines.into_iter().for_each(|line| self.take(handle, line));
                    if self.next.is_none() {
                        return count;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.told_fault, true) {
                        let message = format!("cannot read log stream {stream} of {group}: {error}");
                        let hint =
                            "the agent's role needs logs:GetLogEvents, and the log group must be there";
                        handle.finding(Severity::Warning, "logs_unreadable", message, hint);
                    }
                    return count;
                }
            }
        }
    }

    fn take(&mut self, handle: &Handle, line: LoggedLine) {
        self.told += 1;
        if self.told <= MOST_TOLD {
            handle.emit(Event::LogLine(wire::log_line(&self.task, &self.container, &line)));
        } else if self.told == MOST_TOLD + 1 {
            let message = format!(
                "{} has logged more than {MOST_TOLD} lines; no more of them are shown",
                self.container
            );
            let hint = "the whole log is in CloudWatch Logs";
            handle.finding(Severity::Info, "log_cut", message, hint);
        }
        self.last.push_back(line);
        if self.last.len() > LAST {
            self.last.pop_front();
        }
    }

    /// What came after the task's end, and the last lines of all.
    pub(super) async fn finish<A: Account>(
        mut self,
        surroundings: &Surroundings<A>,
        handle: &Handle,
    ) -> Vec<ContainerLog> {
        let mut looks = 0;
        while self.source.is_some() && !self.told_fault {
            self.read(surroundings, handle).await;
            looks += 1;
            let most = match self.last.is_empty() {
                true => LAST_LOOKS,
                false => LOOKS_FOR_MORE,
            };
            if looks >= most {
                break;
            }
            handle.clock().sleep(surroundings.timing.poll).await;
        }
        if self.last.is_empty() {
            return Vec::new();
        }
        vec![ContainerLog {
            task: self.task,
            container: self.container,
            lines: self.last.into(),
        }]
    }
}
