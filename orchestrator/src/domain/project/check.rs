//! What only the file as a whole can show: values that a target lacks, services
//! claimed twice, orders that go in circles.

use crate::domain::name::EnvironmentName;

use super::{
    definition::{Project, Service, Target},
    forms::Form,
    template::{Amount, Scope, Source, Switch, Template, Texts, Unresolved},
    yaml::Place,
};

/// A place of the file that needs values.
pub struct Use {
    pub at: Place,
    pub wants: Wants,
}

pub enum Wants {
    Text(Template),
    Texts(Texts),
    /// Every one of them has this form.
    Form {
        what: String,
        texts: Texts,
        form: Form,
    },
    /// What the containers have of a size of the task, all of them together.
    Share {
        what: String,
        /// "CPU units", "MiB".
        unit: &'static str,
        parts: Vec<Amount>,
        whole: Amount,
    },
    /// It is off, since what it needs is not there.
    Off {
        switch: Switch,
        message: String,
        hint: String,
    },
    Amount {
        what: String,
        amount: Amount,
        allowed: Allowed,
    },
    Switch(Switch),
    /// What a rollout of so many tasks may do with them.
    Rollout {
        what: String,
        desired: Option<Amount>,
        minimum: Option<Amount>,
        maximum: Option<Amount>,
    },
    FargateCpu {
        what: String,
        cpu: Amount,
    },
    FargateMemory {
        what: String,
        cpu: Amount,
        memory: Amount,
    },
}

/// Which numbers a member may have.
#[derive(Clone, Copy)]
pub enum Allowed {
    Any,
    /// From, to.
    Range(u32, u32),
    OneOf(&'static [u32]),
}

impl Allowed {
    pub fn allows(self, number: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Range(from, to) => (from..=to).contains(&number),
            Self::OneOf(all) => all.contains(&number),
        }
    }

    /// What is wanted, for a person: "a whole number from 1 to 5".
    pub fn words(self) -> String {
        match self {
            Self::Any => "a whole number, at least 0".to_owned(),
            Self::Range(from, u32::MAX) => format!("a whole number, at least {from}"),
            Self::Range(from, to) => format!("a whole number from {from} to {to}"),
            Self::OneOf(all) => {
                let all: Vec<String> = all.iter().map(u32::to_string).collect();
                format!("one of {}", all.join(", "))
            }
        }
    }
}

/// Where a use has to be filled.
pub enum Reach {
    /// Where the service of this key is.
    Service(String),
    /// Where the one-off task of this key is run.
    Task(String),
    /// Where a service that uses the image of this key is; everywhere when none does.
    Image(String),
}

impl Reach {
    pub fn covers(&self, project: &Project, environment: &EnvironmentName, target: &Target) -> bool {
        let mut services = project.services.iter();
        match self {
            Self::Service(key) => services
                .find(|(name, _)| name.as_str() == key)
                .is_none_or(|(_, service)| service.goes_to(environment, target)),
            Self::Task(key) => {
                let mut tasks = project.tasks.iter();
                tasks
                    .find(|(name, _)| name.as_str() == key)
                    .is_none_or(|(_, task)| {
                        let like = project.services.get(&task.like);
                        task.goes_to(environment, target)
                            && like.is_none_or(|it| it.goes_to(environment, target))
                    })
            }
            Self::Image(key) => {
                let uses = |service: &Service| service.images().iter().any(|image| image.as_str() == key);
                let mut users = services.map(|(_, it)| it).filter(|it| uses(it)).peekable();
                users.peek().is_none() || users.any(|it| it.goes_to(environment, target))
            }
        }
    }
}

impl Wants {
    pub fn fault(&self, scope: Scope<'_>) -> Option<(String, String)> {
        let unresolved = match self {
            Self::Text(template) => template.resolve(scope).err(),
            Self::Texts(texts) => texts.resolve(scope).err(),
            Self::Amount {
                what,
                amount,
                allowed,
            } => match amount.resolve(scope) {
                Ok(number) if allowed.allows(number) => None,
                Ok(number) => {
                    let message = format!("{what} must be {}, and is {number}", allowed.words());
                    return Some((message, String::new()));
                }
                Err(why) => Some(why),
            },
            Self::Switch(switch) => switch.resolve(scope).err(),
            // What cannot be filled is told by another use of the same place.
            Self::Form { what, texts, form } => {
                let texts = texts.resolve(scope).ok()?;
                let (message, looks) = texts.iter().find_map(|text| form.fault(text))?;
                return Some((format!("{what}: {message}"), looks.to_owned()));
            }
            Self::Share {
                what,
                unit,
                parts,
                whole,
            } => return overfull(what, unit, parts, whole, scope),
            Self::Off {
                switch,
                message,
                hint,
            } => {
                let on = switch.resolve(scope).ok()?;
                return on.then(|| (message.clone(), hint.clone()));
            }
            Self::Rollout {
                what,
                desired,
                minimum,
                maximum,
            } => {
                let of = |amount: &Option<Amount>| amount.as_ref().map(|it| it.resolve(scope)).transpose();
                let (desired, minimum, maximum) = (of(desired).ok()?, of(minimum).ok()?, of(maximum).ok()?);
                return deadlock(what, desired, minimum.unwrap_or(100), maximum.unwrap_or(200));
            }
            Self::FargateCpu { what, cpu } => return cpu_fault(what, cpu.resolve(scope).ok()?),
            Self::FargateMemory { what, cpu, memory } => {
                let (cpu, memory) = (cpu.resolve(scope).ok()?, memory.resolve(scope).ok()?);
                return memory_fault(what, cpu, memory);
            }
        };
        unresolved.map(|why| (why.to_string(), way_out(&why)))
    }
}

