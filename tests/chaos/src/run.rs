//! One schedule, from its seed to its report.

use std::{fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{aws::Cloud, drive, entropy, oracle, record::Report, schedule::Schedule, world::World};

/// Runs the schedule of a seed in this process, which must not have run another.
pub fn run(seed: u64) -> Report {
    entropy::set(seed);
    towline::tasks::undisturbed::switch_on();
    let dir = directory(seed);
    let world = World::new(Schedule::of(seed), dir.clone(), Cloud::default());
    drive::drive(&world);
    oracle::judge(&world);
    let mut report = world.report().clone();
    report.replay = hash(&report.trace);
    let _ = fs::remove_dir_all(dir);
    report
}

/// In memory: what is on a disk does not matter here, only what is committed.
fn directory(seed: u64) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    let dir = base.join(format!("towline-chaos-{}-{seed}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

pub fn hash(lines: &[String]) -> String {
    hex::encode(Sha256::digest(lines.join("\n")))[..16].to_owned()
}
