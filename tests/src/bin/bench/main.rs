//! What is measured: how fast a promotion reaches AWS, what a Fargate service's
//! create, update and no-op cost and when their verdict is known, the race of
//! updates against other tools, and what the engine carries.
//!
//! `bench` runs all of it, `bench promote`, `bench stacks`, `bench updates
//! [SERVICES ...]` and `bench engine` one.

mod contenders;
mod engine;
mod promote;
mod report;
mod stacks;
mod updates;

fn main() {
    let wanted = std::env::args().nth(1);
    match wanted.as_deref() {
        None => {
            promote::run();
            println!();
            stacks::run();
            println!();
            updates::run(&[]);
            println!();
            engine::run();
        }
        Some("promote") => promote::run(),
        Some("stacks") => stacks::run(),
        Some("engine") => engine::run(),
        Some("updates") => {
            let sizes = std::env::args().skip(2).map(|size| size.parse());
            match sizes.collect::<Result<Vec<usize>, _>>() {
                Ok(sizes) if !sizes.contains(&0) => updates::run(&sizes),
                _ => {
                    eprintln!(
                        "bench: numbers of services are whole and at least 1\nhint: bench updates 1 20"
                    );
                    std::process::exit(1);
                }
            }
        }
        Some(other) => {
            eprintln!(
                "bench: {other:?} is nothing that is measured\nhint: bench [promote|stacks|updates|engine]"
            );
            std::process::exit(1);
        }
    }
}

/// The value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}
