//! `cargo xtask run`: from a checkout to a running kernel with a demo tenant.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use super::plugins;
use crate::cli::RunOptions;
use crate::host::interrupt;
use crate::repo::{self, Profile};
use crate::toolchain::Way;
use crate::ui;

pub fn run(options: &RunOptions) -> Result<()> {
    if let Err(error) = plugins::run(Way::Auto) {
        interrupt::check()?;
        ui::warn(&format!("plugins are not built: {error:#}"));
        ui::warn("the kernel starts without them; `cargo xtask plugins` tries again");
    }
    let binary = repo::build_kernel(Profile::Release)?;
    interrupt::check()?;
    let mut serve = Command::new(&binary);
    serve.args(["serve", "--dev", "--demo", "--listen", &options.listen.to_string(), "--data"]);
    serve.arg(&options.data).args(&options.extra);
    // This process becomes the kernel, so signals reach it directly and its exit code is the one that is seen.
    let error = serve.exec();
    Err(error).with_context(|| format!("{} did not start", binary.display()))
}
