//! The actions that change a stack directly: create, update, delete, cancel,
//! continue.

use super::{
    change_set::ExecutionStatus,
    diff,
    model::{Blueprint, Mark, Stack, StackStatus, Stacks},
    operation::{self, Before, OnFailure, Operation, OperationKind},
    request::{self, Params, flag, optional, required},
    template::invalid,
};
use crate::{
    AwsError,
    wire::query,
    world::{CallContext, Region},
};

type Answer = Result<String, AwsError>;

pub fn create(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let name = request::new_name(params, "StackName")?.to_owned();
    let what = format!("CreateStack {params:?}");
    if let Some(stack) = stacks.find(&name) {
        let id = stack.id.clone();
        return match token_use(stack, params, &what)? {
            TokenUse::Repeat => {
                region.note_deduplicated();
                Ok(query::element("StackId", &id))
            }
            TokenUse::Fresh => Err(AwsError::client(
                "AlreadyExistsException",
                format!("Stack [{name}] already exists"),
            )),
        };
    }
    let blueprint = request::blueprint(region, params, None)?;
    let mut stack = Stack::new(region, &name, ctx.now);
    stack.is_protected = flag(params, "EnableTerminationProtection");
    stack.keeps_failures = flag(params, "DisableRollback");
    remember(&mut stack, params, &what);
    let on_failure = match optional(params, "OnFailure") {
        Some("DO_NOTHING") => OnFailure::Keep,
        Some("DELETE") => OnFailure::Delete,
        _ if stack.keeps_failures => OnFailure::Keep,
        _ => OnFailure::RollBack,
    };
    let mark = mark(region, ctx, params);
    begin(region, &mut stack, blueprint, on_failure, None, &mark);
    let answer = query::element("StackId", &stack.id) + &operation_id(&mark);
    stacks.all.push(stack);
    Ok(answer)
}

pub fn update(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let name = required(params, "StackName")?;
    let stack = stacks.find_mut(name).ok_or_else(|| missing(name))?;
    let answer = query::element("StackId", &stack.id);
    let what = format!("UpdateStack {params:?}");
    if token_use(stack, params, &what)? == TokenUse::Repeat {
        region.note_deduplicated();
        return Ok(answer);
    }
    check_updatable(stack)?;
    let blueprint = request::blueprint(region, params, stack.blueprint.as_ref())?;
    let pseudo = stack.pseudo(region);
    if diff::changes(stack, &blueprint, &pseudo)?.is_empty() {
        return Err(invalid("No updates are to be performed."));
    }
    let mark = mark(region, ctx, params);
    let on_failure = if flag(params, "DisableRollback") {
        OnFailure::Keep
    } else {
        OnFailure::RollBack
    };
    begin(region, stack, blueprint, on_failure, None, &mark);
    remember(stack, params, &what);
    Ok(answer + &operation_id(&mark))
}

pub fn delete(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let name = required(params, "StackName")?;
    let Some(stack) = stacks.find_mut(name) else {
        // AWS does not mind.
        return Ok(String::new());
    };
    let is_over = matches!(
        stack.status,
        StackStatus::DeleteInProgress | StackStatus::DeleteComplete
    );
    if token_use(stack, params, "DeleteStack")? == TokenUse::Repeat || is_over {
        region.note_deduplicated();
        return Ok(String::new());
    }
    if stack.is_protected {
        let name = &stack.name;
        return Err(invalid(format!(
            "Stack [{name}] cannot be deleted while TerminationProtection is enabled"
        )));
    }
    if !stack.status.can_be_deleted() {
        let (id, status) = (&stack.id, stack.status);
        return Err(invalid(format!(
            "Stack [{id}] cannot be deleted while in status {status}"
        )));
    }
    let retained = query::list(params, "RetainResources");
    if !retained.is_empty() && stack.status != StackStatus::DeleteFailed {
        return Err(invalid(format!(
            "Invalid operation on stack [{}]. Specify retain resources only when a stack is in DELETE_FAILED state.",
            stack.id
        )));
    }
    let mark = mark(region, ctx, params);
    if let Some(mut running) = stack.operation.take() {
        operation::step::cancel_all(stack, &mut running, &mark);
    }
    stack
        .resources
        .retain(|resource| !retained.contains(&resource.logical_id));
    let reason = Some("User Initiated".to_owned());
    stack.enter(region, &mark, StackStatus::DeleteInProgress, reason);
    let id = mark.operation_id.clone().unwrap_or_default();
    stack.operation = Some(Operation::deleting(stack, id, mark.token.clone(), ctx.now));
    remember(stack, params, "DeleteStack");
    Ok(String::new())
}

pub fn cancel(region: &mut Region, stacks: &mut Stacks, ctx: &CallContext, params: &Params) -> Answer {
    let name = required(params, "StackName")?;
    let stack = stacks.find_mut(name).ok_or_else(|| missing(name))?;
    if token_use(stack, params, "CancelUpdateStack")? == TokenUse::Repeat {
        region.note_deduplicated();
        return Ok(String::new());
    }
    if stack.status != StackStatus::UpdateInProgress {
        return Err(invalid(
            "CancelUpdateStack cannot be called from current stack status",
        ));
    }
    operation::cancel(region, stack, token(params), ctx.now);
    remember(stack, params, "CancelUpdateStack");
    Ok(String::new())
}

