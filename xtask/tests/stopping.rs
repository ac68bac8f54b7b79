//! What `cargo xtask test` starts does not outlive it, however it ends.
//!
//! A stand-in for cargo answers at once and, asked to run the tests, writes down the addresses of the services and
//! waits to be stopped. `CARGO` names it, as cargo itself would be named.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test by panicking")]

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

const STAND_IN: &str = r#"#!/bin/sh
case "$1 $2" in
    "metadata "*) exec "$REAL_CARGO" "$@" ;;
    "nextest run")
        env | grep '^PLINTH_TEST_' > "$ADDRESSES.new"
        mv "$ADDRESSES.new" "$ADDRESSES"
        exec sleep 600 ;;
esac
"#;

struct Run {
    xtask: Child,
    /// `host:port` of the three services.
    addresses: Vec<String>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Only for a test that failed half-way: otherwise it has ended, and this does nothing.
        drop(self.xtask.kill());
    }
}

fn start(folder: &Path) -> Run {
    let (stand_in, addresses) = (folder.join("cargo"), folder.join("addresses"));
    std::fs::write(&stand_in, STAND_IN).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("test")
        .env("REAL_CARGO", std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .env("CARGO", &stand_in)
        .env("ADDRESSES", &addresses)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_until("the services are up", || addresses.exists());
    let text = std::fs::read_to_string(&addresses).unwrap();
    let addresses: Vec<String> = text.lines().map(|line| address(line).to_owned()).collect();
    assert_eq!(addresses.len(), 3, "{text}");
    for address in &addresses {
        assert!(TcpStream::connect(address).is_ok(), "{address} answers");
    }
    Run { xtask, addresses }
}

/// `NAME=scheme://user@host:port/path` → `host:port`.
fn address(line: &str) -> &str {
    let url = line.split_once("://").unwrap().1;
    let authority = url.split('/').next().unwrap();
    authority.rsplit('@').next().unwrap()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, target: i64) {
    let target = target.to_string();
    assert!(Command::new("sh").args(["-c", "kill -s $1 -- $2", "sh", name, &target]).status().unwrap().success());
}

fn nothing_answers(run: &Run) {
    for address in &run.addresses {
        wait_until(&format!("{address} is closed"), || TcpStream::connect(address).is_err());
    }
}

/// Folders of services that are still there.
fn leftovers(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("plinth-test-")).count()
}

/// A folder that the database's own user may pass through.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn ctrl_c_and_sigterm_stop_the_services_and_remove_their_data() {
    for (name, whole_group) in [("INT", true), ("TERM", false)] {
        let folder = open_folder();
        let mut run = start(folder.path());
        assert_eq!(leftovers(folder.path()), 1);
        let pid = i64::from(run.xtask.id());
        signal(name, if whole_group { -pid } else { pid });
        assert_eq!(run.xtask.wait().unwrap().code(), Some(130), "after SIG{name}");
        nothing_answers(&run);
        assert_eq!(leftovers(folder.path()), 0, "after SIG{name}");
    }
}

#[test]
fn services_do_not_survive_a_killed_xtask() {
    let folder = open_folder();
    let mut run = start(folder.path());
    // The stand-in for the tests is in the group and goes with it; the services are not.
    signal("KILL", -i64::from(run.xtask.id()));
    run.xtask.wait().unwrap();
    nothing_answers(&run);
}
