//! When to stop: Ctrl-C and SIGTERM. The second one does not wait.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Hears signals from its making on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// To be called before anybody is told that the kernel serves: who is told may send a signal at once.
    pub fn listen() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?,
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    pub fn end_at_the_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            eprintln!("plinth: stopped at once; unfinished work is rolled back");
            std::process::exit(130);
        });
    }
}
