//! The faults of volumes and of what mounts them.

use super::service::is_id;
use super::{Faults, NAME_RULE, is_name};
use crate::fargate::spec::{Container, Efs, FargateService};

pub(super) fn check(service: &FargateService, faults: &mut Faults) {
    for (at, volume) in service.volumes.iter().enumerate() {
        let field = format!("volumes[{at}].name");
        if !is_name(&volume.name) {
            faults.add(
                field,
                format!("{:?} is no name for a volume", volume.name),
                NAME_RULE,
            );
        } else if service
            .volumes
            .iter()
            .take(at)
            .any(|before| before.name == volume.name)
        {
            faults.add(field, format!("the volume {:?} is there twice", volume.name), "");
        }
        if let Some(volume) = &volume.efs {
            efs(service, at, volume, faults);
        }
    }
    for (at, container) in service.containers.iter().enumerate() {
        mounts(service, at, container, faults);
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EFSVolumeConfiguration.html>
fn efs(service: &FargateService, at: usize, efs: &Efs, faults: &mut Faults) {
    let field = |member: &str| format!("volumes[{at}].efs.{member}");
    if !is_id(&efs.file_system, "fs-") {
        let message = format!("{:?} is no id of an EFS file system", efs.file_system);
        faults.add(field("file_system"), message, "fs-...");
    }
    if let Some(directory) = &efs.root_directory
        && !directory.starts_with('/')
    {
        faults.add(
            field("root_directory"),
            format!("{directory:?} does not start with /"),
            "",
        );
    }
    if let Some(point) = &efs.access_point {
        if !is_id(point, "fsap-") {
            faults.add(
                field("access_point"),
                format!("{point:?} is no id of an access point"),
                "fsap-...",
            );
        }
        if efs
            .root_directory
            .as_ref()
            .is_some_and(|directory| directory != "/")
        {
            faults.add(
                field("root_directory"),
                "the access point has a root directory of its own",
                "leave out root_directory, or access_point",
            );
        }
    }
    if !efs.transit_encryption {
        for (member, _) in [("access_point", efs.access_point.is_some()), ("iam", efs.iam)]
            .into_iter()
            .filter(|(_, set)| *set)
        {
            faults.add(
                field(member),
                "EFS wants it encrypted on the way",
                "set transit_encryption: true",
            );
        }
    }
    if efs.iam && service.task_role.is_none() {
        faults.add(
            field("iam"),
            "EFS is to be used with the task role, and there is none",
            "give a task_role",
        );
    }
}

fn mounts(service: &FargateService, at: usize, container: &Container, faults: &mut Faults) {
    for (index, mount) in container.mounts.iter().enumerate() {
        let field = |member: &str| format!("containers[{at}].mounts[{index}].{member}");
        if !service.volumes.iter().any(|volume| volume.name == mount.volume) {
            let message = format!("there is no volume {:?}", mount.volume);
            faults.add(field("volume"), message, "add it to the service's volumes");
        }
        if !mount.container_path.starts_with('/') {
            let message = format!("{:?} is no absolute path", mount.container_path);
            faults.add(field("container_path"), message, "it starts with /");
        } else if container
            .mounts
            .iter()
            .take(index)
            .any(|before| before.container_path == mount.container_path)
        {
            let message = format!("{} is mounted already in this container", mount.container_path);
            faults.add(field("container_path"), message, "");
        }
    }
    for (index, from) in container.volumes_from.iter().enumerate() {
        let field = format!("containers[{at}].volumes_from[{index}].container");
        if from.container == container.name {
            faults.add(field, "a container cannot take volumes from itself", "");
        } else if !service
            .containers
            .iter()
            .any(|other| other.name == from.container)
        {
            faults.add(field, format!("there is no container {:?}", from.container), "");
        }
    }
}
