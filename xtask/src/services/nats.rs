//! NATS with JetStream.

use std::path::Path;

use anyhow::Result;

use crate::host::daemon::{Daemon, Plan};
use crate::host::programs::Need;

pub const SERVER: Need = Need::new(&["nats-server"], "nats-server");

pub fn start(program: &Path, folder: &Path, port: u16) -> Result<Daemon> {
    let store = folder.join("nats");
    let arguments = ["-js", "-sd", &store.display().to_string(), "-a", "127.0.0.1", "-p", &port.to_string()];
    let plan = Plan {
        name: "NATS",
        program,
        arguments: arguments.map(str::to_owned).into(),
        log: folder.join("nats.log"),
        stop: "TERM",
        user: None,
    };
    // A NATS server speaks first.
    Daemon::start(plan, || super::answers(port, b"", b"INFO "))
}
