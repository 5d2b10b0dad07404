//! Who may call which RPC: one exhaustive match per service, over enums that
//! are generated from the `.proto` files. An RPC without a row does not compile.

use crate::orchestrator::v1::OperatorRole;

include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

/// What an agent asks of its caller. The orchestrator may call all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentAccess {
    /// The orchestrator, or an operator whom the agent's file allows to read.
    Read,
    /// The orchestrator, or an operator whom the agent's file allows to deploy.
    Deploy,
}

/// What the orchestrator asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrchestratorAccess {
    /// Any operator with a role.
    AnyRole,
    /// Deployers and admins.
    Deploy,
    /// Approvers and admins.
    Approve,
    /// All but viewers.
    DeployOrApprove,
    /// Admins.
    Administer,
    /// The holder of a join token, on the enrolment protocol only; never on the API.
    JoinToken,
}

impl AgentRpc {
    /// The row of this RPC.
    pub fn access(self) -> AgentAccess {
        match self {
            Self::GetAgent
            | Self::WatchOperation
            | Self::GetOperation
            | Self::ListOperations
            | Self::PlanFargateService
            | Self::PlanServiceUpdate
            | Self::GetFargateTemplate
            | Self::DescribeService
            | Self::ListServices
            | Self::ResolveImage
            | Self::ListImageTags
            | Self::ReadValues => AgentAccess::Read,
            Self::DeployFargateService | Self::UpdateService | Self::RunTask | Self::CancelOperation => {
                AgentAccess::Deploy
            }
        }
    }
}

impl OrchestratorRpc {
    /// The row of this RPC.
    pub fn access(self) -> OrchestratorAccess {
        match self {
            Self::GetProject
            | Self::ListProjects
            | Self::GetStatus
            | Self::GetServiceTemplate
            | Self::GetRelease
            | Self::ListReleases
            | Self::WatchRelease
            | Self::GetDeployment
            | Self::GetDeploymentPlan
            | Self::ListVariables
            | Self::ListDeployments
            | Self::ListAgents
            | Self::ListAuditEntries
            | Self::WatchAuditExport
            | Self::GetAuditVerification
            | Self::ListNotifications
            | Self::GetNotification
            | Self::GetFreeze
            | Self::ListFreezes
            | Self::GetCaller => OrchestratorAccess::AnyRole,
            Self::ApplyProject
            | Self::PlanService
            | Self::ImportProject
            | Self::CreateRelease
            | Self::PreviewRelease
            | Self::PromoteRelease
            | Self::PlanRelease
            | Self::InterveneDeployment
            | Self::RedeployEnvironment
            | Self::RollBackEnvironment
            | Self::CancelDeployment => OrchestratorAccess::Deploy,
            Self::ApproveDeployment | Self::RejectDeployment => OrchestratorAccess::Approve,
            Self::InviteAgent
            | Self::InviteOperator
            | Self::ListOperators
            | Self::CreateNotification
            | Self::RemoveNotification
            | Self::TestNotification
            | Self::RetryNotification
            | Self::CreateFreeze
            | Self::RemoveFreeze
            | Self::CreateBackup => OrchestratorAccess::Administer,
            Self::BlockRelease | Self::UnblockRelease | Self::OverrideFreeze => {
                OrchestratorAccess::DeployOrApprove
            }
            Self::Enrol => OrchestratorAccess::JoinToken,
        }
    }

    /// Whether a call leaves an entry in the audit log. What any role may call
    /// only reads; all else is audited, unless it is named here because it only
    /// reads as well.
    pub fn is_audited(self) -> bool {
        let reads = matches!(
            self,
            Self::PlanService
                | Self::ImportProject
                | Self::PreviewRelease
                | Self::PlanRelease
                | Self::ListOperators
        );
        self.access() != OrchestratorAccess::AnyRole && !reads
    }
}

impl OrchestratorAccess {
    /// Whether an operator with this role may pass.
    pub fn allows(self, role: OperatorRole) -> bool {
        use OperatorRole::{Admin, Approver, Deployer, Unspecified, Viewer};
        match (self, role) {
            (Self::JoinToken, _) | (_, Unspecified) => false,
            (_, Admin) | (Self::AnyRole, Viewer | Deployer | Approver) => true,
            (Self::DeployOrApprove, role) => role == Deployer || role == Approver,
            (Self::Deploy, role) => role == Deployer,
            (Self::Approve, role) => role == Approver,
            (Self::Administer, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approver_approves_and_does_not_deploy() {
        assert!(
            OrchestratorRpc::ApproveDeployment
                .access()
                .allows(OperatorRole::Approver)
        );
        assert!(
            !OrchestratorRpc::PromoteRelease
                .access()
                .allows(OperatorRole::Approver)
        );
        assert!(
            !OrchestratorRpc::ApproveDeployment
                .access()
                .allows(OperatorRole::Deployer)
        );
    }

    #[test]
    fn no_role_opens_enrolment_on_the_api() {
        assert!(!OrchestratorRpc::Enrol.access().allows(OperatorRole::Admin));
    }

    #[test]
    fn what_any_role_may_call_only_reads() {
        for rpc in OrchestratorRpc::ALL {
            let name = format!("{rpc:?}");
            let reads = ["Get", "List", "Watch"].iter().any(|verb| name.starts_with(verb));
            assert!(
                reads || rpc.access() != OrchestratorAccess::AnyRole,
                "{name} changes something: it needs a role, and an entry in the audit log"
            );
        }
    }

    #[test]
    fn paths_lead_back_to_their_rpc() {
        for rpc in AgentRpc::ALL {
            assert_eq!(AgentRpc::of_path(rpc.path()), Some(*rpc));
        }
        assert_eq!(AgentRpc::of_path("/towline.agent.v1.AgentService/Nothing"), None);
    }
}
