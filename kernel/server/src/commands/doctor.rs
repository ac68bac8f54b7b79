//! `plinth doctor`: looks at everything an installation stands on and says what to do about what is wrong.

use std::{net::TcpListener, os::unix::fs::MetadataExt, path::Path};

use plinth_core::{Cause, World};
use plinth_store::{Store, StoreConfig};
use serde::Serialize;
use serde_json::json;

use super::{out, print_json};
use crate::{
    config::{Config, ConfigError, Loaded},
    data,
    failure::Failure,
    wiring,
};

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// Less than this is too little for a database that grows.
const LITTLE_SPACE: u64 = 1 << 30;

pub async fn run(loaded: Result<Loaded, ConfigError>, as_json: bool) -> Result<(), Failure> {
    let checks = match &loaded {
        Ok(loaded) => {
            let detail = match loaded.warnings.len() {
                0 => "valid".to_owned(),
                _ => loaded.warnings.join("; "),
            };
            let state = if loaded.warnings.is_empty() { State::Ok } else { State::Warning };
            let mut checks = vec![Check { name: "configuration", state, detail }];
            checks.extend(look(&loaded.config).await);
            checks
        }
        Err(error) => vec![Check { name: "configuration", state: State::Failed, detail: error.to_string() }],
    };
    let healthy = checks.iter().all(|check| check.state != State::Failed);
    if as_json {
        print_json(&json!({ "healthy": healthy, "checks": checks }))?;
    } else {
        for check in &checks {
            let mark = match check.state {
                State::Ok => "ok     ",
                State::Warning => "warning",
                State::Failed => "FAILED ",
            };
            out(&format!("{mark}  {:<14} {}\n", check.name, check.detail))?;
        }
    }
    if healthy { Ok(()) } else { Err(Failure::Unhealthy) }
}

async fn look(config: &Config) -> Vec<Check> {
    let store = wiring::store(config);
    let mut checks = vec![folder(&config.server.data), disk(&config.server.data), address(config)];
    checks.extend(database(config, &store).await);
    checks
}

fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, state: State::Ok, detail: detail.into() }
}

fn failed(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, state: State::Failed, detail: detail.into() }
}

fn folder(path: &Path) -> Check {
    if let Err(error) = data::prepare(path) {
        return failed("data folder", error.to_string());
    }
    match tempfile::NamedTempFile::new_in(path) {
        Err(error) => failed("data folder", format!("{} cannot be written: {error}", path.display())),
        Ok(_) => match std::fs::metadata(path) {
            Ok(metadata) if metadata.mode() & 0o077 != 0 => Check {
                name: "data folder",
                state: State::Warning,
                detail: format!("{} can be read by other users; run chmod 700 on it", path.display()),
            },
            _ => ok("data folder", path.display().to_string()),
        },
    }
}

fn disk(path: &Path) -> Check {
    match fs4::available_space(path) {
        Ok(free) if free < LITTLE_SPACE => failed(
            "disk",
            format!("only {} MiB are free; the kernel stops taking changes when the disk is full", free >> 20),
        ),
        Ok(free) => ok("disk", format!("{} GiB free", free >> 30)),
        Err(error) => failed("disk", format!("its free space cannot be told: {error}")),
    }
}

fn address(config: &Config) -> Check {
    let listen = config.server.listen;
    if std::os::unix::net::UnixStream::connect(data::control_socket(&config.server.data)).is_ok() {
        return ok("address", format!("a kernel runs on this data folder ({listen})"));
    }
    match TcpListener::bind(listen) {
        Ok(_) => ok("address", format!("{listen} is free")),
        Err(error) => {
            failed("address", format!("{listen} cannot be used: {error}; stop what uses it, or set server.listen"))
        }
    }
}

async fn database(config: &Config, store: &StoreConfig) -> Vec<Check> {
    let pending = match Store::migration_state(store).await {
        Err(error) => {
            return vec![failed("database", wiring::open_failed(error).to_string())];
        }
        Ok(state) => state.pending,
    };
    let kind = if config.store.is_postgres() { "PostgreSQL" } else { "SQLite" };
    let mut checks = vec![ok("database", format!("{kind} answers"))];
    if !pending.is_empty() {
        checks.push(failed("migrations", format!("pending: {}; run plinth migrate", pending.join(", "))));
        return checks;
    }
    checks.push(ok("migrations", "current"));
    checks.extend(inside(config).await);
    checks
}

/// What can be told only with the keys at hand.
async fn inside(config: &Config) -> Vec<Check> {
    let (store, _) = match wiring::open_store(config, World::system()).await {
        Ok(opened) => opened,
        Err(error) => return vec![failed("keys", error.to_string())],
    };
    let mut checks = Vec::new();
    match store.read_system(Cause::system("doctor")).await {
        Err(error) => checks.push(failed("database", error.to_string())),
        Ok(tx) => {
            checks.push(match store.vault().unreadable(&tx).await {
                Ok(none) if none.is_empty() => ok("keys", "every data key can be opened"),
                Ok(some) => failed(
                    "keys",
                    format!(
                        "{} data keys cannot be opened with the master keys at hand; put back the key that is missing",
                        some.len()
                    ),
                ),
                Err(error) => failed("keys", error.to_string()),
            });
            checks.push(match store.clock_difference(&tx).await {
                Ok(ms) if ms.abs() > 30_000 => {
                    failed("clock", format!("{} s apart from the database's; tokens expire too early or too late: set up time synchronisation", ms / 1000))
                }
                Ok(ms) => ok("clock", format!("{ms} ms apart from what the database knows")),
                Err(error) => failed("clock", error.to_string()),
            });
        }
    }
    store.close().await;
    checks
}
