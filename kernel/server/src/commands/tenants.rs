//! `plinth tenant`: customers of the platform.

use serde_json::Value;

use super::{out, password, print_json, table};
use crate::{
    cli::TenantCommand,
    config::Config,
    control::{Administer, administer},
    failure::Failure,
};

pub async fn run(config: &Config, command: TenantCommand, as_json: bool) -> Result<(), Failure> {
    let request = match command {
        TenantCommand::List => return list(config, as_json).await,
        TenantCommand::Create { slug, name, email, password_stdin } => {
            let password = password::read(password_stdin)?;
            let made = administer(config, Administer::TenantCreate { slug, name, email, password }).await?;
            if as_json {
                return print_json(&made);
            }
            return out(&format!("{} ({}) is there.\n", text(&made["tenant"], "slug"), text(&made["tenant"], "id")));
        }
        TenantCommand::Suspend { tenant, reason } => Administer::TenantSuspend { tenant, reason },
        TenantCommand::Resume { tenant } => Administer::TenantResume { tenant },
    };
    let changed = administer(config, request).await?;
    if as_json {
        return print_json(&changed);
    }
    out(&format!("{} is {}.\n", text(&changed, "slug"), text(&changed, "state")))
}

async fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let all = administer(config, Administer::TenantList).await?;
    if as_json {
        return print_json(&all);
    }
    let rows: Vec<Vec<String>> = all
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let mut cells =
                ["slug", "name", "state", "id", "created_at"].map(|field| text(row, field).to_owned()).to_vec();
            cells.insert(3, row["members"].to_string());
            cells
        })
        .collect();
    out(&table(&["SLUG", "NAME", "STATE", "MEMBERS", "ID", "SINCE"], &rows))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
