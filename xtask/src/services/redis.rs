//! Redis, in memory only.

use std::path::Path;

use anyhow::{Context, Result};

use crate::host::daemon::{Daemon, Plan};
use crate::host::programs::Need;

pub const SERVER: Need = Need::new(&["redis-server"], "redis-server");

pub fn start(program: &Path, folder: &Path, port: u16) -> Result<Daemon> {
    let home = folder.join("redis");
    std::fs::create_dir(&home).with_context(|| format!("{} cannot be created", home.display()))?;
    let (port_text, home) = (port.to_string(), home.display().to_string());
    let arguments = ["--bind", "127.0.0.1", "--port", &port_text, "--dir", &home, "--save", "", "--appendonly", "no"];
    let plan = Plan {
        name: "Redis",
        program,
        arguments: arguments.map(str::to_owned).into(),
        log: folder.join("redis.log"),
        stop: "TERM",
        user: None,
    };
    Daemon::start(plan, || super::answers(port, b"PING\r\n", b"+PONG"))
}
