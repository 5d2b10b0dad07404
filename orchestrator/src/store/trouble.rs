//! What ails the database itself, told apart for those who can do something:
//! a full disk, a lock that somebody else holds, a disk that does not obey, and
//! content that this program did not write.

use super::StoreError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Full,
    /// Another process holds the lock for longer than it is waited for.
    Locked,
    /// The disk refused to read or write.
    Disk,
    Corrupt,
}

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

impl StoreError {
    /// `None` when nothing ails the database.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Corrupt { .. } => Some(Trouble::Corrupt),
            Self::Sqlite(error) => of_code(primary_code(error)?),
            _ => None,
        }
    }
}

/// An extended code holds the primary one in its lowest byte.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn of_code(code: u32) -> Option<Trouble> {
    match code {
        FULL => Some(Trouble::Full),
        BUSY | LOCKED => Some(Trouble::Locked),
        READONLY | IOERR | CANTOPEN => Some(Trouble::Disk),
        CORRUPT | NOTADB => Some(Trouble::Corrupt),
        _ => None,
    }
}

impl Trouble {
    /// Stable.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "DISK_FULL",
            Self::Locked => "DATABASE_LOCKED",
            Self::Disk => "DISK_ERROR",
            Self::Corrupt => "DATABASE_CORRUPT",
        }
    }

    /// The next step for whoever runs the orchestrator.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Full => {
                "nothing was changed: make room on the disk of the orchestrator's database; what runs goes on by itself"
            }
            Self::Locked => {
                "nothing was changed: end the program that holds the orchestrator's database (a sqlite3 shell, a copy), and ask again"
            }
            Self::Disk => {
                "nothing was changed: look at the disk, the mount and the permissions of the orchestrator's database"
            }
            Self::Corrupt => {
                "the other projects go on; stop the orchestrator, keep a copy of its database, and restore a backup"
            }
        }
    }
}
