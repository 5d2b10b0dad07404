//! Plans that somebody has approved: on the command line, or in a file as
//! `towline promote --dry-run --output json` and `towline service plan --output
//! json` print them.

use std::{fs, io::Read as _, path::Path};

use serde::Deserialize;
use towline_proto::orchestrator::v1 as pb;

use super::exit::Fault;

/// `SERVICE[@TARGET]=HASH`.
pub fn plan(text: &str) -> Result<pb::ApprovedPlan, String> {
    let (operation, hash) = text.split_once('=').unwrap_or((text, ""));
    let (service, target) = match operation.split_once('@') {
        Some((service, target)) => (service, target),
        None => (operation, ""),
    };
    if service.is_empty() || hash.is_empty() || operation.ends_with('@') {
        return Err(
            "not SERVICE[@TARGET]=HASH, for example web@333333333333/eu-west-1/main=4f2a9c".to_owned(),
        );
    }
    Ok(pb::ApprovedPlan {
        service: service.to_owned(),
        target: target.to_owned(),
        hash: hash.to_owned(),
    })
}

/// What is in a file: all plans of a promotion, or one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Promotion {
        plans: Vec<Printed>,
        unplanned: Vec<serde_json::Value>,
    },
    One(Box<Printed>),
}

/// What counts of a plan that was printed.
#[derive(Deserialize)]
struct Printed {
    service: String,
    target: String,
    environment: String,
    #[serde(default)]
    release: String,
    hash: String,
    action: String,
}

/// The plans of a file, one after the other. A plan of another release or
/// environment, or one that was refused, is not let through.
pub fn file(path: &Path, version: &str, environment: Option<&str>) -> Result<Vec<pb::ApprovedPlan>, Fault> {
    let shown = path.display();
    let text = read(path).map_err(|error| Fault::local(format!("cannot read {shown}: {error}")))?;
    of_text(&text, version, environment).map_err(|why| {
        Fault::local(format!("{shown}: {why}"))
            .hint("towline promote VERSION --to ENV --dry-run --output json > FILE")
    })
}

fn of_text(text: &str, version: &str, environment: Option<&str>) -> Result<Vec<pb::ApprovedPlan>, String> {
    let mut printed = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Document>() {
        match document.map_err(|error| format!("not a plan: {error}"))? {
            Document::Promotion { unplanned, .. } if !unplanned.is_empty() => {
                return Err("some operations of the promotion have no plan".to_owned());
            }
            Document::Promotion { plans, .. } => printed.extend(plans),
            Document::One(plan) => printed.push(*plan),
        }
    }
    let mut plans = Vec::new();
    for printed in printed {
        let Printed { service, target, .. } = &printed;
        if printed.action == "refused" || printed.hash.is_empty() {
            return Err(format!(
                "the plan of {service} on {target} was refused: it cannot be carried out"
            ));
        }
        if !printed.release.is_empty() && printed.release != version {
            return Err(format!(
                "the plan of {service} on {target} is of release {}, not of {version}",
                printed.release
            ));
        }
        if environment.is_some_and(|wanted| wanted != printed.environment) {
            return Err(format!(
                "the plan of {service} on {target} is of environment {}",
                printed.environment
            ));
        }
        plans.push(pb::ApprovedPlan {
            service: printed.service,
            target: printed.target,
            hash: printed.hash,
        });
    }
    match plans.is_empty() {
        true => Err("there is no plan in it".to_owned()),
        false => Ok(plans),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        return std::io::stdin().read_to_string(&mut text).map(|_| text);
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_named_by_service_and_target() {
        let of = |text| plan(text).map(|it| (it.service, it.target, it.hash));
        let told = |service: &str, target: &str, hash: &str| {
            Ok((service.to_owned(), target.to_owned(), hash.to_owned()))
        };
        assert_eq!(of("web=4f"), told("web", "", "4f"));
        assert_eq!(
            of("web@333333333333/eu-west-1/main=4f"),
            told("web", "333333333333/eu-west-1/main", "4f")
        );
        for wrong in ["web", "web=", "=4f", "web@=4f", "@t=4f"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_holds_plans_one_after_the_other_and_none_of_something_else() {
        let printed = |action: &str| {
            format!(
                r#"{{"action": "{action}", "hash": "4f", "service": "web", "environment": "prod",
                     "target": "333333333333/eu-west-1/main", "release": "1.0.0", "findings": []}}"#
            )
        };
        let two = printed("update") + "\n" + &printed("create");
        assert_eq!(of_text(&two, "1.0.0", Some("prod")).map(|it| it.len()), Ok(2));
        let all = |plans: &str, unplanned: &str| {
            let text =
                format!(r#"{{"environment": "prod", "plans": [{plans}], "unplanned": [{unplanned}]}}"#);
            of_text(&text, "1.0.0", Some("prod")).map(|it| it.len())
        };
        assert_eq!(
            all(&format!("{}, {}", printed("update"), printed("create")), ""),
            Ok(2)
        );
        assert!(all(&printed("update"), r#"{"service": "web"}"#).is_err());
        let wrong = [
            (of_text(&printed("refused"), "1.0.0", None), "was refused"),
            (
                of_text(&printed("update"), "1.1.0", None),
                "is of release 1.0.0, not of 1.1.0",
            ),
            (
                of_text(&printed("update"), "1.0.0", Some("dev")),
                "is of environment prod",
            ),
            (of_text("", "1.0.0", None), "no plan"),
            (of_text("{}", "1.0.0", None), "not a plan: "),
        ];
        for (told, words) in wrong {
            let told = told.unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }
}
