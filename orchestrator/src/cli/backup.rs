//! `towline backup FILE` and `towline restore FILE`: a copy of an orchestrator's
//! database, and putting one back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use towline_link::seams::Seams;
use towline_proto::orchestrator::v1::{self as pb, create_backup_response::Part};

use super::{
    alone,
    connection::Api,
    exit::{Exit, Fault},
    output::{Console, Format},
    serve::DEFAULT_DIR,
    show,
};
use crate::{
    config::Config,
    store::backup::{BackupFacts, inspect, restore},
};

/// Copies the orchestrator's database into a file, while it runs.
///
/// The copy is the database at one moment: releases, deployments, the logs,
/// who may do what. It holds no keys: keep the orchestrator's directories `ca`
/// and `server` and its towline.toml apart from it. The file is checked before
/// it gets its name, and only its owner may read it. Needs the role admin.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline backup towline-2026-11-25.db
  towline backup /backup/towline.db --force")]
pub struct Backup {
    /// The file to write.
    file: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

/// Puts a backup where an orchestrator's database is. The orchestrator must not run.
///
/// The accounts may be newer than the backup. When the orchestrator starts, it
/// takes up what ran when the backup was made and stores what its agents tell;
/// what it holds as not yet begun is sent only where an account is as the backup
/// left it, and else ends as errored (account_is_newer); `towline status` shows
/// as drift what was released since. Join tokens that were not used end. Agents
/// listen to the restored orchestrator, and to none that still runs elsewhere.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline restore towline-2026-11-25.db --dir /var/lib/towline
  towline restore towline-2026-11-25.db --dir /var/lib/towline --force")]
pub struct Restore {
    /// What `towline backup` wrote.
    file: PathBuf,
    /// The orchestrator's directory, with its towline.toml, ca and server.
    #[arg(long, value_name = "DIR", env = "TOWLINE_DIR", default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// Put a database that is there aside, under another name.
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        if self.file.exists() && !self.force {
            return Err(Fault::local(format!("{} is there already", self.file.display()))
                .hint("choose another file, or --force"));
        }
        let partial = Partial::make(&self.file)?;
        let description = partial.receive(api).await?;
        let facts = inspect(&partial.path)
            .await
            .map_err(|error| Fault::from(anyhow::Error::from(error)))?;
        if facts.epoch != description.epoch {
            return Err(Fault::local(
                "the copy is not what the orchestrator said it would be",
            ));
        }
        partial.put_in_place(&self.file)?;
        console.message("BackupDescription", &description, |_| {
            format!(
                "{}: {} KiB, schema {}, epoch {}, audit log up to entry {} ({})",
                self.file.display(),
                facts.bytes.div_ceil(1024),
                facts.schema,
                facts.epoch,
                facts.audit.0,
                facts.audit.1,
            )
        })?;
        if console.format == Format::Table {
            console.talk("it holds no keys: keep the orchestrator's ca, server and towline.toml as well")?;
        }
        Ok(Exit::Done)
    }
}

/// A copy on its way; taken away again unless it gets its name.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn make(file: &Path) -> Result<Self, Fault> {
        let mut name = file.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(&path, &error)),
            _ => {}
        }
        Ok(Self { path })
    }

    async fn receive(&self, api: &mut Api) -> Result<pb::BackupDescription, Fault> {
        let cannot = |error: io::Error| unwritable(&self.path, &error);
        let mut parts = api
            .backups
            .create_backup(pb::CreateBackupRequest {})
            .await?
            .into_inner();
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(cannot)?;
        let mut description = None;
        let mut hash = Sha256::new();
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Description(told)) => description = Some(told),
                Some(Part::Chunk(chunk)) => {
                    hash.update(&chunk);
                    file.write_all(&chunk).map_err(cannot)?;
                }
                Some(Part::End(end)) => {
                    if end.sha256[..] != hash.finalize()[..] {
                        return Err(Fault::local("the copy was damaged on its way").hint("try again"));
                    }
                    file.sync_all().map_err(cannot)?;
                    return description.ok_or_else(cut_off);
                }
                None => {}
            }
        }
        Err(cut_off())
    }

    fn put_in_place(&self, file: &Path) -> Result<(), Fault> {
        let dir = match file.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        fs::rename(&self.path, file)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(|error| unwritable(file, &error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn cut_off() -> Fault {
    Fault::local("the copy ended before its end").hint("try again; the orchestrator's log says why")
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::local(format!("cannot write {}: {error}", path.display()))
}

impl Restore {
    pub fn run(self, console: &mut Console) -> Result<Exit, Fault> {
        alone(async {
            let config = Config::load(&self.dir)?;
            let now = Seams::system().clock.now();
            let restored = restore(&self.file, &config.database(), self.force, "this machine", now)
                .await
                .map_err(|error| Fault::from(anyhow::Error::from(error)))?;
            let before = restored.before.as_ref().map(|path| path.display().to_string());
            match console.format {
                Format::Json => console.data(&format!(
                    "{:#}",
                    serde_json::json!({
                        "database": config.database().display().to_string(),
                        "backup_made_at": restored.facts.made_at.map(|at| at.to_string()),
                        "schema": restored.facts.schema,
                        "epoch": restored.epoch,
                        "database_before": before,
                    })
                ))?,
                Format::Table => console.data(&said(&config, &restored.facts, before.as_deref(), now))?,
            }
            Ok(Exit::Done)
        })
    }
}

fn said(config: &Config, facts: &BackupFacts, before: Option<&str>, now: Timestamp) -> String {
    let made = match facts.made_at {
        Some(at) => format!(
            "{} ({} ago)",
            at.strftime("%Y-%m-%d %H:%M:%SZ"),
            show::span(now.duration_since(at).as_secs())
        ),
        None => "no one knows when".to_owned(),
    };
    let mut text = format!(
        "Restored {}\n  backup of    {made}\n",
        config.database().display()
    );
    if let Some(before) = before {
        text.push_str(&format!("  put aside    {before}\n"));
    }
    text.push_str(&format!(
        "\nNext:\n  towline serve --dir {}\n  towline status        # drift: what was released since the backup\n\
         \x20 towline operator list # roles that were given or taken since are as in the backup",
        config.dir.display()
    ));
    text
}
