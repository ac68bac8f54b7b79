//! Schemathesis makes requests out of the OpenAPI document and holds every answer against it: no 5xx, no status,
//! header or body that the document does not tell of.
//!
//! The seed is fixed and the number of examples bounded, so that a failure comes again and the time is known.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

use super::{Context, Suite};
use crate::host::kernel::Kernel;
use crate::host::programs::{self, Need};
use crate::host::{apt, http, process};
use crate::summary::Outcome;
use crate::{repo, ui};

pub const SUITE: Suite =
    Suite { name: "schemathesis", about: "requests generated from sdk/openapi.json against the built kernel", run };

const PYTHON: Need = Need::new(&["python3"], "python3");
const REQUIREMENT: &str = "schemathesis>=4,<5";
const SEED: &str = "1";
const EXAMPLES: &str = "10";
/// For the parts that make things up, so that a slow machine keeps the budget of the whole run.
const SECONDS: &str = "75";
/// What every answer must be. Left out is that every request allowed by the schema succeeds: a slug that is taken and
/// a product that does not exist are refused with good reason.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth";
/// What would end the caller's own session or key: from there on every answer is 401 and proves nothing.
const ENDS_OWN_SESSION: &str = "/auth/|/api-keys|/service-accounts|/me$|/tenants/[^/]+$|erase|suspend|members";

fn run(context: &Context) -> Result<Outcome> {
    let document = repo::root().join("sdk/openapi.json");
    let program = installed()?;
    let step = ui::step("starting a kernel for schemathesis");
    let mut kernel = Kernel::start(&context.binary)?;
    let token = register(kernel.url())?;
    step.done(kernel.url());

    let run = Run { program: &program, document: &document, url: kernel.url(), folder: &work_folder()? };
    let mut owner = run.command();
    owner.args(["--header", &format!("Authorization: Bearer {token}")]);
    owner.args(["--exclude-path-regex", ENDS_OWN_SESSION]);
    let as_owner = process::grouped(&mut owner, "schemathesis as the owner of a tenant");

    let mut nobody = run.command();
    // Most of it is 401, which needs no fuzzing to be seen.
    nobody.args(["--phases", "examples,coverage"]);
    let as_nobody = process::grouped(&mut nobody, "schemathesis without credentials");

    kernel.still_runs()?;
    as_owner.and(as_nobody).map_err(|error| anyhow!("{error:#}\nthe kernel's last words:\n{}", kernel.said()))?;
    Ok(Outcome::Passed(format!("as owner and as nobody, {EXAMPLES} examples for each operation, seed {SEED}")))
}

struct Run<'a> {
    program: &'a Path,
    document: &'a Path,
    url: &'a str,
    folder: &'a Path,
}

impl Run<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.arg("run").arg(self.document).args(["--url", self.url, "--checks", CHECKS]);
        command.args(["--max-examples", EXAMPLES, "--seed", SEED, "--max-time", SECONDS]);
        // What an earlier run found would be tried first and make this one different.
        command.args(["--generation-database", "none"]);
        command.args(["--request-timeout", "30", "--no-color"]);
        command.current_dir(self.folder);
        command
    }
}

/// Keeps what failed, for `schemathesis replay`.
fn work_folder() -> Result<PathBuf> {
    let folder = repo::metadata()?.target_directory.join("schemathesis");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    // Whoever makes requests without credentials means it: signing up by itself would make them somebody.
    std::fs::write(folder.join("schemathesis.toml"), "[auth]\nauto-signup = false\n")
        .with_context(|| format!("{} cannot be written to", folder.display()))?;
    Ok(folder)
}

/// Signs up a new tenant and returns its owner's token.
fn register(url: &str) -> Result<String> {
    let body = json!({
        "email": "schemathesis@example.com",
        "password": "correct horse battery staple 42",
        "name": "Schemathesis",
        "tenant": { "name": "Schemathesis", "slug": "schemathesis" },
    });
    let answer = http::post(url, "/api/v1/auth/register", &body)?;
    let token = answer["access_token"].as_str().context("auth/register answered without an access_token")?;
    Ok(token.to_owned())
}

/// The program in a virtual environment of the cache folder, made when it is not there.
fn installed() -> Result<PathBuf> {
    let venv = repo::cache()?.join("schemathesis");
    let program = venv.join("bin/schemathesis");
    let works = |program: &Path| Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if works(&program) {
        return Ok(program);
    }
    let step = ui::step("installing schemathesis from PyPI");
    let python = programs::ensure(&[PYTHON])?.pop().context("no Python")?;
    make_venv(&python, &venv)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]);
    process::captured(&mut pip, "pip install schemathesis")?;
    step.done(&venv.display().to_string());
    Ok(program)
}

fn make_venv(python: &Path, venv: &Path) -> Result<()> {
    let make = || {
        let mut command = Command::new(python);
        command.args(["-m", "venv", "--clear"]).arg(venv);
        process::captured(&mut command, "python3 -m venv")
    };
    let Err(error) = make() else { return Ok(()) };
    // Debian's python3 leaves the module in a package of its own.
    if !apt::available() {
        return Err(error.context("on Debian install it with: sudo apt-get install -y python3-venv"));
    }
    apt::install(&["python3-venv"])?;
    make()?;
    Ok(())
}
