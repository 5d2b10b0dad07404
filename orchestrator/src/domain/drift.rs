//! What runs where, compared with what was released there: [`compare`].
//!
//! What always holds: what AWS says of itself (a revision's ARN, a stack's id
//! and time) is compared only with what AWS said before, never with our clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a release put into a cell: one service on one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// The ARN of the revision; empty when the agent did not tell it.
    pub revision: String,
    /// By container: whole references, or `:tag` and `@digest` where the
    /// repository that ran was kept.
    pub images: Vec<(String, String)>,
    /// The id of the stack that makes the service; `None` for a service of others.
    pub stack: Option<String>,
}

/// What an agent finds in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// ECS has no such service, or one that is gone or going.
    Gone,
    Running(Box<Running>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The ARN of what the PRIMARY deployment runs.
    pub revision: String,
    /// By container.
    pub images: Vec<(String, String)>,
    /// Who registered the revision, as AWS says it.
    pub registered_by: String,
    pub registered_at: Option<Timestamp>,
    /// When its PRIMARY deployment began, as AWS says it.
    pub deployed_at: Option<Timestamp>,
    pub stack: Option<FoundStack>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundStack {
    pub id: String,
    pub status: String,
    /// As AWS says it: of its last update, or of its creation.
    pub updated_at: Option<Timestamp>,
}

/// What of a cell was seen right after the release, for what a release does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    pub stack: Option<FoundStack>,
}

/// What runs although no release put it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub kind: DriftKind,
    pub released_revision: String,
    pub running_revision: String,
    /// Only those that differ.
    #[serde(default)]
    pub images: Vec<ImageDrift>,
    /// What is with the stack; empty when nothing is.
    #[serde(default)]
    pub stack: String,
    /// Who registered the revision that runs; empty when AWS does not say.
    pub changed_by: String,
    /// When the change took effect, as AWS says it.
    pub changed_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    ServiceGone,
    /// Another image runs.
    Image,
    /// Another revision runs, with the same images.
    Revision,
    /// The stack was changed, replaced or deleted; the service runs what was released.
    Stack,
}

