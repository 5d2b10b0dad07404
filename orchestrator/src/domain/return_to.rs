//! What an environment goes back to: start at [`before`]. A rollback takes back
//! what came since; asking once more goes one release further back, and never
//! forth again.

use super::{
    deployment::{Deployment, DeploymentState, Origin},
    name::{DeploymentId, EnvironmentName, ReleaseVersion},
};

/// The way back of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back<'a> {
    /// The release that is there, or was tried last.
    pub from: &'a ReleaseVersion,
    /// The deployment that ended well there, from which everything is taken.
    pub to: &'a Deployment,
}

/// Why there is no way back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    #[error("nothing was ever deployed into {environment}")]
    NothingThere { environment: EnvironmentName },
    #[error("no release before {from} was deployed into {environment} with success")]
    NothingBefore {
        environment: EnvironmentName,
        from: ReleaseVersion,
    },
    #[error("release {version} was never deployed into {environment} with success")]
    NeverThere {
        environment: EnvironmentName,
        version: ReleaseVersion,
        /// Those that were, newest first.
        there: Vec<ReleaseVersion>,
    },
    #[error("{environment} runs release {version}")]
    ThereNow {
        environment: EnvironmentName,
        version: ReleaseVersion,
    },
    #[error("a rollback of {environment} has not ended yet")]
    UnderWay {
        environment: EnvironmentName,
        deployment: DeploymentId,
    },
}

/// The release before, or the named one. `past` are the deployments into the
/// environment, oldest first.
///
/// # Errors
/// Why there is no way back.
pub fn before<'a>(
    environment: &EnvironmentName,
    past: &[&'a Deployment],
    version: Option<&ReleaseVersion>,
) -> Result<Back<'a>, NoWayBack> {
    let here = || environment.clone();
    let is_back = |it: &&&Deployment| matches!(it.manner.origin, Origin::Rollback { .. });
    if let Some(active) = past.iter().filter(|it| !it.state.is_terminal()).find(is_back) {
        return Err(NoWayBack::UnderWay {
            environment: here(),
            deployment: active.id,
        });
    }
    let newest = past.iter().rev().find(|it| it.started.is_some());
    let newest = newest.ok_or_else(|| NoWayBack::NothingThere { environment: here() })?;
    let from = match &newest.manner.origin {
        // One that failed is asked for once more.
        Origin::Rollback { from } if newest.state != DeploymentState::Succeeded => from,
        _ => &newest.release,
    };
    let line = line(past);
    let to = match version {
        Some(version) if version == from && newest.state == DeploymentState::Succeeded => {
            return Err(NoWayBack::ThereNow {
                environment: here(),
                version: version.clone(),
            });
        }
        Some(version) => {
            let good = past
                .iter()
                .rev()
                .filter(|it| it.state == DeploymentState::Succeeded);
            let found = good.clone().find(|it| it.release == *version);
            found.ok_or_else(|| {
                let mut there: Vec<ReleaseVersion> = Vec::new();
                for it in good {
                    if !there.contains(&it.release) {
                        there.push(it.release.clone());
                    }
                }
                NoWayBack::NeverThere {
                    environment: here(),
                    version: version.clone(),
                    there,
                }
            })?
        }
        None => line
            .iter()
            .rev()
            .find(|it| it.release != *from)
            .ok_or_else(|| NoWayBack::NothingBefore {
                environment: here(),
                from: from.clone(),
            })?,
    };
    Ok(Back { from, to })
}

