//! The file that says which orchestrator the CLI speaks to, and where the
//! operator's key and certificate are. Paths in it are relative to the file.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Global, exit::Fault};

const HEADER: &str = "# Which orchestrator `towline` speaks to, and as whom.\n";

/// Which orchestrator, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// host:port of the orchestrator.
    pub address: String,
    /// The directory with key.pem, cert.pem and ca.pem.
    pub credentials: PathBuf,
}

/// Where the context is: as the person said, or the usual place.
pub fn path(global: &Global) -> Result<PathBuf, Fault> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    std::env::home_dir()
        .map(|home| home.join(".config/towline/cli.toml"))
        .ok_or_else(|| {
            Fault::local("this user has no home directory, so there is no usual place for cli.toml")
                .hint("say where it is: --config FILE, or TOWLINE_CONFIG")
        })
}

/// Reads the context; its credentials path comes back ready to be opened.
pub fn load(path: &Path) -> Result<Context, Fault> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::local(format!("no orchestrator is known: {} does not exist", path.display()))
            .hint("ask an admin for `towline operator invite NAME --role ROLE` and run the `towline join` that it prints; or name another file with --config"),
        _ => Fault::local(format!("cannot read {}: {error}", path.display())),
    })?;
    let mut context: Context = toml::from_str(&text).map_err(|error| {
        Fault::local(format!(
            "{} is not right: {}",
            path.display(),
            error.to_string().trim_end()
        ))
        .hint("it holds `address = \"host:port\"` and `credentials = \"directory\"`")
    })?;
    context.credentials = beside(path, &context.credentials);
    Ok(context)
}

/// The directory that credentials of this context go to.
pub fn credentials_for(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    beside(path, Path::new(&format!("{stem}-credentials")))
}

/// Refuses when a context is there already.
pub fn refuse_existing(path: &Path) -> Result<(), Fault> {
    if path.exists() {
        return Err(
            Fault::local(format!("{} exists already and stays as it is", path.display()))
                .hint("use another file for this orchestrator: --config FILE (or TOWLINE_CONFIG)"),
        );
    }
    Ok(())
}

/// Makes the place for a context and its credentials, before anything is done
/// that could not be done again.
pub fn make_place(path: &Path) -> Result<(), Fault> {
    let credentials = credentials_for(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&credentials)
        .and_then(|()| try_to_write(&credentials))
        .map_err(|error| {
            Fault::local(format!("cannot write to {}: {error}", credentials.display()))
                .hint("use a file in another directory: --config FILE (or TOWLINE_CONFIG)")
        })
}

/// Finds out whether a directory can be written to.
fn try_to_write(dir: &Path) -> io::Result<()> {
    let probe = dir.join(".probe");
    fs::write(&probe, "").and_then(|()| fs::remove_file(&probe))
}

/// Writes the context; `credentials` is named relative to the file if it lies beside it.
pub fn save(path: &Path, address: &str, credentials: &Path) -> Result<(), Fault> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let context = Context {
        address: address.to_owned(),
        credentials: credentials.strip_prefix(parent).unwrap_or(credentials).to_owned(),
    };
    let text = toml::to_string(&context)
        .map_err(|error| Fault::local(format!("cannot write {}: {error}", path.display())))?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, format!("{HEADER}{text}")))
        .map_err(|error| Fault::local(format!("cannot write {}: {error}", path.display())))
}

fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_directory_still_finds_its_credentials() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cli.toml");
        save(&file, "towline.example:7443", &credentials_for(&file)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("credentials = \"cli-credentials\""), "{text}");
        let moved = dir.path().join("moved");
        fs::create_dir(&moved).unwrap();
        fs::rename(&file, moved.join("cli.toml")).unwrap();
        let context = load(&moved.join("cli.toml")).unwrap();
        assert_eq!(context.credentials, moved.join("cli-credentials"));
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_said_before_a_token_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("not-a-directory");
        fs::write(&file, "").unwrap();
        let fault = make_place(&file.join("cli.toml")).unwrap_err();
        assert!(fault.what.contains("not-a-directory"), "{}", fault.what);
        assert!(fault.hint.unwrap().contains("--config"));
    }

    #[test]
    fn without_a_context_the_next_step_is_said() {
        let fault = load(Path::new("/nowhere/cli.toml")).unwrap_err();
        assert!(fault.what.contains("/nowhere/cli.toml does not exist"));
        assert!(fault.hint.unwrap().contains("towline join"));
    }
}
