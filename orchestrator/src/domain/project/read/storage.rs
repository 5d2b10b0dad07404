//! Volumes and what mounts them; logs, limits and Linux parameters of containers.

use super::{Reading, word};
use crate::domain::project::{
    definition::{Container, Efs, Linux, LogDriver, Logging, Mount, Ulimit, Volume, VolumesFrom},
    forms::Form,
    limits,
    report::{self, Fields},
    yaml::{Kind, Node},
};

const EFS_KEYS: [&str; 5] = [
    "file_system",
    "root_directory",
    "transit_encryption",
    "access_point",
    "iam",
];

/// The limits that a container can have.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html>
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl<'a> Reading<'a> {
    pub(super) fn volumes(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Volume> {
        let items = self.items(fields, "volumes", what);
        let what = format!("{what}: volumes");
        let mut all: Vec<Volume> = Vec::new();
        for item in items {
            let Some(volume) = self.volume(&what, item) else {
                continue;
            };
            if all.iter().any(|earlier| earlier.name == volume.name) {
                self.report
                    .error(item.at, format!("{what}: volume {} is here twice", volume.name));
            }
            all.push(volume);
        }
        all
    }

    fn volume(&mut self, what: &str, node: &'a Node) -> Option<Volume> {
        let limits: [&'static [limits::Limit]; 1] = [&limits::SERVICE];
        let fields = Fields::within(node, what, &["name", "efs"], &limits, &mut self.report)?;
        fields.need("name", &mut self.report)?;
        let name = self.optional_name(&fields, "name", what);
        let efs = match fields.get("efs") {
            Some(node) => Some(self.efs(what, node)?),
            None => None,
        };
        Some(Volume { name: name?, efs })
    }

    fn efs(&mut self, what: &str, node: &'a Node) -> Option<Efs> {
        let what = format!("{what}: efs");
        let fields = Fields::of(node, &what, &EFS_KEYS, &mut self.report)?;
        fields.need("file_system", &mut self.report)?;
        let read = Efs {
            root_directory: self.optional_formed(&fields, "root_directory", &what, Form::Path),
            transit_encryption: self.flag(&fields, "transit_encryption", &what),
            access_point: self.optional_formed(&fields, "access_point", &what, Form::AccessPoint),
            iam: self.flag(&fields, "iam", &what),
            file_system: self.optional_formed(&fields, "file_system", &what, Form::FileSystem)?,
        };
        let unencrypted = [("access_point", read.access_point.is_some()), ("iam", read.iam)];
        for (key, asked) in unencrypted {
            if let (true, false, Some(node)) = (asked, read.transit_encryption, fields.get(key)) {
                self.report
                    .error(node.at, format!("{what}: {key} needs transit_encryption"))
                    .hint("add `transit_encryption: true`");
            }
        }
        if let (Some(node), Some(_)) = (fields.get("root_directory"), &read.access_point) {
            self.report
                .error(
                    node.at,
                    format!("{what}: the access_point says the directory: root_directory cannot"),
                )
                .hint("leave root_directory out");
        }
        Some(read)
    }

    pub(super) fn mounts(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Mount> {
        let items = self.items(fields, "mounts", what);
        let what = format!("{what}: mounts");
        items
            .iter()
            .filter_map(|item| {
                let known = ["volume", "container_path", "read_only"];
                let fields = Fields::of(item, &what, &known, &mut self.report)?;
                let [volume, path] =
                    ["volume", "container_path"].map(|key| fields.need(key, &mut self.report));
                let volume = volume
                    .and_then(|node| report::parsed(node, &format!("{what}: volume"), &mut self.report));
                let path =
                    path.and_then(|node| self.formed(node, &format!("{what}: container_path"), Form::Path));
                Some(Mount {
                    read_only: self.flag(&fields, "read_only", &what),
                    volume: volume?,
                    container_path: path?,
                })
            })
            .collect()
    }

    pub(super) fn volumes_from(&mut self, what: &str, fields: &Fields<'a>) -> Vec<VolumesFrom> {
        let items = self.items(fields, "volumes_from", what);
        let what = format!("{what}: volumes_from");
        items
            .iter()
            .filter_map(|item| {
                let fields = Fields::of(item, &what, &["container", "read_only"], &mut self.report)?;
                fields.need("container", &mut self.report)?;
                let container = self.optional_name(&fields, "container", &what);
                Some(VolumesFrom {
                    read_only: self.flag(&fields, "read_only", &what),
                    container: container?,
                })
            })
            .collect()
    }

    /// Mounts need their volume, and a volume that nobody mounts is a mistake.
    pub(super) fn check_mounts(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
        volumes: &[Volume],
        containers: &[Container],
    ) {
        let before = self.report.count();
        let Some(Kind::List(items)) = fields.get("containers").map(|node| &node.kind) else {
            return;
        };
        for (container, node) in containers.iter().zip(items) {
            let Some(Kind::List(mounts)) = super::whole::field(node, "mounts").map(|node| &node.kind) else {
                continue;
            };
            for (mount, node) in container.mounts.iter().zip(mounts) {
                if volumes.iter().any(|volume| volume.name == mount.volume) {
                    continue;
                }
                let at = super::whole::field(node, "volume").unwrap_or(node).at;
                let (name, volume) = (&container.name, &mount.volume);
                self.report
                    .error(
                        at,
                        format!("{what}: container {name} mounts {volume}, and there is no such volume"),
                    )
                    .one_of(volume.as_str(), volumes.iter().map(|it| it.name.as_str()));
            }
        }
        let Some(Kind::List(items)) = fields.get("volumes").map(|node| &node.kind) else {
            return;
        };
        // A mount of a name that does not exist may have meant this volume.
        if self.report.count() > before {
            return;
        }
        for (volume, node) in volumes.iter().zip(items) {
            let mut mounts = containers.iter().flat_map(|container| &container.mounts);
            if !mounts.any(|mount| mount.volume == volume.name) {
                self.report
                    .warning(node.at, format!("{what}: nothing mounts volume {}", volume.name));
            }
        }
    }

    pub(super) fn logging(&mut self, what: &str, node: &'a Node) -> Option<Logging> {
        let what = format!("{what}: logging");
        let fields = Fields::of(
            node,
            &what,
            &["driver", "options", "secret_options"],
            &mut self.report,
        )?;
        let driver = fields
            .need("driver", &mut self.report)
            .and_then(|node| self.driver(&what, node));
        let read = Logging {
            options: self.map_of(&fields, "options", &what),
            secret_options: self.secrets(&fields, "secret_options", &what),
            driver: driver?,
        };
        if read.driver == LogDriver::None {
            for node in ["options", "secret_options"]
                .into_iter()
                .filter_map(|key| fields.get(key))
            {
                self.report
                    .error(node.at, format!("{what}: the driver none takes no options"));
            }
        }
        Some(read)
    }

    fn driver(&mut self, what: &str, node: &Node) -> Option<LogDriver> {
        if super::whole::scalar(node) == Some("awsfirelens")
            && let Some(limit) = limits::met(&[&limits::CONTAINER], "firelens")
        {
            self.report
                .error(node.at, format!("{what}: driver awsfirelens: {}", limit.why))
                .hint(limit.instead);
            return None;
        }
        let words = [
            ("awslogs", LogDriver::Awslogs),
            ("splunk", LogDriver::Splunk),
            ("none", LogDriver::None),
        ];
        word(node, &format!("{what}: driver"), &words, &mut self.report)
    }

    pub(super) fn ulimits(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Ulimit> {
        let items = self.items(fields, "ulimits", what);
        let what = format!("{what}: ulimits");
        let mut all: Vec<Ulimit> = Vec::new();
        for item in items {
            let Some(ulimit) = self.ulimit(&what, item) else {
                continue;
            };
            if all.iter().any(|earlier| earlier.name == ulimit.name) {
                self.report
                    .error(item.at, format!("{what}: {} is here twice", ulimit.name));
            }
            all.push(ulimit);
        }
        all
    }

    fn ulimit(&mut self, what: &str, node: &'a Node) -> Option<Ulimit> {
        let fields = Fields::of(node, what, &["name", "soft", "hard"], &mut self.report)?;
        let words = ULIMITS.map(|name| (name, name));
        let [name, soft, hard] = ["name", "soft", "hard"].map(|key| fields.need(key, &mut self.report));
        let name = name.and_then(|node| word(node, &format!("{what}: name"), &words, &mut self.report));
        let mut number = |node: Option<&Node>, key| {
            node.and_then(|node| {
                report::number(node, &format!("{what}: {key}"), 0..=u32::MAX, &mut self.report)
            })
        };
        let (soft_limit, hard_limit) = (number(soft, "soft"), number(hard, "hard"));
        let (soft_limit, hard_limit) = (soft_limit?, hard_limit?);
        if let (true, Some(node)) = (soft_limit > hard_limit, soft) {
            self.report.error(
                node.at,
                format!("{what}: the soft limit {soft_limit} is above the hard one, {hard_limit}"),
            );
        }
        Some(Ulimit {
            name: name?.to_owned(),
            soft: soft_limit,
            hard: hard_limit,
        })
    }

    pub(super) fn linux(&mut self, what: &str, node: &'a Node) -> Option<Linux> {
        let what = format!("{what}: linux");
        let known = ["init", "add_capabilities", "drop_capabilities", "tmpfs"];
        let limits: [&'static [limits::Limit]; 1] = [&limits::CONTAINER];
        let fields = Fields::within(node, &what, &known, &limits, &mut self.report)?;
        let mut texts = |key: &str| {
            let items = self.items(&fields, key, &what);
            let at = format!("{what}: {key}");
            items
                .iter()
                .filter_map(|node| Some((node, report::text(node, &at, &mut self.report)?.to_owned())))
                .collect::<Vec<_>>()
        };
        let (added, dropped) = (texts("add_capabilities"), texts("drop_capabilities"));
        for (node, name) in added.iter().filter(|(_, name)| name != "SYS_PTRACE") {
            self.report
                .error(
                    node.at,
                    format!("{what}: add_capabilities: Fargate cannot add {name}"),
                )
                .hint("SYS_PTRACE is all that Fargate can add");
        }
        let names = |list: Vec<(&Node, String)>| list.into_iter().map(|(_, name)| name).collect();
        Some(Linux {
            init: self.flag(&fields, "init", &what),
            add_capabilities: names(added),
            drop_capabilities: names(dropped),
            tmpfs: self.tmpfs(&what, &fields),
        })
    }
}
