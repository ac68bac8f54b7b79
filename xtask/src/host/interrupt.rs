//! Ctrl-C, SIGTERM and SIGHUP end a run in order.
//!
//! The first signal only asks: what runs in the foreground is told to stop, the command that waited for it sees
//! [`requested`], and the usual drops stop services and remove folders. When that takes longer than [`PATIENCE`], or
//! at a second signal, everything still registered is killed, temporary folders are removed and the process exits.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const PATIENCE: Duration = Duration::from_secs(20);

static REQUESTED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU64 = AtomicU64::new(0);
static HELD: Mutex<Vec<(u64, Held)>> = Mutex::new(Vec::new());

/// Something that must not outlive this process.
#[derive(Clone, Debug)]
pub enum Held {
    /// A program that shares the terminal and so hears Ctrl-C by itself.
    Foreground(u32),
    /// A program that leads a process group of its own and is waited for.
    Group(u32),
    /// A server in a group of its own. Its guard stops it, so that it goes last.
    Service(u32),
    Folder(PathBuf),
}

/// Takes its entry off the list when dropped.
#[derive(Debug)]
pub struct Hold(u64);

/// Starts to listen for signals. Called once, before anything is started.
pub fn install() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("the signal handlers could not be installed")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                end_now(signal);
            }
            eprintln!("\nstopping what was started (once more to stop at once)");
            ask(signal);
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                end_now(signal);
            });
        }
    });
    Ok(())
}

pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// For loops that wait: an error once a signal came.
pub fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}

/// Registers something for the hard end.
pub fn hold(held: Held) -> Hold {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push((id, held));
    Hold(id)
}

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.0);
    }
}

/// Sends a signal by name to a process, or to a process group when `target` is negative.
///
/// Through the shell: its `kill` is built in, so nothing need be installed, and the system call needs unsafe code.
pub fn signal(name: &str, target: i64) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", name, &target.to_string()])
        .stderr(Stdio::null())
        .status();
    if let Err(error) = status {
        eprintln!("process {target} could not be told to stop, since sh did not start: {error}");
    }
}

fn snapshot() -> Vec<Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, held)| held.clone()).collect()
}

fn ask(number: i32) {
    for held in snapshot() {
        match held {
            // The terminal sends SIGINT to the whole foreground group; a second one would cut the program's own
            // orderly end short.
            Held::Foreground(pid) if number != SIGINT => signal("TERM", i64::from(pid)),
            Held::Group(pid) => signal("TERM", -i64::from(pid)),
            Held::Foreground(_) | Held::Service(_) | Held::Folder(_) => {}
        }
    }
}

fn end_now(number: i32) -> ! {
    for held in snapshot() {
        match held {
            Held::Foreground(pid) => signal("KILL", i64::from(pid)),
            Held::Group(pid) | Held::Service(pid) => signal("KILL", -i64::from(pid)),
            Held::Folder(_) => {}
        }
    }
    for held in snapshot() {
        if let Held::Folder(path) = held {
            remove(&path);
        }
    }
    std::process::exit(128 + number)
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        eprintln!("{} could not be removed: {error}", folder.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_is_forgotten() {
        let hold = hold(Held::Folder("/nowhere/first".into()));
        assert!(
            snapshot().iter().any(|held| matches!(held, Held::Folder(path) if path == Path::new("/nowhere/first")))
        );
        drop(hold);
        assert!(
            !snapshot().iter().any(|held| matches!(held, Held::Folder(path) if path == Path::new("/nowhere/first")))
        );
    }
}
