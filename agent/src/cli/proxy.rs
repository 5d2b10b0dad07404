//! Whether the way to the orchestrator leads through a proxy.

use super::Global;

/// The proxy for an address `host:port`; none for this machine itself, and none
/// for what `--no-proxy` lists.
pub(super) fn proxy_for(address: &str, global: &Global) -> Option<String> {
    let proxy = global.https_proxy.clone().filter(|proxy| !proxy.is_empty())?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let excepted = global.no_proxy.iter().any(|rule| matches(rule.trim(), host));
    (!local && !excepted).then_some(proxy)
}

/// `*`, a host, or a domain with all below it.
fn matches(rule: &str, host: &str) -> bool {
    let domain = rule.trim_start_matches('.');
    rule == "*"
        || (!domain.is_empty()
            && (host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LogFormat;

    #[test]
    fn this_machine_and_the_exceptions_are_reached_directly() {
        let global = Global {
            dir: "/x".into(),
            https_proxy: Some("http://proxy:3128".into()),
            no_proxy: vec!["corp.example".into()],
            log_format: LogFormat::Text,
            log: "info".into(),
        };
        let through = |address| proxy_for(address, &global).is_some();
        assert!(through("towline.example:8443"));
        assert!(through("evilcorp.example:8443"));
        assert!(!through("127.0.0.1:8443"));
        assert!(!through("towline.corp.example:8443"));
    }
}
