//! Amazon CloudWatch, as far as alarms.

use std::future::Future;

use super::Answer;
use crate::observed::ObservedAlarm;

pub trait Alarms: Send + Sync {
    /// The alarms of these names as they are, metric and composite ones; those that do
    /// not exist are not in the answer.
    fn alarms(
        &self,
        region: &str,
        names: &[String],
    ) -> impl Future<Output = Answer<Vec<ObservedAlarm>>> + Send;
}
