//! Writing keys and certificates: whole or not at all, and keys for their
//! owner's eyes only.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Mode 0600.
    Owner,
    /// Mode 0644.
    Everyone,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Makes a directory, mode 0700, with its parents.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that must not exist yet.
pub(crate) fn create(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true);
    write(&mut options, path, text, readers)
}

/// Writes a file, in place of an older one if there is one.
pub(crate) fn replace(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(&fresh, text, readers)?;
    fs::rename(&fresh, path)
}

fn write(options: &mut OpenOptions, path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut file = options.write(true).mode(readers.mode()).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
