//! A server that runs beside the work and ends with it.
//!
//! It leads its own process group, so that Ctrl-C in the terminal reaches the tests and not the database under them,
//! and it asked the kernel for a signal when its parent dies, so that not even `kill -9` leaves it behind.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::host::interrupt::{self, Held, Hold};
use crate::host::{process, programs};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A system user to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// What to start.
pub struct Plan<'a> {
    pub name: &'static str,
    pub program: &'a Path,
    pub arguments: Vec<String>,
    /// Takes what the server says; shown when it does not start.
    pub log: PathBuf,
    /// The signal that ends it without waiting for clients.
    pub stop: &'static str,
    /// Needs root.
    pub user: Option<&'a User>,
}

#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
    stop: &'static str,
    _hold: Hold,
}

impl Daemon {
    /// Starts the server and waits until `ready` says yes.
    pub fn start(plan: Plan<'_>, ready: impl FnMut() -> bool) -> Result<Self> {
        let mut daemon = Self::spawn(plan, None)?;
        daemon.wait_until(ready)?;
        Ok(daemon)
    }

    /// Starts the server with its standard output piped instead of logged when `stdout` is given.
    pub fn spawn(plan: Plan<'_>, stdout: Option<Stdio>) -> Result<Self> {
        interrupt::check()?;
        let log = File::create(&plan.log).with_context(|| format!("{} cannot be written", plan.log.display()))?;
        let stdout = match stdout {
            Some(stdout) => stdout,
            None => log.try_clone().context("the log's handle cannot be copied")?.into(),
        };
        let mut command = wrapped(plan.program, plan.stop, plan.user);
        command.args(&plan.arguments).stdin(Stdio::null()).stdout(stdout).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("{} did not start", plan.name))?;
        let hold = interrupt::hold(Held::Service(child.id()));
        Ok(Self { name: plan.name, child, log: plan.log, stop: plan.stop, _hold: hold })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says yes; an error with the server's own words when it ends before that or takes too long.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            interrupt::check()?;
            if let Some(status) = self.child.try_wait().with_context(|| format!("{} is out of sight", self.name))? {
                bail!("{} ended with {status} before it was ready\n{}", self.name, self.said());
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready after {} s\n{}", self.name, START.as_secs(), self.said());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        process::tail(&String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let group = -i64::from(self.child.id());
        if matches!(self.child.try_wait(), Ok(None)) {
            interrupt::signal(self.stop, i64::from(self.child.id()));
            let deadline = Instant::now() + STOP;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        // Also what it may have left in its group; harmless when nothing is there.
        interrupt::signal("KILL", group);
        if let Err(error) = self.child.wait() {
            eprintln!("{} could not be waited for: {error}", self.name);
        }
    }
}

/// A command under `setpriv`, which sets the parent-death signal and changes the user and is part of every Linux with
/// util-linux. Without it the guard alone has to stop the server.
fn wrapped(program: &Path, stop: &str, user: Option<&User>) -> Command {
    let Some(setpriv) = programs::find("setpriv") else {
        let mut command = Command::new(program);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        return command;
    };
    let mut command = Command::new(setpriv);
    command.arg(format!("--pdeathsig={stop}"));
    if let Some(user) = user {
        command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".into()]);
    }
    command.arg("--").arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan<'a>(folder: &Path, program: &'a Path, arguments: &[&str]) -> Plan<'a> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Plan { name: "the server", program, arguments, log: folder.join("log"), stop: "TERM", user: None }
    }

    fn alive(pid: u32) -> bool {
        // A zombie has no memory left, hence no command line.
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    }

    #[test]
    fn a_server_ends_with_its_guard_and_so_do_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let children = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; trap '' TERM; wait", children.display());
        let daemon =
            Daemon::start(plan(folder.path(), Path::new("/bin/sh"), &["-c", &script]), || children.exists()).unwrap();
        let leader = daemon.pid();
        let child: u32 = std::fs::read_to_string(&children).unwrap().trim().parse().unwrap();
        assert!(alive(leader) && alive(child));
        interrupt::signal("KILL", i64::from(leader));
        drop(daemon);
        assert!(!alive(leader));
        let deadline = Instant::now() + Duration::from_secs(5);
        while alive(child) {
            assert!(Instant::now() < deadline, "the child of the server is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_server_that_ends_early_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let started =
            Daemon::start(plan(folder.path(), Path::new("/bin/sh"), &["-c", "echo port taken >&2; exit 7"]), || false);
        let error = started.unwrap_err().to_string();
        assert!(error.contains("the server") && error.contains("port taken") && error.contains('7'), "{error}");
    }
}
