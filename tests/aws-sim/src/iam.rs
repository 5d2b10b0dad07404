//! IAM roles, as far as CloudFormation makes them and ECS tasks need them.
//! One map per account, shared by its regions as IAM is global. What IAM says
//! about them is in [`answers`]; nobody's own calls are checked against a policy.

mod answers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use answers::call;
use serde_json::{Map, Value};

use crate::{
    AwsError,
    world::{CallContext, Region, SimTime},
};

/// One role.
#[derive(Clone, Debug)]
pub struct Role {
    pub name: String,
    /// Starts and ends with `/`.
    pub path: String,
    pub arn: String,
    pub created: SimTime,
    /// CloudFormation's properties, or the seed's, as they were given.
    pub properties: Map<String, Value>,
}

/// The roles of one account.
#[derive(Clone, Debug, Default)]
pub struct SharedRoles(Arc<Mutex<BTreeMap<String, Role>>>);

impl SharedRoles {
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Role>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a role; its ARN is in the answer.
///
/// # Errors
/// `EntityAlreadyExists` (409) for a name that the account has.
pub fn create_role(
    region: &mut Region,
    ctx: &CallContext,
    name: &str,
    path: &str,
    properties: Map<String, Value>,
) -> Result<Role, AwsError> {
    let arn = format!(
        "arn:{}:iam::{}:role{path}{name}",
        region.partition(),
        region.account
    );
    let mut roles = region.iam.lock();
    if roles.contains_key(name) {
        return Err(AwsError::with_status(
            "EntityAlreadyExists",
            format!("Role with name {name} already exists."),
            409,
        ));
    }
    let role = Role {
        name: name.to_owned(),
        path: path.to_owned(),
        arn,
        created: ctx.now,
        properties,
    };
    roles.insert(name.to_owned(), role.clone());
    Ok(role)
}

/// Replaces the properties of a role.
///
/// # Errors
/// `NoSuchEntity` (404).
pub fn update_role(region: &mut Region, name: &str, properties: Map<String, Value>) -> Result<(), AwsError> {
    let mut roles = region.iam.lock();
    let role = roles.get_mut(name).ok_or_else(|| no_such_role(name))?;
    role.properties = properties;
    Ok(())
}

/// Deletes a role.
///
/// # Errors
/// `NoSuchEntity` (404).
pub fn delete_role(region: &mut Region, name: &str) -> Result<(), AwsError> {
    region
        .iam
        .lock()
        .remove(name)
        .map(drop)
        .ok_or_else(|| no_such_role(name))
}

/// Whether the account has the role of this ARN.
pub fn role_exists(region: &Region, arn: &str) -> bool {
    region.iam.lock().values().any(|role| role.arn == arn)
}

/// Whether the account has the role of this ARN, and its trust policy names the service.
pub fn is_assumable(region: &Region, arn: &str, service: &str) -> bool {
    let roles = region.iam.lock();
    let role = roles.values().find(|role| role.arn == arn);
    role.is_some_and(|role| trusts(role, service))
}

/// Whether a role's own policy forbids an action, explicitly. (That it does not
/// allow it is not looked at: the seed's roles are not written out that far.)
pub fn forbids(region: &Region, arn: &str, action: &str, resource: &str) -> bool {
    let roles = region.iam.lock();
    let role = roles.values().find(|role| role.arn == arn);
    role.is_some_and(|role| answers::decision(role, action, resource) == "explicitDeny")
}

/// Whether a role's own policy allows an action.
pub fn allows(region: &Region, arn: &str, action: &str, resource: &str) -> bool {
    let roles = region.iam.lock();
    let role = roles.values().find(|role| role.arn == arn);
    role.is_some_and(|role| answers::decision(role, action, resource) == "allowed")
}

fn trusts(role: &Role, service: &str) -> bool {
    let statements = role.properties.get("AssumeRolePolicyDocument");
    let statements = statements.map(answers::statements).unwrap_or_default();
    statements.iter().any(|statement| {
        let principals = statement.pointer("/Principal/Service").map(answers::one_or_many);
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && principals.unwrap_or_default().contains(&service)
    })
}

fn no_such_role(name: &str) -> AwsError {
    AwsError::with_status(
        "NoSuchEntity",
        format!("The role with name {name} cannot be found."),
        404,
    )
}