/// What ended well, each release once, without what rollbacks took back.
fn line<'a>(past: &[&'a Deployment]) -> Vec<&'a Deployment> {
    let mut line: Vec<&Deployment> = Vec::new();
    for &deployment in past.iter().filter(|it| it.state == DeploymentState::Succeeded) {
        let same = |it: &&Deployment| it.release == deployment.release;
        match deployment.manner.origin {
            Origin::Rollback { .. } => {
                if let Some(at) = line.iter().rposition(same) {
                    line.truncate(at);
                }
            }
            Origin::Promotion | Origin::Redeployment => {
                if line.last().is_some_and(same) {
                    line.pop();
                }
            }
        }
        line.push(deployment);
    }
    line
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::domain::deployment::{Author, Event, EventKind, Manner};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn prod() -> EnvironmentName {
        "prod".parse().unwrap()
    }

    /// "1.0 ok, 1.1 failed, 1.1>1.0 ok": the last one is a rollback.
    fn past(told: &str) -> Vec<Deployment> {
        let each = told.split(", ").enumerate().map(|(index, told)| {
            let (release, how) = told.split_once(' ').unwrap();
            let (release, origin) = match release.split_once('>') {
                Some((from, release)) => (
                    release,
                    Origin::Rollback {
                        from: from.parse().unwrap(),
                    },
                ),
                None => (release, Origin::Promotion),
            };
            let created: Event = EventKind::DeploymentCreated {
                project: "shop".parse().unwrap(),
                release: release.parse().unwrap(),
                environment: prod(),
                phase: "production".parse().unwrap(),
                by: Author::Lifecycle,
                authors: None,
                time_limit: SignedDuration::from_hours(1),
                approval_rule: None,
                force: false,
                manner: Manner {
                    origin,
                    ..Manner::default()
                },
                operations: Vec::new(),
            }
            .at(at(0));
            let mut deployment =
                Deployment::create(DeploymentId(Uuid::from_u128(index as u128)), &created).unwrap();
            deployment.state = match how {
                "ok" => DeploymentState::Succeeded,
                "failed" => DeploymentState::Failed,
                "runs" => DeploymentState::Running,
                _ => DeploymentState::Queued,
            };
            deployment.started = (how != "queued").then(|| at(1));
            deployment
        });
        each.collect()
    }

    fn back(told: &str, version: Option<&str>) -> Result<String, String> {
        let past = past(told);
        let all: Vec<&Deployment> = past.iter().collect();
        let version = version.map(|it| it.parse().unwrap());
        before(&prod(), &all, version.as_ref())
            .map(|back| format!("{} -> {}", back.from, back.to.release))
            .map_err(|why| why.to_string())
    }

    #[test]
    fn it_goes_back_to_what_ran_before_and_never_forth() {
        let table = [
            ("1.0 ok, 1.1 ok", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 failed", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.2 failed, 1.2 failed", "1.2 -> 1.1"),
            ("1.0 ok, 1.1 ok, 1.1 ok", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.1 failed", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.2 ok, 1.2>1.1 ok", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.2 ok, 1.2>1.0 ok, 1.3 ok", "1.3 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.1>1.0 failed", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 runs", "1.1 -> 1.0"),
            ("1.0 ok, 1.1 ok, 1.2 queued", "1.1 -> 1.0"),
        ];
        for (told, way) in table {
            assert_eq!(back(told, None).as_deref(), Ok(way), "{told}");
        }
    }

    #[test]
    fn why_there_is_no_way_back() {
        let table = [
            ("1.0 queued", None, "nothing was ever deployed into prod"),
            (
                "1.0 ok",
                None,
                "no release before 1.0 was deployed into prod with success",
            ),
            (
                "1.0 ok, 1.1 ok, 1.1>1.0 ok",
                None,
                "no release before 1.0 was deployed into prod with success",
            ),
            (
                "1.0 ok, 1.1 ok, 1.1>1.0 queued",
                None,
                "a rollback of prod has not ended yet",
            ),
            (
                "1.0 ok, 1.1 failed",
                Some("1.1"),
                "release 1.1 was never deployed into prod with success",
            ),
            ("1.0 ok, 1.1 ok", Some("1.1"), "prod runs release 1.1"),
        ];
        for (told, version, why) in table {
            assert_eq!(back(told, version).unwrap_err(), why, "{told}");
        }
        assert_eq!(
            back("1.0 ok, 1.1 ok, 1.1>1.0 ok", Some("1.1")).as_deref(),
            Ok("1.0 -> 1.1")
        );
    }
}
