//! File systems in memory.

use super::Reading;
use crate::domain::project::{
    definition::Tmpfs,
    report::{self, Fields},
    yaml::Node,
};

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

impl<'a> Reading<'a> {
    /// `fields` are those of `linux`.
    pub(super) fn tmpfs(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Tmpfs> {
        let items = self.items(fields, "tmpfs", what);
        let what = format!("{what}: tmpfs");
        let mut all: Vec<Tmpfs> = Vec::new();
        for item in items {
            let Some(one) = self.one_tmpfs(&what, item) else {
                continue;
            };
            if all.iter().any(|earlier| plain(&earlier.path) == plain(&one.path)) {
                self.report
                    .error(item.at, format!("{what}: {} is here twice", one.path));
            }
            all.push(one);
        }
        all
    }

    fn one_tmpfs(&mut self, what: &str, node: &'a Node) -> Option<Tmpfs> {
        let fields = Fields::of(node, what, &["path", "size", "options"], &mut self.report)?;
        let [path, size] = ["path", "size"].map(|key| fields.need(key, &mut self.report));
        let path = path.and_then(|node| self.path(&format!("{what}: path"), node));
        let size = size.and_then(|node| {
            report::number(
                node,
                &format!("{what}: size"),
                1..=i32::MAX.unsigned_abs(),
                &mut self.report,
            )
        });
        let mut options = Vec::new();
        for node in self.items(&fields, "options", what) {
            let at = format!("{what}: options");
            let Some(option) = report::text(node, &at, &mut self.report) else {
                continue;
            };
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let is_plain = name == option && OPTIONS.contains(&name);
            if !is_plain && (value.is_empty() || value.contains(',') || !VALUED.contains(&name)) {
                self.report
                    .error(node.at, format!("{at}: ECS has no mount option {option}"))
                    .one_of(name, OPTIONS);
            }
            options.push(option.to_owned());
        }
        Some(Tmpfs {
            path: path?.to_owned(),
            size: size?,
            options,
        })
    }

    fn path(&mut self, what: &str, node: &'a Node) -> Option<&'a str> {
        let path = report::text(node, what, &mut self.report)?;
        if !path.starts_with('/') || plain(path).is_empty() || path.contains("${") {
            self.report
                .error(node.at, format!("{what}: {path} is no absolute path below /"))
                .hint("as in /scratch; it takes no placeholders");
            return None;
        }
        Some(path)
    }
}

/// `/data/` is `/data`.
fn plain(path: &str) -> &str {
    path.trim_end_matches('/')
}
