//! Installing Debian packages without letting them start services.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{self, process, programs};
use crate::ui;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether packages can be installed from here: only root may, and only Debian's kin have apt-get.
pub fn available() -> bool {
    host::is_root() && programs::find("apt-get").is_some()
}

/// Installs packages. Only their programs are wanted, so no server is started by it.
pub fn install(packages: &[&str]) -> Result<()> {
    let step = ui::step(format!("installing {}", packages.join(", ")));
    let _policy = KeepStopped::new()?;
    step.now("apt-get update");
    process::captured(&mut apt(&["update"]), "apt-get update")?;
    step.now("apt-get install");
    let mut install = apt(&["install", "-y", "--no-install-recommends"]);
    process::captured(install.args(packages), "apt-get install")?;
    step.done("installed");
    Ok(())
}

/// apt-get that asks nothing and waits for another apt-get to end.
pub fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // With RUNLEVEL=1 the old start scripts stay silent too.
    command.envs([("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")]);
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    command
}

/// While it lives, package scripts are told not to start services. A policy that exists already is kept as it is,
/// since somebody decided it for this machine.
struct KeepStopped {
    created: bool,
}

impl KeepStopped {
    fn new() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { created: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("{POLICY} cannot be written"))?;
        let guard = Self { created: true };
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("{POLICY} cannot be made executable"))?;
        Ok(guard)
    }
}

impl Drop for KeepStopped {
    fn drop(&mut self) {
        if self.created
            && let Err(error) = std::fs::remove_file(POLICY)
        {
            ui::warn(&format!("{POLICY} could not be removed ({error}); until it is, packages start no services"));
        }
    }
}
