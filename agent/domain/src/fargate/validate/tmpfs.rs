//! The faults of a container's file systems in memory.

use super::Faults;
use crate::fargate::spec::{Container, Tmpfs};

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tmpfs.html>
const OPTIONS: [&str; 39] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "remount",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "bind",
    "rbind",
    "unbindable",
    "runbindable",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];

/// Of these, those that may come with a value.
const VALUED: [&str; 6] = ["mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

pub(super) fn check(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    let Some(linux) = &container.linux else { return };
    for (at, tmpfs) in linux.tmpfs.iter().enumerate() {
        let member = |member: &str| field(&format!("linux.tmpfs[{at}].{member}"));
        path(
            container,
            linux.tmpfs.iter().take(at),
            tmpfs,
            member("container_path"),
            faults,
        );
        if tmpfs.size == 0 || tmpfs.size > i32::MAX.unsigned_abs() {
            let message = format!("{} is no size in MiB", tmpfs.size);
            faults.add(member("size"), message, "at least 1");
        }
        for (index, option) in tmpfs.mount_options.iter().enumerate() {
            if !is_option(option) {
                let message = format!("ECS has no mount option {option:?}");
                let hint = format!("one of {}", OPTIONS.join(", "));
                faults.add(member(&format!("mount_options[{index}]")), message, &hint);
            }
        }
    }
}

/// Every path of a container is mounted once, be it by a volume or in memory.
fn path<'a>(
    container: &Container,
    mut before: impl Iterator<Item = &'a Tmpfs>,
    tmpfs: &Tmpfs,
    field: String,
    faults: &mut Faults,
) {
    let path = plain(&tmpfs.container_path);
    let mut mounts = container.mounts.iter();
    if !tmpfs.container_path.starts_with('/') || path.is_empty() {
        let message = format!("{:?} is no absolute path below /", tmpfs.container_path);
        faults.add(field, message, "as in /scratch");
    } else if mounts.any(|mount| plain(&mount.container_path) == path)
        || before.any(|other| plain(&other.container_path) == path)
    {
        let message = format!("{} is mounted already in this container", tmpfs.container_path);
        faults.add(field, message, "give it another path");
    }
}

/// Some options take a value: `mode=1777`.
fn is_option(option: &str) -> bool {
    match option.split_once('=') {
        None => OPTIONS.contains(&option),
        Some((name, value)) => VALUED.contains(&name) && !value.is_empty() && !value.contains(','),
    }
}

/// `/data/` is `/data`.
fn plain(path: &str) -> &str {
    path.trim_end_matches('/')
}
