//! Volumes, and what mounts them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{invalid, list, name_of, refuse};
use crate::{
    AwsError,
    wire::json::{number, text, texts},
};

pub fn check(body: &Value, containers: &[Value]) -> Result<(), AwsError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for volume in list(body, "volumes") {
        let name = text(volume, "name").unwrap_or_default();
        if !names.insert(name) {
            return Err(refuse(format!("Volume names must be unique: '{name}'.")));
        }
        if let Some(efs) = volume.get("efsVolumeConfiguration") {
            check_efs(efs)?;
        }
    }
    for container in containers {
        check_mounts(container, &names, containers)?;
    }
    Ok(())
}

fn check_mounts(container: &Value, names: &BTreeSet<&str>, containers: &[Value]) -> Result<(), AwsError> {
    let mut paths = BTreeSet::new();
    for mount in list(container, "mountPoints") {
        let volume = text(mount, "sourceVolume").unwrap_or_default();
        if !names.contains(volume) {
            return Err(refuse(format!("Unknown volume '{volume}'.")));
        }
        let path = text(mount, "containerPath").unwrap_or_default();
        if path.is_empty() {
            return Err(refuse("Mount point containerPath should not be null or empty."));
        }
        if !paths.insert(path) {
            return Err(refuse(format!(
                "Duplicate mount point '{path}' in container '{}'.",
                name_of(container)
            )));
        }
    }
    let tmpfs = container.get("linuxParameters").into_iter();
    for mount in tmpfs.flat_map(|linux| list(linux, "tmpfs")) {
        let path = text(mount, "containerPath").unwrap_or_default();
        check_tmpfs(path, mount)?;
        if !paths.insert(path) {
            return Err(refuse(format!(
                "Duplicate mount point '{path}' in container '{}'.",
                name_of(container)
            )));
        }
    }
    for from in list(container, "volumesFrom") {
        let source = text(from, "sourceContainer").unwrap_or_default();
        let is_there = containers.iter().any(|one| name_of(one) == source);
        if !is_there || source == name_of(container) {
            return Err(refuse(format!("Unknown container '{source}' in volumesFrom.")));
        }
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EFSVolumeConfiguration.html>
fn check_efs(efs: &Value) -> Result<(), AwsError> {
    let id = text(efs, "fileSystemId").unwrap_or_default();
    if !id.starts_with("fs-") {
        return Err(invalid(format!("Invalid EFS file system id '{id}'.")));
    }
    let is_encrypted = text(efs, "transitEncryption") == Some("ENABLED");
    let authorization = efs.get("authorizationConfig");
    let access_point = authorization.and_then(|config| text(config, "accessPointId"));
    let uses_iam = authorization.is_some_and(|config| text(config, "iam") == Some("ENABLED"));
    if (access_point.is_some() || uses_iam) && !is_encrypted {
        return Err(refuse(
            "EFS transit encryption must be enabled when an access point or IAM authorization is used.",
        ));
    }
    let root = text(efs, "rootDirectory").unwrap_or("/");
    if access_point.is_some() && root != "/" {
        return Err(refuse(
            "EFS root directory must be omitted or set to / when an access point is used.",
        ));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tmpfs.html>
const TMPFS_OPTIONS: &str = "defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand \
    atime noatime diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave \
    relatime norelatime strictatime nostrictatime mode uid gid nr_inodes nr_blocks mpol";

fn check_tmpfs(path: &str, mount: &Value) -> Result<(), AwsError> {
    if !path.starts_with('/') {
        return Err(invalid(format!(
            "tmpfs containerPath '{path}' is not an absolute path."
        )));
    }
    if number(mount, "size").is_none_or(|size| size < 1) {
        return Err(invalid(format!(
            "tmpfs '{path}' must have a size greater than 0."
        )));
    }
    let known = |option: &String| {
        let name = option.split('=').next().unwrap_or_default();
        TMPFS_OPTIONS.split(' ').any(|one| one == name)
    };
    match texts(mount, "mountOptions")
        .into_iter()
        .find(|option| !known(option))
    {
        Some(option) => Err(invalid(format!(
            "tmpfs mount option '{option}' is not supported."
        ))),
        None => Ok(()),
    }
}
