//! `cargo xtask test`: the full proof, part by part, with a table at the end.

use anyhow::{Context as _, Result, bail};

use super::nextest;
use crate::cli::TestOptions;
use crate::host::process;
use crate::repo::{self, Profile};
use crate::services::Services;
use crate::suites::{self, Context, Suite};
use crate::summary::{Outcome, Summary};

/// The environment variable that names the kernel's binary for black-box tests.
pub const BINARY: &str = "PLINTH_BIN";

const BEFORE: &str = "a part before it failed";

pub fn run(options: &TestOptions) -> Result<()> {
    let mut summary = Summary::default();
    run_into(options, &mut summary);
    summary.finish()
}

/// The same as a part of a larger run.
pub fn run_into(options: &TestOptions, summary: &mut Summary) {
    // Held to the end: dropping it stops the services.
    let mut services = None;
    let mut context = Context { binary: "plinth".into(), env: Vec::new() };
    let mut ready = start_services(options, summary, &mut services);
    if let Some(services) = &services {
        context.env.extend_from_slice(services.env());
    }
    ready = build(summary, &mut context, ready);
    rust_tests(options, summary, &context, ready);
    for suite in suites::DEFAULT {
        let wanted = options.filters.is_empty() && (options.suite.is_empty() || named(&options.suite, suite));
        run_suite(suite, summary, &context, ready, wanted.then_some(()).ok_or("not asked for"));
    }
    for peer in suites::PEERS {
        let how = format!("cargo xtask test --peers {}: {}", peer.name, peer.about);
        run_suite(peer, summary, &context, ready, named(&options.peers, peer).then_some(()).ok_or(how.as_str()));
    }
    summary.not_run("soak", "cargo xtask soak --minutes N: hours of load on a release build");
    summary.not_run("bench", "cargo xtask bench NAME: measures, proves nothing");
}

fn named(names: &[String], suite: &Suite) -> bool {
    names.iter().any(|name| name == suite.name)
}

fn start_services(options: &TestOptions, summary: &mut Summary, services: &mut Option<Services>) -> bool {
    if options.no_services {
        summary.not_run("services", "--no-services");
        return true;
    }
    summary.part("services", || {
        *services = Some(Services::start()?);
        Ok(Outcome::Passed("PostgreSQL, NATS with JetStream, Redis".into()))
    })
}

fn build(summary: &mut Summary, context: &mut Context, ready: bool) -> bool {
    const NAME: &str = "build";
    if !ready {
        summary.not_run(NAME, BEFORE);
        return false;
    }
    summary.part(NAME, || {
        context.binary = repo::build_kernel(Profile::Dev)?;
        context.env.push((BINARY, context.binary.display().to_string()));
        Ok(Outcome::Passed(context.binary.display().to_string()))
    })
}

fn rust_tests(options: &TestOptions, summary: &mut Summary, context: &Context, ready: bool) {
    const NAME: &str = "rust tests";
    if !options.suite.is_empty() {
        summary.not_run(NAME, "--suite asks for suites only");
    } else if ready {
        summary.part(NAME, || run_nextest(options, context));
    } else {
        summary.not_run(NAME, BEFORE);
    }
}

fn run_nextest(options: &TestOptions, context: &Context) -> Result<Outcome> {
    nextest::ensure()?;
    let report = nextest::report()?;
    // A report of an earlier run would be read as this one's if nextest ended early.
    if report.exists() {
        std::fs::remove_file(&report).with_context(|| format!("{} cannot be removed", report.display()))?;
    }
    let mut command = repo::cargo();
    command.args(["nextest", "run", "--workspace"]).args(&options.filters).args(&options.nextest);
    let status = process::foreground_status(context.apply(&mut command), "cargo nextest run")?;
    let text = std::fs::read_to_string(&report);
    if !status.success() {
        match text.ok().and_then(|text| nextest::counts(&text).ok()) {
            Some(counts) if counts.failed > 0 => {
                bail!("{} of {} tests failed", counts.failed, counts.tests)
            }
            _ => bail!("cargo nextest run ended with {status}"),
        }
    }
    let counts = nextest::counts(&text.with_context(|| format!("{} was not written", report.display()))?)?;
    Ok(Outcome::Passed(format!("{} tests", counts.tests)))
}

fn run_suite(suite: &Suite, summary: &mut Summary, context: &Context, ready: bool, wanted: Result<(), &str>) {
    match wanted {
        Err(why) => summary.not_run(suite.name, why),
        Ok(()) if ready => {
            summary.part(suite.name, || {
                eprintln!("   {}", suite.about);
                (suite.run)(context)
            });
        }
        Ok(()) => summary.not_run(suite.name, BEFORE),
    }
}
