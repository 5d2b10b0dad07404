use super::Host;
use crate::tls::{ALPN_H2, ALPN_HTTP1, ALPN_JOIN, ALPN_LINK, Rule};

/// What a connection is for, by the protocols that its ClientHello offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Link,
    Join,
    Api,
    Pages,
}

impl Purpose {
    /// Browsers offer `h2` too, and always `http/1.1` beside it; gRPC clients
    /// offer `h2` alone.
    pub(super) fn of<'a>(host: Host, offered: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let (mut link, mut join, mut h2, mut http1) = (false, false, false, false);
        for protocol in offered {
            link |= protocol == ALPN_LINK;
            join |= protocol == ALPN_JOIN;
            h2 |= protocol == ALPN_H2;
            http1 |= protocol == ALPN_HTTP1;
        }
        match host {
            Host::Agent => h2.then_some(Self::Api),
            Host::Orchestrator if link => Some(Self::Link),
            Host::Orchestrator if join => Some(Self::Join),
            Host::Orchestrator if http1 => Some(Self::Pages),
            Host::Orchestrator => h2.then_some(Self::Api),
        }
    }

    /// Who may open it; `None` when no certificate is asked for.
    pub(super) fn rule(self, host: Host) -> Option<Rule> {
        match (self, host) {
            (Self::Link, _) => Some(Rule::AnyAgent),
            (Self::Api, Host::Orchestrator) => Some(Rule::AnyOperator),
            (Self::Api, Host::Agent) => Some(Rule::OrchestratorOrOperator),
            (Self::Join | Self::Pages, _) => None,
        }
    }

    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Link => ALPN_LINK,
            Self::Join => ALPN_JOIN,
            Self::Api => ALPN_H2,
            Self::Pages => ALPN_HTTP1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hello_tells_the_four_kinds_apart() {
        let at = |host, offered: &[&'static [u8]]| Purpose::of(host, offered.iter().copied());
        let orchestrator = |offered: &[&'static [u8]]| at(Host::Orchestrator, offered);
        assert_eq!(orchestrator(&[ALPN_LINK]), Some(Purpose::Link));
        assert_eq!(orchestrator(&[ALPN_JOIN]), Some(Purpose::Join));
        assert_eq!(orchestrator(&[ALPN_H2]), Some(Purpose::Api));
        assert_eq!(orchestrator(&[ALPN_H2, ALPN_HTTP1]), Some(Purpose::Pages));
        assert_eq!(orchestrator(&[ALPN_HTTP1]), Some(Purpose::Pages));
        assert_eq!(orchestrator(&[]), None);
        assert_eq!(orchestrator(&[b"acme-tls/1"]), None);
        assert_eq!(at(Host::Agent, &[ALPN_H2]), Some(Purpose::Api));
        assert_eq!(at(Host::Agent, &[ALPN_LINK]), None);
        assert_eq!(at(Host::Agent, &[ALPN_HTTP1]), None);
    }
}
