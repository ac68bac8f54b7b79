//! `cargo xtask ci`: everything that must hold before a change goes in. Cheap checks come first; each is run whatever
//! the others say, so that one run tells all.

use anyhow::Result;

use super::{generate, largest, test};
use crate::cli::{GenOptions, TestOptions};
use crate::host::{process, programs};
use crate::summary::{Outcome, Summary};
use crate::{law, repo};

const LARGEST: usize = 10;

pub fn run() -> Result<()> {
    let mut summary = Summary::default();
    summary.part("format", || cargo(&["fmt", "--all", "--check"]));
    summary.part("dependency law", || Ok(Outcome::Passed(format!("{} dependencies", law::check()?))));
    deny(&mut summary);
    summary.part("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    summary.part("docs", docs);
    summary.part("generated files", || {
        generate::run(&GenOptions { check: true })?;
        Ok(Outcome::Passed("as the code gives them".into()))
    });
    let everything = TestOptions { filters: vec![], suite: vec![], peers: vec![], no_services: false, nextest: vec![] };
    test::run_into(&everything, &mut summary);
    print_largest()?;
    summary.finish()
}

fn cargo(arguments: &[&str]) -> Result<Outcome> {
    process::foreground(repo::cargo().args(arguments), &format!("cargo {}", arguments[0]))?;
    Ok(Outcome::Passed(String::new()))
}

fn docs() -> Result<Outcome> {
    let mut command = repo::cargo();
    command.args(["doc", "--no-deps", "--document-private-items", "--workspace"]);
    process::foreground(command.env("RUSTDOCFLAGS", "-D warnings"), "cargo doc")?;
    Ok(Outcome::Passed(String::new()))
}

/// Licences, bans and known weaknesses of dependencies.
fn deny(summary: &mut Summary) {
    const NAME: &str = "cargo-deny";
    if programs::find("cargo-deny").is_none() {
        summary.not_run(NAME, "not installed; cargo install cargo-deny --locked");
    } else if !repo::root().join("deny.toml").exists() {
        summary.not_run(NAME, "there is no deny.toml");
    } else {
        summary.part(NAME, || cargo(&["deny", "check"]));
    }
}

fn print_largest() -> Result<()> {
    eprintln!("\n== the {LARGEST} largest Rust files");
    for (lines, path) in largest::files(repo::root(), LARGEST)? {
        eprintln!("  {lines:>6}  {}", path.strip_prefix(repo::root()).unwrap_or(&path).display());
    }
    Ok(())
}
