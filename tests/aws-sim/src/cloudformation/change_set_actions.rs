//! The actions on change sets.

use super::{
    change_set::{ChangeSet, ChangeSetKind, ChangeSetStatus, ExecutionStatus},
    model::{Mark, Stack, StackStatus, Stacks},
    operation::OnFailure,
    render,
    request::{self, Params, flag, optional, required},
    stack_actions::{self, TokenUse},
    template::invalid,
};
use crate::{
    AwsError,
    wire::query,
    world::{CallContext, Region},
};

type Answer = Result<String, AwsError>;

pub fn create(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let name = request::new_name(params, "ChangeSetName")?.to_owned();
    let stack_name = required(params, "StackName")?;
    let kind = match optional(params, "ChangeSetType") {
        Some("CREATE") => ChangeSetKind::Create,
        None | Some("UPDATE") => ChangeSetKind::Update,
        Some(other) => {
            return Err(invalid(format!(
                "ChangeSetType {other} is not simulated by aws-sim"
            )));
        }
    };
    let existing = stacks.find(stack_name);
    let previous = existing.and_then(|stack| stack.blueprint.as_ref());
    let blueprint = request::blueprint(region, params, previous)?;
    let wanted = ChangeSet {
        id: String::new(),
        name: name.clone(),
        description: optional(params, "Description").map(str::to_owned),
        kind,
        status: ChangeSetStatus::CreatePending,
        status_reason: None,
        execution: ExecutionStatus::Unavailable,
        created: ctx.now,
        client_token: optional(params, "ClientToken").map(str::to_owned),
        blueprint,
        on_failure: on_failure(params),
        changes: Vec::new(),
    };
    if let Some(found) = existing.and_then(|stack| stack.change_sets.iter().find(|c| c.name == name)) {
        let answer = ids(found, existing);
        return match found.mismatch(&wanted) {
            None => {
                region.note_deduplicated();
                Ok(answer)
            }
            Some(attribute) => Err(AwsError::client(
                "AlreadyExistsException",
                format!(
                    "ChangeSet {name} cannot be created due to a mismatch with existing attribute {attribute}"
                ),
            )),
        };
    }
    match (existing, kind) {
        (Some(stack), ChangeSetKind::Update) => stack_actions::check_updatable(stack)?,
        (Some(stack), ChangeSetKind::Create) if stack.status != StackStatus::ReviewInProgress => {
            return Err(invalid(format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
                stack.name
            )));
        }
        (Some(_), ChangeSetKind::Create) => {}
        (None, ChangeSetKind::Update) => return Err(stack_actions::missing(stack_name)),
        (None, ChangeSetKind::Create) => begin_review(region, stacks, ctx, params)?,
    }
    let unique = region.ids.uuid("change-set");
    let id = region.arn("cloudformation", &format!("changeSet/{name}/{unique}"));
    let stack = stacks
        .find_mut(stack_name)
        .ok_or_else(|| stack_actions::missing(stack_name))?;
    stack.change_sets.push(ChangeSet { id, ..wanted });
    let made = stack.change_sets.last();
    Ok(made.map(|made| ids(made, Some(stack))).unwrap_or_default())
}

pub fn describe(stacks: &Stacks, params: &Params) -> Answer {
    let (stack, change_set) = find(stacks, params)?;
    let has_values = flag(params, "IncludePropertyValues");
    render::change_set(stack, change_set, optional(params, "NextToken"), has_values)
}

pub fn list(stacks: &Stacks, params: &Params) -> Answer {
    let name = required(params, "StackName")?;
    let stack = stacks.find(name).ok_or_else(|| stack_actions::missing(name))?;
    Ok(render::change_set_summaries(stack))
}

pub fn execute(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let (stack, change_set) = find(stacks, params)?;
    let (stack_id, id) = (stack.id.clone(), change_set.id.clone());
    let what = format!("ExecuteChangeSet {id}");
    if stack_actions::token_use(stack, params, &what)? == TokenUse::Repeat {
        region.note_deduplicated();
        return Ok(String::new());
    }
    check_executable(stack, change_set)?;
    let blueprint = change_set.blueprint.clone();
    let on_failure = change_set.on_failure;
    let mark = stack_actions::mark(region, ctx, params);
    let stack = stacks
        .find_mut(&stack_id)
        .ok_or_else(|| stack_actions::missing(&stack_id))?;
    for change_set in &mut stack.change_sets {
        if change_set.id == id {
            change_set.execution = ExecutionStatus::ExecuteInProgress;
        }
    }
    let on_failure = match on_failure {
        Some(chosen) => chosen,
        None if flag(params, "DisableRollback") => OnFailure::Keep,
        None => OnFailure::RollBack,
    };
    stack.keeps_failures = on_failure == OnFailure::Keep;
    stack.executed = Some(id.clone());
    stack_actions::begin(region, stack, blueprint, on_failure, Some(id), &mark);
    stack_actions::remember(stack, params, &what);
    Ok(String::new())
}

