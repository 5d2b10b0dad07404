//! The table of `bench stacks`: calls and seconds side by side, never one alone.

use std::collections::BTreeMap;

use crate::percentile;

/// One measured deployment.
#[derive(Clone, Debug)]
pub struct Run {
    /// Requests that arrived at AWS, by action.
    pub calls: BTreeMap<String, usize>,
    /// From the start to the verdict, in seconds.
    pub whole_s: f64,
    /// From the moment that the API shows the end to the verdict, in seconds;
    /// `None` where nothing ends.
    pub late_s: Option<f64>,
}

/// The medians of some runs, with the worst lateness.
pub fn line(step: &str, who: &str, runs: &[Run]) -> String {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        percentile(values, 50)
    };
    #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
    let calls = median(
        &mut runs
            .iter()
            .map(|run| run.calls.values().sum::<usize>() as f64)
            .collect(),
    );
    let whole = median(&mut runs.iter().map(|run| run.whole_s).collect());
    let mut late: Vec<f64> = runs.iter().filter_map(|run| run.late_s).collect();
    let late = if late.is_empty() {
        "-".to_owned()
    } else {
        let p50 = median(&mut late);
        format!("{p50:.2} s (worst {:.2} s)", percentile(&late, 100))
    };
    format!("{step:<8} {who:<28} {calls:>6.0} {whole:>9.1} s   {late}")
}

/// The head of the table.
pub fn head() -> String {
    format!(
        "{:<8} {:<28} {:>6} {:>11}   {}",
        "", "", "calls", "whole", "end shown -> verdict"
    )
}

/// What the first of the runs asked AWS for, most often first.
pub fn breakdown(runs: &[Run]) -> String {
    let mut actions: Vec<(&String, &usize)> = runs.iter().take(1).flat_map(|run| &run.calls).collect();
    actions.sort_by_key(|(action, count)| (std::cmp::Reverse(**count), (*action).clone()));
    let words: Vec<String> = actions
        .iter()
        .map(|(action, count)| format!("{action} {count}"))
        .collect();
    format!("         {}", words.join(", "))
}
