//! A built kernel on a temporary data folder, for suites that speak to it over the network.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::daemon::{Daemon, Plan};
use crate::host::interrupt::{self, Held, Hold};

#[derive(Debug)]
pub struct Kernel {
    daemon: Daemon,
    url: String,
    folder: TempDir,
    _hold: Hold,
}

impl Kernel {
    /// Starts `plinth serve --dev --demo` on a free port and waits for its ready line.
    pub fn start(binary: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("plinth-kernel-").tempdir().context("no temporary folder")?;
        let hold = interrupt::hold(Held::Folder(folder.path().to_owned()));
        let data = folder.path().join("data");
        let arguments = ["serve", "--dev", "--demo", "--listen", "127.0.0.1:0", "--ready-json", "--data"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(data.display().to_string());
        // All requests come from one address: the limits of a public endpoint would answer most of them.
        for limit in ["address", "sign_in", "key", "tenant"] {
            for (what, value) in [("per_minute", 1_000_000), ("burst", 100_000)] {
                arguments.extend(["--set".to_owned(), format!("limits.{limit}_{what}={value}")]);
            }
        }
        let log = folder.path().join("kernel.log");
        let plan = Plan { name: "the kernel", program: binary, arguments, log, stop: "TERM", user: None };
        let mut daemon = Daemon::spawn(plan, Some(Stdio::piped()))?;
        let stdout = daemon.child().stdout.take().context("the kernel's output is not piped")?;
        let url = wait_for_url(&mut daemon, stdout)?;
        Ok(Self { daemon, url, folder, _hold: hold })
    }

    /// Base address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The end of what the kernel logged.
    pub fn said(&self) -> String {
        self.daemon.said()
    }

    /// An error when the kernel ended although nobody asked it to.
    pub fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.daemon.child().try_wait().context("the kernel is out of sight")? {
            bail!("the kernel ended with {status} under the load\n{}", self.said());
        }
        Ok(())
    }
}

/// Reads lines until one tells the address. The reader goes on to the end, so that the kernel never blocks on a full
/// pipe.
fn wait_for_url(daemon: &mut Daemon, stdout: ChildStdout) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        for url in lines.filter_map(|line| ready_url(&line)) {
            // The receiver is gone once the first address arrived, which is all it wanted.
            drop(sender.send(url));
        }
    });
    let mut url = None;
    daemon.wait_until(|| {
        url = receiver.try_recv().ok();
        url.is_some()
    })?;
    url.context("the kernel told no address")
}

/// The address in the line that `--ready-json` prints.
fn ready_url(line: &str) -> Option<String> {
    let ready: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| ready.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text("url").or_else(|| text("address").map(|address| format!("http://{address}")))?;
    Some(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_ready_line_is_recognised_among_others() {
        assert_eq!(ready_url(r#"{"url":"http://127.0.0.1:4711/"}"#).as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(ready_url(r#"{"address":"127.0.0.1:4711"}"#).as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(ready_url("listening on 127.0.0.1:4711"), None);
        assert_eq!(ready_url(r#"{"level":"info"}"#), None);
    }

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("plinth");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_kernel_is_ready_when_it_says_so_and_gone_with_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let binary = script(
            folder.path(),
            "#!/bin/sh\necho hello\necho \"{\\\"url\\\":\\\"http://127.0.0.1:9\\\"}\"\nexec sleep 600\n",
        );
        let mut kernel = Kernel::start(&binary).unwrap();
        assert_eq!(kernel.url(), "http://127.0.0.1:9");
        kernel.still_runs().unwrap();
        let pid = kernel.pid();
        drop(kernel);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_kernel_that_refuses_to_start_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let binary = script(folder.path(), "#!/bin/sh\necho 'unknown option --demo' >&2\nexit 2\n");
        let error = Kernel::start(&binary).unwrap_err().to_string();
        assert!(error.contains("unknown option --demo"), "{error}");
    }
}
