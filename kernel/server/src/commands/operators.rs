//! `plinth operator`: people who run the platform.

use serde_json::Value;

use super::{out, password, print_json, table};
use crate::{
    cli::OperatorCommand,
    config::Config,
    control::{Administer, administer},
    failure::Failure,
};

pub async fn run(config: &Config, command: OperatorCommand, as_json: bool) -> Result<(), Failure> {
    let (request, done) = match command {
        OperatorCommand::Create { email, name, password_stdin } => {
            let password = password::read(password_stdin)?;
            let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or(&email).to_owned());
            (Administer::OperatorCreate { email, name, password }, "is now an operator")
        }
        OperatorCommand::Grant { email } => (Administer::OperatorGrant { email }, "is now an operator"),
        OperatorCommand::Revoke { email } => (Administer::OperatorRevoke { email }, "is no operator any more"),
        OperatorCommand::List => return list(config, as_json).await,
    };
    let operator = administer(config, request).await?;
    if as_json {
        return print_json(&operator);
    }
    out(&format!("{} ({}) {done}.\n", text(&operator, "email"), text(&operator, "id")))
}

async fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let all = administer(config, Administer::OperatorList).await?;
    if as_json {
        return print_json(&all);
    }
    let rows: Vec<Vec<String>> = all
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| ["email", "name", "id", "created_at"].map(|field| text(row, field).to_owned()).to_vec())
        .collect();
    if rows.is_empty() {
        return out("There is no operator yet. Make one: plinth operator create --email you@example.com\n");
    }
    out(&table(&["ADDRESS", "NAME", "ID", "SINCE"], &rows))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
