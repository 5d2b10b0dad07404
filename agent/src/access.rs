//! Who may call what on this agent: the orchestrator everything, an operator
//! what the agent's own file allows, another agent nothing.

use std::sync::Arc;

use tonic::{Code, Status};
use towline_agent_domain::policy::{OperatorRules, Permission};
use towline_link::{
    identity::{AgentName, Identity},
    status::{Fault, NOT_ALLOWED},
};
use towline_proto::access::{AgentAccess, AgentRpc};

use crate::config::FILE_NAME;

/// The rule for every call, as [`towline_link::access::AccessLayer`] asks for it.
pub fn rule(
    agent: AgentName,
    rules: Arc<OperatorRules>,
) -> impl Fn(&str, &Identity) -> Result<(), Status> + Clone + Send + Sync + 'static {
    move |path, caller| {
        let Some(rpc) = AgentRpc::of_path(path) else {
            return Err(Status::unimplemented(format!("agent {agent} has no RPC {path}")));
        };
        let (wanted, word) = match rpc.access() {
            AgentAccess::Read => (Permission::Read, "read"),
            AgentAccess::Deploy => (Permission::Deploy, "deploy"),
        };
        let allowed = match caller {
            Identity::Orchestrator => true,
            Identity::Operator(name) => rules.allows(name.as_str(), wanted),
            Identity::Agent(_) => false,
        };
        if allowed {
            return Ok(());
        }
        let refusal = format!("{caller} may not {word} on agent {agent}");
        let fault = Fault::new(Code::PermissionDenied, NOT_ALLOWED, refusal);
        Err(match caller.name() {
            Some(name) => fault.hint(format!(
                "on the agent's machine, add [[operators]] with name = {name:?} and allow = [{word:?}] to {FILE_NAME}"
            )),
            None => fault,
        }
        .into_status())
    }
}

#[cfg(test)]
mod tests {
    use towline_agent_domain::policy::OperatorRule;

    use super::*;

    fn operator(name: &str) -> Identity {
        Identity::Operator(name.parse().unwrap())
    }

    #[test]
    fn the_orchestrator_may_all_and_an_operator_what_the_file_says() {
        let rules = OperatorRules::new(vec![
            OperatorRule {
                operator: "*".into(),
                permissions: vec![Permission::Read],
            },
            OperatorRule {
                operator: "ann".into(),
                permissions: vec![Permission::Deploy],
            },
        ]);
        let decide = rule("dev".parse().unwrap(), Arc::new(rules));
        for rpc in AgentRpc::ALL {
            assert!(decide(rpc.path(), &Identity::Orchestrator).is_ok());
            assert!(decide(rpc.path(), &operator("ann")).is_ok());
            let bob = decide(rpc.path(), &operator("bob"));
            assert_eq!(bob.is_ok(), rpc.access() == AgentAccess::Read, "{rpc:?}");
            assert!(decide(rpc.path(), &Identity::Agent("prod".parse().unwrap())).is_err());
        }
    }

    #[test]
    fn what_is_no_rpc_is_open_to_nobody() {
        let decide = rule("dev".parse().unwrap(), Arc::default());
        let status = decide("/towline.agent.v1.AgentService/Nothing", &Identity::Orchestrator).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}