/// The next step where a hole cannot be filled.
pub fn way_out(why: &Unresolved) -> String {
    match why {
        Unresolved::Missing {
            from: Source::Variable,
            name,
        } => format!("give {name} a value under `variables` that matches there, or one without a scope"),
        Unresolved::Missing { from, name } => format!("add {name} to the values of the {from}"),
        Unresolved::List { from, name } => {
            format!("where a list is wanted, write the whole of it as \"${{{from}.{name}}}\"")
        }
        Unresolved::NotANumber { .. } => "a whole number is needed here".to_owned(),
        Unresolved::NotASwitch { .. } => "true or false is needed here".to_owned(),
        Unresolved::Tied { .. } => "name one scope more in one of them".to_owned(),
        Unresolved::Unread { .. } => "its agent reads it when the plan is made".to_owned(),
    }
}

/// Task sizes of Fargate: CPU units, and the MiB from, to, in steps of.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size>
const SIZES: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

fn cpu_fault(what: &str, cpu: u32) -> Option<(String, String)> {
    if SIZES.iter().any(|(units, ..)| *units == cpu) {
        return None;
    }
    let all: Vec<String> = SIZES.iter().map(|(units, ..)| units.to_string()).collect();
    Some((
        format!("{what}: Fargate has no tasks of {cpu} CPU units"),
        format!("one of {}", all.join(", ")),
    ))
}

fn memory_fault(what: &str, cpu: u32, memory: u32) -> Option<(String, String)> {
    let &(_, from, to, step) = SIZES.iter().find(|(units, ..)| *units == cpu)?;
    // 256 CPU units offer 512, 1024 and 2048 MiB, and not 1536.
    let fits =
        (from..=to).contains(&memory) && (memory - from).is_multiple_of(step) && (cpu, memory) != (256, 1536);
    let hint = match cpu {
        256 => "512, 1024 or 2048 MiB".to_owned(),
        _ => format!("{from} to {to} MiB in steps of {step}"),
    };
    (!fits).then(|| {
        (
            format!("{what}: Fargate has no tasks of {cpu} CPU units with {memory} MiB"),
            hint,
        )
    })
}

fn overfull(
    what: &str,
    unit: &str,
    parts: &[Amount],
    whole: &Amount,
    scope: Scope<'_>,
) -> Option<(String, String)> {
    let mut sum = 0_u64;
    for part in parts {
        sum += u64::from(part.resolve(scope).ok()?);
    }
    let whole = whole.resolve(scope).ok()?;
    (sum > u64::from(whole)).then(|| {
        (
            format!("{what}: the containers take {sum} {unit}, and the task has {whole}"),
            "give the task more, or the containers less".to_owned(),
        )
    })
}

/// ECS replaces tasks within these bounds: it rounds the lower one up and the
/// upper one down.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
fn deadlock(what: &str, desired: Option<u32>, minimum: u32, maximum: u32) -> Option<(String, String)> {
    // Without a count, one that the percentages can be read for.
    let tasks = u64::from(desired.unwrap_or(100));
    let least = (tasks * u64::from(minimum)).div_ceil(100);
    let most = tasks * u64::from(maximum) / 100;
    if tasks == 0 || least < tasks || most > tasks {
        return None;
    }
    let count = desired
        .map(|it| format!(" and desired_count {it}"))
        .unwrap_or_default();
    Some((
        format!(
            "{what}: with {minimum} percent at least, {maximum} percent at most{count} no task could ever be replaced"
        ),
        "raise maximum_percent or lower minimum_healthy_percent".to_owned(),
    ))
}

/// The first cycle of a graph whose nodes are numbers: its nodes in order, the
/// first one again at the end.
pub fn cycle(nodes: usize, edges: impl Fn(usize) -> Vec<usize>) -> Option<Vec<usize>> {
    let mut done = vec![false; nodes];
    for start in 0..nodes {
        let mut path = Vec::new();
        if let Some(found) = walk(start, &edges, &mut path, &mut done) {
            return Some(found);
        }
    }
    None
}

fn walk(
    node: usize,
    edges: &impl Fn(usize) -> Vec<usize>,
    path: &mut Vec<usize>,
    done: &mut Vec<bool>,
) -> Option<Vec<usize>> {
    if let Some(start) = path.iter().position(|earlier| *earlier == node) {
        let mut found = path.split_off(start);
        found.push(node);
        return Some(found);
    }
    if done.get(node).copied().unwrap_or(true) {
        return None;
    }
    path.push(node);
    for next in edges(node) {
        if let Some(found) = walk(next, edges, path, done) {
            return Some(found);
        }
    }
    path.pop();
    if let Some(done) = done.get_mut(node) {
        *done = true;
    }
    None
}
