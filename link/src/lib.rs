//! The link between agents and orchestrator: identities in certificates, mutual
//! TLS, and connections that either side may open. It knows no ECS and no
//! release. Start with [`seams`].

pub mod seams;
