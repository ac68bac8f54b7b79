//! `cargo xtask`: everything that is done with this repository, from one place and without a tool besides cargo.
//!
//! * A command that needs something the machine lacks installs it where it may, and otherwise fails with the exact
//!   words to install it. Nothing is skipped in silence.
//! * Whatever a command starts it stops: at the end, on an error, on Ctrl-C, on SIGTERM, and, through the kernel's
//!   parent-death signal, when it is killed itself.
//! * No crate of the product is linked: what is tested is the built binary.

mod cli;
mod commands;
mod host;
mod law;
mod repo;
mod services;
mod suites;
mod summary;
mod toolchain;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Task};

fn main() -> ExitCode {
    let outcome = host::interrupt::install().and_then(|()| dispatch(Cli::parse().task));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if host::interrupt::requested() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Run(options) => commands::run::run(&options),
        Task::Test(options) => commands::test::run(&options),
        Task::Soak(options) => commands::soak::run(&options),
        Task::Ci => commands::ci::run(),
        Task::Gen(options) => commands::generate::run(&options),
        Task::Plugins(options) => commands::plugins::run(options.from),
        Task::Bench(options) => commands::bench::run(&options),
    }
}
