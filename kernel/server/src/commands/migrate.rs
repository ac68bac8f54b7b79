//! `plinth migrate`: brings the database to this version.

use plinth_core::World;
use plinth_store::Store;
use serde_json::json;

use super::{out, print_json};
use crate::{config::Config, data, failure::Failure, wiring};

pub async fn run(config: &Config, status: bool, as_json: bool) -> Result<(), Failure> {
    let store = wiring::store(config);
    data::prepare(&config.server.data)?;
    let state = if status {
        Store::migration_state(&store).await.map_err(wiring::open_failed)?
    } else {
        // SQLite is migrated by one process at a time; PostgreSQL sees to that itself.
        let _lock = wiring::sqlite_path(&store).map(|_| data::lock(&config.server.data)).transpose()?;
        let before = Store::migration_state(&store).await.map_err(wiring::open_failed)?;
        Store::migrate(&store, &World::system()).await.map_err(wiring::open_failed)?;
        before
    };
    if as_json {
        let key = if status { "pending" } else { "newly_applied" };
        return print_json(&json!({ "applied": state.applied, key: state.pending }));
    }
    let list = |names: &[String]| names.iter().map(|name| format!("  {name}\n")).collect::<String>();
    match (status, state.pending.is_empty()) {
        (_, true) => out("The database is at this version.\n"),
        (true, false) => out(&format!("Pending, run plinth migrate:\n{}", list(&state.pending))),
        (false, false) => out(&format!("Applied:\n{}", list(&state.pending))),
    }
}
