//! cargo-nextest: installed when missing, run with its output on the screen, its counts read afterwards.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::process;
use crate::repo;
use crate::ui;

/// Makes sure that `cargo nextest` exists.
pub fn ensure() -> Result<()> {
    let present = || process::captured(repo::cargo().args(["nextest", "--version"]), "cargo nextest --version").is_ok();
    if present() {
        return Ok(());
    }
    ui::warn("cargo-nextest is not installed: running `cargo install cargo-nextest --locked`, which takes minutes");
    process::foreground(
        repo::cargo().args(["install", "cargo-nextest", "--locked"]),
        "cargo install cargo-nextest --locked",
    )
}

/// Where the default profile writes its report (`.config/nextest.toml`).
pub fn report() -> Result<PathBuf> {
    Ok(repo::metadata()?.target_directory.join("nextest/default/junit.xml"))
}

/// Tests run and failed, from the report's root element.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    pub tests: u64,
    pub failed: u64,
}

pub fn counts(report: &str) -> Result<Counts> {
    let start = report.find("<testsuites").context("the report has no root element")?;
    let root = &report[start..];
    let root = &root[..root.find('>').context("the report's root element has no end")?];
    Ok(Counts { tests: attribute(root, "tests")?, failed: attribute(root, "failures")? + attribute(root, "errors")? })
}

fn attribute(element: &str, name: &str) -> Result<u64> {
    let value = element
        .split_once(&format!(" {name}=\""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .with_context(|| format!("the report's root element has no {name}"))?
        .0;
    value.parse().with_context(|| format!("{name} is not a number: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="412" failures="2" errors="1" uuid="x" timestamp="t" time="63.1">
    <testsuite name="plinth-api" tests="9" disabled="0" errors="0" failures="0">"#;

    #[test]
    fn the_root_elements_counts_are_read() {
        assert_eq!(counts(REPORT).unwrap(), Counts { tests: 412, failed: 3 });
    }

    #[test]
    fn a_broken_report_is_an_error() {
        assert!(counts("").is_err());
        assert!(counts("<testsuites name=\"x\">").is_err());
        assert!(counts("<testsuites tests=\"many\" failures=\"0\" errors=\"0\">").is_err());
    }
}
