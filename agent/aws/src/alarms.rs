//! CloudWatch: how alarms are. Who asks at the same moment shares calls.

use towline_agent_domain::observed::{AlarmState, ObservedAlarm};
use towline_agent_domain::outside::{Alarms, Answer};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;
use crate::direct::{child, child_text, xml};

/// DescribeAlarms takes and answers a hundred names a call.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
pub(crate) const ALARMS_A_CALL: usize = 100;

impl Alarms for Aws {
    async fn alarms(&self, region: &str, names: &[String]) -> Answer<Vec<ObservedAlarm>> {
        let (aws, place) = (self.clone(), region.to_owned());
        let fetch = move |names: Vec<String>| {
            let (aws, region) = (aws.clone(), place.clone());
            async move { aws.described_alarms(&region, names).await }
        };
        let shared = &self.inner.seen_alarms;
        let mut found = shared.ask(region.to_owned(), names.to_vec(), fetch).await?;
        Ok(names.iter().filter_map(|name| found.remove(name)).collect())
    }
}

impl Aws {
    /// Name → alarm, for at most [`ALARMS_A_CALL`] names.
    async fn described_alarms(
        &self,
        region: &str,
        names: Vec<String>,
    ) -> Answer<Vec<(String, ObservedAlarm)>> {
        let monitoring = self.inner.clients.monitoring(region);
        let mut members: Vec<(String, &str)> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (format!("AlarmNames.member.{}", at + 1), name.as_str()))
            .collect();
        // Without both, composite alarms are left out.
        members.push(("AlarmTypes.member.1".to_owned(), "MetricAlarm"));
        members.push(("AlarmTypes.member.2".to_owned(), "CompositeAlarm"));
        members.push(("MaxRecords".to_owned(), "100"));
        let sent = self
            .budgets()
            .read(region, Group::AlarmReads, Purpose::Watching, || {
                monitoring.query_once("DescribeAlarms", &members)
            });
        let text = answer(sent.await, &format!("alarms {}", names.join(", ")))?;
        let alarms = read(&text)?.into_iter();
        Ok(alarms.map(|alarm| (alarm.name.clone(), alarm)).collect())
    }
}

fn read(text: &str) -> Answer<Vec<ObservedAlarm>> {
    let document = xml(text)?;
    let result = child(document.root_element(), "DescribeAlarmsResult");
    let lists = result
        .into_iter()
        .flat_map(|result| ["MetricAlarms", "CompositeAlarms"].map(|list| child(result, list)));
    let members = lists
        .flatten()
        .flat_map(|list| list.children().filter(|node| node.is_element()));
    Ok(members.map(alarm).collect())
}

fn alarm(member: roxmltree::Node<'_, '_>) -> ObservedAlarm {
    ObservedAlarm {
        name: child_text(member, "AlarmName"),
        state: match child_text(member, "StateValue").as_str() {
            "OK" => AlarmState::Ok,
            "ALARM" => AlarmState::Alarm,
            _ => AlarmState::InsufficientData,
        },
        reason: child_text(member, "StateReason"),
        updated: child_text(member, "StateUpdatedTimestamp").parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_and_composite_alarms_are_read() {
        let answer = "<DescribeAlarmsResponse xmlns='http://monitoring.amazonaws.com/doc/2010-08-01/'><DescribeAlarmsResult>\
            <MetricAlarms><member><AlarmName>orders-5xx</AlarmName><StateValue>ALARM</StateValue><StateReason>Threshold Crossed</StateReason>\
            <StateUpdatedTimestamp>2026-11-25T01:02:03.456Z</StateUpdatedTimestamp></member></MetricAlarms>\
            <CompositeAlarms><member><AlarmName>orders</AlarmName><StateValue>INSUFFICIENT_DATA</StateValue></member></CompositeAlarms>\
            </DescribeAlarmsResult></DescribeAlarmsResponse>";
        let found = read(answer).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].name.as_str(), found[0].state),
            ("orders-5xx", AlarmState::Alarm)
        );
        assert_eq!(found[0].reason, "Threshold Crossed");
        assert!(found[0].updated.is_some());
        assert_eq!(
            (found[1].name.as_str(), found[1].state),
            ("orders", AlarmState::InsufficientData)
        );
    }
}
