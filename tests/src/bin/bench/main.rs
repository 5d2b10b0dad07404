//! What is measured: how fast a promotion reaches AWS, and what a Fargate
//! service's create, update and no-op cost and when their verdict is known.
//!
//! `bench` runs both, `bench promote` and `bench stacks` one of them.

mod promote;
mod report;
mod stacks;

fn main() {
    let wanted = std::env::args().nth(1);
    match wanted.as_deref() {
        None => {
            promote::run();
            println!();
            stacks::run();
        }
        Some("promote") => promote::run(),
        Some("stacks") => stacks::run(),
        Some(other) => {
            eprintln!("bench: {other:?} is nothing that is measured\nhint: bench [promote|stacks]");
            std::process::exit(1);
        }
    }
}

/// The value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}
