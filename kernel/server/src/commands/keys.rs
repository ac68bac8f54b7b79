//! `plinth key`: the master keys that protect secrets at rest.

use serde_json::Value;

use super::{out, print_json, table};
use crate::{
    cli::KeyCommand,
    config::Config,
    control::{Administer, administer},
    failure::Failure,
};

pub async fn run(config: &Config, command: KeyCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        KeyCommand::List => {
            let all = administer(config, Administer::KeyList).await?;
            if as_json {
                return print_json(&all);
            }
            let rows: Vec<Vec<String>> = all.as_array().into_iter().flatten().map(row).collect();
            out(&table(&["ID", "STATE", "DATA KEYS"], &rows))
        }
        KeyCommand::Rotate => {
            let made = administer(config, Administer::KeyRotate).await?;
            if as_json {
                return print_json(&made);
            }
            out(&format!(
                "The master key {} is active; {} data keys are wrapped by it now.\n\
                 The old key is still there for backups from before. Save the key file before you rely on the new one.\n",
                made["id"].as_str().unwrap_or_default(),
                made["rewrapped"]
            ))
        }
        KeyCommand::Retire { id } => {
            let gone = administer(config, Administer::KeyRetire { id }).await?;
            if as_json {
                return print_json(&gone);
            }
            out(&format!("The master key {id} is gone. Backups from before the rotation can no longer be read.\n"))
        }
    }
}

fn row(key: &Value) -> Vec<String> {
    let state = if key["active"] == true { "active" } else { "for old data" };
    vec![key["id"].as_str().unwrap_or_default().to_owned(), state.to_owned(), key["data_keys"].to_string()]
}