pub fn delete(stacks: &mut Stacks, params: &Params) -> Answer {
    let Ok((stack, change_set)) = find(stacks, params) else {
        // AWS does not mind, as long as the stack is there.
        return match optional(params, "StackName") {
            Some(name) if stacks.find(name).is_none() => Err(stack_actions::missing(name)),
            _ => Ok(String::new()),
        };
    };
    let is_busy = change_set.execution == ExecutionStatus::ExecuteInProgress
        || change_set.status == ChangeSetStatus::CreateInProgress;
    let (stack_id, id) = (stack.id.clone(), change_set.id.clone());
    if is_busy {
        let status = change_set.status.word();
        return Err(status_error(format!(
            "ChangeSet [{id}] cannot be deleted in its current status of [{status}]"
        )));
    }
    if let Some(stack) = stacks.find_mut(&stack_id) {
        stack.change_sets.retain(|change_set| change_set.id != id);
    }
    Ok(String::new())
}

/// The stack and the change set that the request names.
///
/// # Errors
/// `ChangeSetNotFound` (404), `ValidationError`.
pub fn find<'a>(stacks: &'a Stacks, params: &Params) -> Result<(&'a Stack, &'a ChangeSet), AwsError> {
    let name = required(params, "ChangeSetName")?;
    let is_arn = name.starts_with("arn:");
    let stack_name = optional(params, "StackName");
    if !is_arn && stack_name.is_none() {
        return Err(invalid(
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        ));
    }
    let mut candidates: Vec<&Stack> = Vec::new();
    match stack_name {
        Some(stack_name) => candidates.push(
            stacks
                .find(stack_name)
                .ok_or_else(|| stack_actions::missing(stack_name))?,
        ),
        None => candidates.extend(&stacks.all),
    }
    let mut found = candidates.into_iter().filter_map(|stack| {
        let named = |change_set: &&ChangeSet| change_set.id == name || (!is_arn && change_set.name == name);
        Some((stack, stack.change_sets.iter().find(named)?))
    });
    found.next().ok_or_else(|| {
        AwsError::with_status(
            "ChangeSetNotFound",
            format!("ChangeSet [{name}] does not exist"),
            404,
        )
    })
}

fn check_executable(stack: &Stack, change_set: &ChangeSet) -> Result<(), AwsError> {
    let (id, status, execution) = (&change_set.id, change_set.status, change_set.execution);
    if status != ChangeSetStatus::CreateComplete {
        let status = status.word();
        return Err(status_error(format!(
            "ChangeSet [{id}] cannot be executed in its current status of [{status}]"
        )));
    }
    if execution != ExecutionStatus::Available {
        let execution = execution.word();
        return Err(status_error(format!(
            "ChangeSet [{id}] cannot be executed in its current execution status of [{execution}]"
        )));
    }
    if stack.status == StackStatus::ReviewInProgress {
        return Ok(());
    }
    stack_actions::check_updatable(stack)
}

/// A stack that has nothing but the wish to be made.
fn begin_review(
    region: &mut Region,
    stacks: &mut Stacks,
    ctx: &CallContext,
    params: &Params,
) -> Result<(), AwsError> {
    let name = request::new_name(params, "StackName")?;
    let mut stack = Stack::new(region, name, ctx.now);
    let mark = Mark {
        now: ctx.now,
        token: None,
        operation_id: None,
    };
    let reason = Some("User Initiated".to_owned());
    stack.enter(region, &mark, StackStatus::ReviewInProgress, reason);
    stacks.all.push(stack);
    Ok(())
}

fn on_failure(params: &Params) -> Option<OnFailure> {
    match optional(params, "OnStackFailure") {
        Some("DO_NOTHING") => Some(OnFailure::Keep),
        Some("DELETE") => Some(OnFailure::Delete),
        Some("ROLLBACK") => Some(OnFailure::RollBack),
        _ => None,
    }
}

fn ids(change_set: &ChangeSet, stack: Option<&Stack>) -> String {
    let stack_id = stack.map(|stack| stack.id.as_str()).unwrap_or_default();
    query::element("Id", &change_set.id) + &query::element("StackId", stack_id)
}

fn status_error(message: String) -> AwsError {
    AwsError::client("InvalidChangeSetStatus", message)
}
