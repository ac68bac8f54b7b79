//! The TypeScript client's own tests, in Node and in a real browser, against the built kernel.

use anyhow::{Context as _, Result, anyhow};

use super::{Context, Suite, npm};
use crate::host::kernel::Kernel;
use crate::host::process;
use crate::host::programs::{self, Need};
use crate::repo;
use crate::summary::Outcome;

pub const SUITE: Suite =
    Suite { name: "client-ts", about: "npm test in sdk/client-ts, with Chromium for the browser part", run };

const CHROMIUM: Need = Need::new(&["chromium", "chromium-browser", "google-chrome"], "chromium");

fn run(context: &Context) -> Result<Outcome> {
    let folder = repo::root().join("sdk/client-ts");
    let chromium = programs::ensure(&[CHROMIUM])?.pop().context("no browser")?;
    npm::install(&folder)?;
    let mut test = npm::npm(&folder)?;
    let mut kernel = Kernel::start(&context.binary)?;
    context.apply(&mut test).env("PLINTH_CHROMIUM", chromium).env("PLINTH_URL", kernel.url()).arg("test");
    let passed = process::grouped(&mut test, "npm test in sdk/client-ts");
    kernel.still_runs()?;
    passed.map_err(|error| anyhow!("{error:#}\nthe kernel's last words:\n{}", kernel.said()))?;
    Ok(Outcome::Passed("Node, Chromium and a kernel".into()))
}