pub fn continue_rollback(
    region: &mut Region,
    stacks: &mut Stacks,
    ctx: &CallContext,
    params: &Params,
) -> Answer {
    let name = required(params, "StackName")?;
    let stack = stacks.find_mut(name).ok_or_else(|| missing(name))?;
    if token_use(stack, params, "ContinueUpdateRollback")? == TokenUse::Repeat {
        region.note_deduplicated();
        return Ok(String::new());
    }
    if stack.status != StackStatus::UpdateRollbackFailed {
        let (id, status) = (&stack.id, stack.status);
        return Err(invalid(format!(
            "Stack:{id} is in {status} state and can not continue update rollback."
        )));
    }
    let skipped = query::list(params, "ResourcesToSkip");
    let failed: Vec<&str> = stack
        .operation
        .iter()
        .flat_map(Operation::failed)
        .map(|step| step.logical_id.as_str())
        .collect();
    let wrong: Vec<&str> = skipped
        .iter()
        .map(String::as_str)
        .filter(|name| !failed.contains(name))
        .collect();
    if !wrong.is_empty() {
        return Err(invalid(format!(
            "Resources to skip [{}] are not in the UPDATE_FAILED state, or do not belong to stack {}.",
            wrong.join(", "),
            stack.id
        )));
    }
    operation::resume(region, stack, token(params), &skipped, ctx.now);
    remember(stack, params, "ContinueUpdateRollback");
    Ok(String::new())
}

/// Begins to make the stack what the blueprint says: a create for a stack that has nothing yet.
pub fn begin(
    region: &mut Region,
    stack: &mut Stack,
    blueprint: Blueprint,
    on_failure: OnFailure,
    change_set: Option<String>,
    mark: &Mark,
) {
    let is_new = stack.blueprint.is_none();
    let before = stack.blueprint.replace(blueprint);
    let before = (!is_new).then(|| Before {
        blueprint: before,
        resources: stack.resources.clone(),
    });
    let (kind, status) = if is_new {
        (OperationKind::Create, StackStatus::CreateInProgress)
    } else {
        stack.updated = Some(mark.now);
        (OperationKind::Update, StackStatus::UpdateInProgress)
    };
    stack.enter(region, mark, status, Some("User Initiated".to_owned()));
    for other in &mut stack.change_sets {
        if Some(&other.id) != change_set.as_ref() && other.execution != ExecutionStatus::ExecuteComplete {
            other.execution = ExecutionStatus::Obsolete;
        }
    }
    let mut operation = Operation::applying(region, stack, kind, before, mark);
    operation.on_failure = on_failure;
    operation.change_set = change_set;
    stack.operation = Some(operation);
}

/// Whether the stack may be updated now.
///
/// # Errors
/// `ValidationError` in AWS's words.
pub fn check_updatable(stack: &Stack) -> Result<(), AwsError> {
    if stack.status.can_be_updated() {
        return Ok(());
    }
    let (id, status) = (&stack.id, stack.status);
    Err(invalid(format!(
        "Stack:{id} is in {status} state and can not be updated."
    )))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    Fresh,
    Repeat,
}

/// Whether the request's token says that this was asked before. A refused
/// request does not use its token up, so [`remember`] comes after the check.
///
/// # Errors
/// `TokenAlreadyExistsException` when it stands for something else.
pub fn token_use(stack: &Stack, params: &Params, what: &str) -> Result<TokenUse, AwsError> {
    let known = optional(params, "ClientRequestToken")
        .and_then(|token| stack.tokens.iter().find(|(known, _)| known == token));
    match known {
        None => Ok(TokenUse::Fresh),
        Some((_, known)) if known == what => Ok(TokenUse::Repeat),
        Some((token, _)) => Err(AwsError::client(
            "TokenAlreadyExistsException",
            format!(
                "The client request token {token} has already been used for this stack. \
                 Retry the request with a different client request token"
            ),
        )),
    }
}

/// Writes down what the request's token stands for.
pub fn remember(stack: &mut Stack, params: &Params, what: &str) {
    if let Some(token) = token(params) {
        stack.tokens.push((token, what.to_owned()));
    }
}

pub fn token(params: &Params) -> Option<String> {
    optional(params, "ClientRequestToken").map(str::to_owned)
}

pub fn mark(region: &mut Region, ctx: &CallContext, params: &Params) -> Mark {
    Mark {
        now: ctx.now,
        token: token(params),
        operation_id: Some(region.ids.uuid("operation")),
    }
}

pub fn missing(name: &str) -> AwsError {
    invalid(format!("Stack [{name}] does not exist"))
}

fn operation_id(mark: &Mark) -> String {
    let id = mark.operation_id.as_deref();
    id.map(|id| query::element("OperationId", id)).unwrap_or_default()
}
