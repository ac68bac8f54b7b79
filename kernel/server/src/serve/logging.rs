//! What the kernel says while it runs, on standard error: for people at a terminal, as JSON for everything else.

use std::io::IsTerminal;

use anyhow::Context;
use plinth_gateway::LogFormat as AccessFormat;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{LogConfig, LogFormat},
    failure::Failure,
};

fn pretty(config: &LogConfig) -> bool {
    match config.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    }
}

pub fn start(config: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.level).context("log.level is no filter")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if pretty(config) {
        log.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot start: {error}"))?;
    Ok(())
}

/// One line a request, in the same form, unless the log is silent.
pub fn access_format(config: &LogConfig) -> AccessFormat {
    let quiet = ["off", "error", "warn"].iter().any(|level| config.level.trim().eq_ignore_ascii_case(level));
    if quiet {
        AccessFormat::Off
    } else if pretty(config) {
        AccessFormat::Pretty
    } else {
        AccessFormat::Json
    }
}
