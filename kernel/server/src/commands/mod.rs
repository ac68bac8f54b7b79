//! What each subcommand does.

mod backup;
mod doctor;
mod keys;
mod migrate;
mod operators;
mod password;
mod tenants;

use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;
use serde_json::{Value, json};

use crate::{
    cli::{Cli, Command, ConfigCommand, GenCommand},
    config::{self, Loaded, Sources},
    failure::Failure,
    serve,
};

pub async fn run(cli: Cli) -> Result<(), Failure> {
    let json = cli.json;
    let flags = match &cli.command {
        Command::Serve(serve) => cli.common.overrides(Some(serve)),
        _ => cli.common.overrides(None),
    };
    let sources = Sources::from_process(cli.common.config.clone(), flags);
    let load = || config::load(&sources);
    match cli.command {
        Command::Serve(options) => serve::run(load()?, &options).await,
        Command::Migrate { status } => migrate::run(&load()?.config, status, json).await,
        Command::Config(command) => show_config(&command, &load(), json),
        Command::Doctor => doctor::run(load(), json).await,
        Command::Backup { file } => backup::backup(&load()?.config, &file, json).await,
        Command::Restore { file, replace } => backup::restore(&load()?.config, &file, replace, json).await,
        Command::Operator(command) => operators::run(&load()?.config, command, json).await,
        Command::Tenant(command) => tenants::run(&load()?.config, command, json).await,
        Command::Key(command) => keys::run(&load()?.config, command, json).await,
        Command::Version => version(json),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "plinth", &mut std::io::stdout());
            Ok(())
        }
        Command::Gen(GenCommand::Openapi) => serve::print_openapi(&load()?.config).await,
    }
}

fn show_config(
    command: &ConfigCommand,
    loaded: &Result<Loaded, config::ConfigError>,
    json: bool,
) -> Result<(), Failure> {
    match (command, loaded) {
        (ConfigCommand::Check, result) => {
            out(&config::render_check(result, json))?;
            if result.is_err() { Err(Failure::Unhealthy) } else { Ok(()) }
        }
        (ConfigCommand::Print, Ok(loaded)) => out(&config::render_print(loaded, json)),
        (ConfigCommand::Print, result @ Err(_)) => {
            out(&config::render_check(result, json))?;
            Err(Failure::Unhealthy)
        }
    }
}

fn version(as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&json!({ "name": "plinth", "version": env!("CARGO_PKG_VERSION") }));
    }
    out(concat!("plinth ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// Standard output may be closed by whoever reads it; that is their way of saying that they have enough.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written").map_err(Failure::Failed),
    }
}

pub fn print_json(value: &Value) -> Result<(), Failure> {
    out(&format!("{value:#}\n"))
}

/// A table for people: columns as wide as their widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}
