//! The faults of what Fargate runs the tasks on.

use super::Faults;
use super::logging::is_log_group;
use crate::fargate::spec::FargateService;

/// The days that CloudWatch Logs keeps lines for.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

pub(super) fn check(service: &FargateService, faults: &mut Faults) {
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EphemeralStorage.html
    if let Some(size) = service
        .ephemeral_storage
        .filter(|size| !(21..=200).contains(size))
    {
        let message = format!("Fargate has no ephemeral storage of {size} GiB");
        faults.add("ephemeral_storage", message, "21 to 200, or leave it out for 20");
    }
    platform(service, faults);
    capacity_providers(service, faults);
    if let Some(seconds) = service.health_check_grace_period {
        if seconds > i32::MAX.unsigned_abs() {
            faults.add(
                "health_check_grace_period",
                format!("{seconds} seconds are too many"),
                "",
            );
        }
        if service.load_balancers.is_empty() {
            faults.add(
                "health_check_grace_period",
                "there is no load balancer whose health checks could be ignored",
                "leave it out, or link a load balancer",
            );
        }
    }
    if let Some(days) = service.log_retention.filter(|days| !RETENTIONS.contains(days)) {
        let all: Vec<String> = RETENTIONS.iter().map(u32::to_string).collect();
        let hint = format!("one of {}", all.join(", "));
        faults.add(
            "log_retention",
            format!("CloudWatch Logs does not keep lines for {days} days"),
            &hint,
        );
    }
    if let Some(group) = &service.log_group {
        if !is_log_group(group) {
            let hint = "1 to 512 letters, digits and . _ / # -";
            faults.add("log_group", format!("{group:?} is no name of a log group"), hint);
        }
        if service.log_retention.is_some() {
            faults.add(
                "log_retention",
                "the log group exists already, and its retention is its owner's",
                "leave out log_retention, or log_group",
            );
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-linux-fargate.html>
fn platform(service: &FargateService, faults: &mut Faults) {
    match service.platform_version.as_deref() {
        None | Some("LATEST" | "1.4.0") => {}
        Some(version @ ("1.0.0" | "1.1.0" | "1.2.0" | "1.3.0")) => faults.add(
            "platform_version",
            format!("Fargate starts no new tasks on platform version {version}"),
            "LATEST or 1.4.0",
        ),
        Some(version) => {
            let message = format!("Fargate has no platform version {version:?} for Linux");
            faults.add("platform_version", message, "LATEST or 1.4.0");
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html>
fn capacity_providers(service: &FargateService, faults: &mut Faults) {
    let providers = &service.capacity_providers;
    for (at, provider) in providers.iter().enumerate() {
        let field = |member: &str| format!("capacity_providers[{at}].{member}");
        if !matches!(provider.name.as_str(), "FARGATE" | "FARGATE_SPOT") {
            let message = format!("Fargate has no capacity provider {:?}", provider.name);
            faults.add(field("name"), message, "FARGATE or FARGATE_SPOT");
        } else if providers
            .iter()
            .take(at)
            .any(|before| before.name == provider.name)
        {
            faults.add(field("name"), format!("{} is there twice", provider.name), "");
        }
        faults.range(field("base"), "base", Some(provider.base), 0, 100_000);
        faults.range(field("weight"), "weight", Some(provider.weight), 0, 1000);
    }
    if providers.iter().filter(|provider| provider.base > 0).count() > 1 {
        faults.add("capacity_providers", "only one of them may have a base", "");
    }
    if !providers.is_empty() && providers.iter().all(|provider| provider.weight == 0) {
        faults.add(
            "capacity_providers",
            "all weights are 0, so no task beyond the base would start",
            "give one of them a weight",
        );
    }
}