impl DriftKind {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceGone => "service_gone",
            Self::Image => "image",
            Self::Revision => "revision",
            Self::Stack => "stack",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDrift {
    pub container: String,
    pub released: String,
    /// Empty when the container is gone.
    pub running: String,
}

impl Drift {
    /// One line for a person; the cell is said beside it.
    pub fn message(&self) -> String {
        let mut text = match self.kind {
            DriftKind::ServiceGone => return "the service is gone".to_owned(),
            DriftKind::Stack => self.stack.clone(),
            DriftKind::Image => {
                let images = self.images.iter().map(ImageDrift::message);
                images.collect::<Vec<_>>().join(", ")
            }
            DriftKind::Revision => format!(
                "runs {}, and {} was released",
                short(&self.running_revision),
                short(&self.released_revision)
            ),
        };
        if self.kind == DriftKind::Image && !self.running_revision.is_empty() {
            text.push_str(&format!(" ({})", short(&self.running_revision)));
        }
        match (self.changed_by.as_str(), self.changed_at) {
            ("", None) => {}
            ("", Some(at)) => text.push_str(&format!("; since {}", moment(at))),
            (by, None) => text.push_str(&format!("; registered by {by}")),
            (by, Some(at)) => text.push_str(&format!("; registered by {by}, since {}", moment(at))),
        }
        text
    }
}

impl ImageDrift {
    fn message(&self) -> String {
        match self.running.as_str() {
            "" => format!("container {} is gone", self.container),
            running => format!(
                "{} runs {running}, and {} was released",
                self.container, self.released
            ),
        }
    }
}

/// Family and number of a revision's ARN.
fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn moment(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%SZ")
}

/// What differs from what was released; `None` when nothing does.
pub fn compare(released: &Released, found: &Found, baseline: Option<&Baseline>) -> Option<Drift> {
    let running = match found {
        Found::Gone => return Some(gone(released)),
        Found::Running(running) => running,
    };
    let same_revision = !released.revision.is_empty() && released.revision == running.revision;
    let images = match same_revision {
        true => Vec::new(),
        false => differing(&released.images, &running.images),
    };
    let stack = stack_drift(released, running, baseline);
    let kind = if !images.is_empty() {
        DriftKind::Image
    } else if !same_revision && !released.revision.is_empty() {
        DriftKind::Revision
    } else if stack.is_some() {
        DriftKind::Stack
    } else {
        return None;
    };
    let changed_by = match kind {
        // Who updated a stack is not told by CloudFormation.
        DriftKind::Stack => String::new(),
        _ => running.registered_by.clone(),
    };
    let changed_at = match kind {
        DriftKind::Stack => running.stack.as_ref().and_then(|stack| stack.updated_at),
        _ => running.deployed_at.or(running.registered_at),
    };
    Some(Drift {
        kind,
        released_revision: released.revision.clone(),
        running_revision: running.revision.clone(),
        images,
        stack: stack.unwrap_or_default(),
        changed_by,
        changed_at,
    })
}

fn gone(released: &Released) -> Drift {
    Drift {
        kind: DriftKind::ServiceGone,
        released_revision: released.revision.clone(),
        running_revision: String::new(),
        images: Vec::new(),
        stack: String::new(),
        changed_by: String::new(),
        changed_at: None,
    }
}

/// Containers that a release did not name are not its affair.
fn differing(released: &[(String, String)], running: &[(String, String)]) -> Vec<ImageDrift> {
    let runs = |container: &str| {
        let found = running.iter().find(|(name, _)| name == container);
        found.map(|(_, image)| image.as_str())
    };
    let differs = released.iter().filter_map(|(container, wanted)| {
        let image = runs(container).unwrap_or_default();
        (!is_image(image, wanted)).then(|| ImageDrift {
            container: container.clone(),
            released: wanted.clone(),
            running: image.to_owned(),
        })
    });
    differs.collect()
}

/// Whether an image is the one that was released: with a digest that counts, and
/// a tag beside it does not; of `:tag` and `@digest` the repository is free.
fn is_image(running: &str, released: &str) -> bool {
    let Some((name, digest)) = released.split_once('@') else {
        return match released.starts_with(':') {
            true => running.ends_with(released),
            false => running == released,
        };
    };
    let Some((running_name, running_digest)) = running.split_once('@') else {
        return false;
    };
    // A colon after the last slash stands before a tag.
    let repository = |name: &str| {
        let end = name.rfind('/').map_or(0, |slash| slash + 1);
        let tag = name.get(end..).and_then(|last| last.find(':'));
        name.get(..tag.map_or(name.len(), |colon| end + colon))
            .unwrap_or_default()
            .to_owned()
    };
    let wanted = repository(name);
    digest == running_digest && (wanted.is_empty() || wanted == repository(running_name))
}

/// What is with the stack, in words; `None` when it is as it was.
fn stack_drift(released: &Released, running: &Running, baseline: Option<&Baseline>) -> Option<String> {
    let id = released.stack.as_ref()?;
    let Some(found) = &running.stack else {
        return Some("its stack is gone".to_owned());
    };
    if found.id != *id && !id.is_empty() {
        return Some("its stack is another one than the one that was released".to_owned());
    }
    let before = baseline?.stack.as_ref()?;
    let updated = before.updated_at.is_some() && found.updated_at != before.updated_at;
    updated.then(|| format!("its stack was changed since the release, and is {}", found.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASED: &str = "arn:aws:ecs:eu-west-1:111111111111:task-definition/orders:7";
    const OTHER: &str = "arn:aws:ecs:eu-west-1:111111111111:task-definition/orders:8";

    fn released() -> Released {
        Released {
            revision: RELEASED.to_owned(),
            images: vec![("app".to_owned(), ":1.0.0".to_owned())],
            stack: None,
        }
    }

    fn running(revision: &str, image: &str) -> Running {
        Running {
            revision: revision.to_owned(),
            images: vec![
                ("app".to_owned(), image.to_owned()),
                ("sidecar".to_owned(), "envoy:1".to_owned()),
            ],
            registered_by: "arn:aws:sts::111111111111:assumed-role/ops/kim".to_owned(),
            registered_at: None,
            deployed_at: Some("2026-11-25T05:00:00Z".parse().unwrap()),
            stack: None,
        }
    }

    fn found(running: Running) -> Found {
        Found::Running(Box::new(running))
    }

    #[test]
    fn what_was_released_and_runs_is_no_drift_whatever_its_tag_is_now() {
        let same = found(running(RELEASED, "registry/orders@sha256:00"));
        assert_eq!(compare(&released(), &same, None), None);
        let nothing_known = Released {
            revision: String::new(),
            ..released()
        };
        let tagged = found(running(OTHER, "registry/orders:1.0.0"));
        assert_eq!(compare(&nothing_known, &tagged, None), None);
    }

    #[test]
    fn another_image_is_told_with_who_and_when() {
        let drift = compare(
            &released(),
            &found(running(OTHER, "registry/orders:hotfix")),
            None,
        )
        .unwrap();
        assert_eq!(drift.kind, DriftKind::Image);
        assert_eq!(
            drift.message(),
            "app runs registry/orders:hotfix, and :1.0.0 was released (orders:8); registered by \
             arn:aws:sts::111111111111:assumed-role/ops/kim, since 2026-11-25 05:00:00Z"
        );
    }

    #[test]
    fn another_revision_with_the_same_images_is_told_as_such() {
        let drift = compare(&released(), &found(running(OTHER, "registry/orders:1.0.0")), None).unwrap();
        assert_eq!(drift.kind, DriftKind::Revision);
        assert!(
            drift
                .message()
                .starts_with("runs orders:8, and orders:7 was released"),
            "{}",
            drift.message()
        );
        let gone = compare(&released(), &Found::Gone, None).unwrap();
        assert_eq!(
            (gone.kind, gone.message()),
            (DriftKind::ServiceGone, "the service is gone".to_owned())
        );
    }

    #[test]
    fn a_stack_counts_as_changed_against_what_was_seen_after_the_release() {
        let stack = |updated: &str| FoundStack {
            id: "stack/1".to_owned(),
            status: "UPDATE_COMPLETE".to_owned(),
            updated_at: Some(updated.parse().unwrap()),
        };
        let released = Released {
            stack: Some("stack/1".to_owned()),
            ..released()
        };
        let with = |stack| {
            found(Running {
                stack,
                ..running(RELEASED, "x")
            })
        };
        let first = with(Some(stack("2026-11-25T05:00:00Z")));
        assert_eq!(compare(&released, &first, None), None);
        let baseline = Baseline {
            stack: Some(stack("2026-11-25T05:00:00Z")),
        };
        assert_eq!(compare(&released, &first, Some(&baseline)), None);
        let later = compare(
            &released,
            &with(Some(stack("2026-11-25T06:00:00Z"))),
            Some(&baseline),
        )
        .unwrap();
        assert_eq!(later.kind, DriftKind::Stack);
        assert_eq!(
            later.message(),
            "its stack was changed since the release, and is UPDATE_COMPLETE; since 2026-11-25 06:00:00Z"
        );
        let deleted = compare(&released, &with(None), Some(&baseline)).unwrap();
        assert_eq!(deleted.message(), "its stack is gone");
    }
}
