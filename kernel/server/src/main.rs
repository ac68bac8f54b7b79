//! The `plinth` binary: reads the configuration, puts the rooms together, serves, and administers.

mod cli;
mod commands;
mod config;
mod control;
mod data;
mod failure;
mod serve;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("plinth: the asynchronous runtime cannot start: {error}");
            return ExitCode::from(failure::FAILED);
        }
    };
    // One crypto library for all of TLS, chosen here because a library must not choose for its user.
    rustls::crypto::ring::default_provider().install_default().ok();
    let result = runtime.block_on(commands::run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.code())
        }
    }
}
