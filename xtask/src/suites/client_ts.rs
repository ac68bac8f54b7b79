//! The TypeScript client's own tests, in Node and in a real browser, against the built kernel.

use anyhow::{Context as _, Result};

use super::{Context, Suite, npm};
use crate::host::process;
use crate::host::programs::{self, Need};
use crate::repo;
use crate::summary::Outcome;

pub const SUITE: Suite =
    Suite { name: "client-ts", about: "npm test in sdk/client-ts, with Chromium for the browser part", run };

const CHROMIUM: Need = Need::new(&["chromium", "chromium-browser", "google-chrome"], "chromium");

fn run(context: &Context) -> Result<Outcome> {
    let folder = repo::root().join("sdk/client-ts");
    if !folder.join("package.json").exists() {
        return Ok(Outcome::NotRun("sdk/client-ts does not exist yet".into()));
    }
    let chromium = programs::ensure(&[CHROMIUM])?.pop().context("no browser")?;
    npm::install(&folder)?;
    let mut test = npm::npm(&folder)?;
    context.apply(&mut test).env("PLINTH_CHROMIUM", chromium).arg("test");
    process::grouped(&mut test, "npm test in sdk/client-ts")?;
    Ok(Outcome::Passed("Node and Chromium".into()))
}
