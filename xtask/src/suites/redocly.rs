//! A foreign linter reads the OpenAPI document: what it cannot understand, other people's generators cannot either.

use anyhow::Result;

use super::{Context, Suite, npm};
use crate::host::process;
use crate::repo;
use crate::summary::Outcome;

pub const SUITE: Suite = Suite { name: "redocly", about: "npm @redocly/cli lints sdk/openapi.json", run };

fn run(_: &Context) -> Result<Outcome> {
    let document = repo::root().join("sdk/openapi.json");
    if !document.exists() {
        return Ok(Outcome::NotRun("sdk/openapi.json does not exist yet; `cargo xtask gen` writes it".into()));
    }
    let mut lint = npm::npm(&repo::cache()?)?;
    lint.env("REDOCLY_TELEMETRY", "off");
    lint.args(["exec", "--yes", "--package=@redocly/cli", "--", "redocly", "lint"]);
    lint.args(["--extends=spec", "--format=summary"]).arg(&document);
    process::grouped(&mut lint, "redocly lint sdk/openapi.json")?;
    Ok(Outcome::Passed("sdk/openapi.json follows the specification".into()))
}
