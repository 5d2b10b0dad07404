//! CloudWatch: how alarms are.

use towline_agent_domain::observed::{AlarmState, ObservedAlarm};
use towline_agent_domain::outside::{Alarms, Answer};

use crate::Aws;
use crate::direct::{child, child_text, xml};

/// DescribeAlarms takes and answers a hundred names a call.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
const A_CALL: usize = 100;

impl Alarms for Aws {
    async fn alarms(&self, region: &str, names: &[String]) -> Answer<Vec<ObservedAlarm>> {
        let monitoring = self.inner.clients.monitoring(region);
        let mut found = Vec::new();
        for names in names.chunks(A_CALL) {
            let mut members: Vec<(String, &str)> = names
                .iter()
                .enumerate()
                .map(|(at, name)| (format!("AlarmNames.member.{}", at + 1), name.as_str()))
                .collect();
            // Without both, composite alarms are left out.
            members.push(("AlarmTypes.member.1".to_owned(), "MetricAlarm"));
            members.push(("AlarmTypes.member.2".to_owned(), "CompositeAlarm"));
            members.push(("MaxRecords".to_owned(), "100"));
            let what = format!("alarms {}", names.join(", "));
            found.extend(read(&monitoring.query("DescribeAlarms", &members, &what).await?)?);
        }
        Ok(found)
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
