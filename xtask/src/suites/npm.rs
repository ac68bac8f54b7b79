//! Node and npm, installed where they are missing.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::host::process;
use crate::host::programs::{self, Need};

const NODE: Need = Need::new(&["node", "nodejs"], "nodejs");
const NPM: Need = Need::new(&["npm"], "npm");

/// npm in `folder`, quiet about everything but the work.
pub fn npm(folder: &Path) -> Result<Command> {
    let found = programs::ensure(&[NODE, NPM])?;
    let mut command = Command::new(&found[1]);
    command.current_dir(folder).envs([
        ("npm_config_fund", "false"),
        ("npm_config_audit", "false"),
        ("npm_config_update_notifier", "false"),
        ("npm_config_progress", "false"),
    ]);
    Ok(command)
}

/// Installs exactly what the lock file says.
pub fn install(folder: &Path) -> Result<()> {
    process::grouped(npm(folder)?.arg("ci"), "npm ci")
}
