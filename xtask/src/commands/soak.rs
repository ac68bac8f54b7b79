//! `cargo xtask soak`: a release kernel under load for as long as asked.

use anyhow::{Result, bail};

use super::{nextest, test};
use crate::cli::SoakOptions;
use crate::host::kernel::Kernel;
use crate::host::process;
use crate::repo::{self, Profile};
use crate::ui;

/// nextest's exit code when a filter matches nothing.
const NO_TESTS: i32 = 4;

pub fn run(options: &SoakOptions) -> Result<()> {
    nextest::ensure()?;
    let binary = repo::build_kernel(Profile::Release)?;
    let step = ui::step("starting the kernel");
    let mut kernel = Kernel::start(&binary)?;
    step.done(kernel.url());

    let mut command = repo::cargo();
    command.args(["nextest", "run", "--package", "plinth-tests", "--profile", "soak", "--run-ignored", "only"]);
    command.args(["--no-capture", "-E", "test(soak)"]);
    command.env("PLINTH_SOAK_MINUTES", options.minutes.to_string()).env("PLINTH_SOAK_URL", kernel.url());
    command.env("PLINTH_SOAK_PID", kernel.pid().to_string()).env("PLINTH_SOAK_DATA", kernel.data());
    command.env(test::BINARY, &binary);
    let status = process::foreground_status(&mut command, "cargo nextest run")?;
    if status.code() == Some(NO_TESTS) {
        bail!("plinth-tests has no ignored test whose name contains `soak`");
    }
    kernel.still_runs()?;
    if !status.success() {
        bail!("the soak failed ({status}); the kernel's last words:\n{}", kernel.said());
    }
    Ok(())
}
