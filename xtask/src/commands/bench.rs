//! `cargo xtask bench`: the release build of plinth-bench, with a database beside it where a name asks for one.

use anyhow::{Result, bail};

use crate::cli::BenchOptions;
use crate::host::process;
use crate::repo;
use crate::services::Services;

const PACKAGE: &str = "plinth-bench";

pub fn run(options: &BenchOptions) -> Result<()> {
    if !repo::metadata()?.packages.iter().any(|package| package.name == PACKAGE) {
        bail!(
            "this workspace has no package {PACKAGE} (expected in kernel/bench), so there is nothing to measure with"
        );
    }
    let services = if options.names.iter().any(|name| needs_services(name)) { Some(Services::start()?) } else { None };
    let mut command = repo::cargo();
    command.args(["run", "--release", "--package", PACKAGE, "--"]).args(&options.names).args(&options.extra);
    if let Some(services) = &services {
        command.envs(services.env().iter().map(|(name, value)| (name, value)));
    }
    process::foreground(&mut command, PACKAGE)
}

fn needs_services(name: &str) -> bool {
    name.ends_with("-pg")
}
