//! One running program: its log goes to a file, it dies with the value.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait_for;

/// Where the built programs are: beside, or one above, the running one;
/// `TOWLINE_BIN_DIR` says otherwise.
pub fn binary(name: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("TOWLINE_BIN_DIR") {
        return Path::new(&directory).join(name);
    }
    let own = std::env::current_exe().expect("the path of the running program");
    let mut directory = own.parent().expect("a program lies in a directory");
    if directory.ends_with("deps") {
        directory = directory.parent().expect("deps lies in the target directory");
    }
    let path = directory.join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// A process with its output in a file.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command`, appending its output to `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log file opens");
        let again = file.try_clone().expect("the log file is shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(again)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// What it has said so far, starts before this one included.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line that contains `text`, at or after `from` bytes of its log.
    pub fn wait_for_line(&mut self, text: &str, from: usize) -> String {
        let what = format!("{} says {text:?}", self.name);
        wait_for(&what, Duration::from_secs(30), || {
            let said = self.said();
            let line = said
                .get(from..)?
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            if line.is_none()
                && let Some(status) = self.child.try_wait().expect("the process can be asked")
            {
                panic!(
                    "{} ended with {status} before it said {text:?}:\n{said}",
                    self.name
                );
            }
            line
        })
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let what = format!("{} stops at SIGTERM", self.name);
        wait_for(&what, Duration::from_secs(15), || self.ended())
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process can be asked")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
