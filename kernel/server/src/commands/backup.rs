//! `plinth backup` and `plinth restore`. SQLite is copied while the kernel writes; for PostgreSQL the tools that come with
//! it do the work.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use plinth_core::World;
use plinth_store::{Database, backup_sqlite, verify_sqlite};
use serde_json::json;

use super::{out, print_json};
use crate::{
    config::{Config, SecretSource},
    data,
    failure::Failure,
    wiring,
};

pub async fn backup(config: &Config, file: &Path, as_json: bool) -> Result<(), Failure> {
    let store = wiring::store(config);
    let bytes = match store.database {
        Database::Sqlite(path) => {
            if !path.exists() {
                return Err(Failure::Failed(anyhow!("there is no database at {}; is --data right?", path.display())));
            }
            let to = file.to_owned();
            let show = std::io::stderr().is_terminal();
            let copied =
                tokio::task::spawn_blocking(move || backup_sqlite(&path, &to, |done, all| tell(show, done, all)));
            copied.await.context("the copy was interrupted")?.context("the backup failed; nothing was kept of it")?
        }
        Database::Postgres { url, .. } => {
            if file.exists() {
                return Err(Failure::Failed(anyhow!("{} exists already; choose another name", file.display())));
            }
            let to = file.display().to_string();
            tool("pg_dump", &["--format=custom", "--no-owner", "--file", &to, "--dbname", &url]).await?;
            std::fs::metadata(file).context("pg_dump wrote no file")?.len()
        }
    };
    let keys = keys_reminder(config);
    if as_json {
        return print_json(&json!({ "file": file, "bytes": bytes, "keys": keys }));
    }
    out(&format!("Wrote {} ({bytes} bytes), and read it back.\n{keys}\n", file.display()))
}

fn tell(show: bool, done: i32, all: i32) {
    if show && all > 0 {
        eprint!("\r{:3} %", i64::from(done) * 100 / i64::from(all));
        if done >= all {
            eprintln!();
        }
    }
}

/// Secrets in a backup are sealed: without the master keys they stay so.
fn keys_reminder(config: &Config) -> String {
    match config.secrets.source {
        SecretSource::File => format!(
            "Secrets in it are sealed: keep {} with it, and apart from it.",
            config.secrets.key_file(&config.server.data).display()
        ),
        SecretSource::Env | SecretSource::Command => {
            "Secrets in it are sealed: keep the master keys that this kernel is given.".to_owned()
        }
    }
}

pub async fn restore(config: &Config, file: &Path, replace: bool, as_json: bool) -> Result<(), Failure> {
    if !file.exists() {
        return Err(Failure::Failed(anyhow!("there is no file {}", file.display())));
    }
    let _lock = data::lock(&config.server.data)?;
    let store = wiring::store(config);
    let kept = match &store.database {
        Database::Sqlite(path) => restore_sqlite(file, path, replace)?,
        Database::Postgres { migration_url, .. } => {
            if !replace {
                return Err(Failure::Failed(anyhow!(
                    "a restore replaces what is in the PostgreSQL database; add --replace when that is meant"
                )));
            }
            let from = file.display().to_string();
            let arguments =
                ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--dbname", migration_url, &from];
            tool("pg_restore", &arguments).await?;
            None
        }
    };
    // A backup of an older version is brought to this one, and its keys must open what it holds.
    plinth_store::Store::migrate(&store, &World::system()).await.map_err(wiring::open_failed)?;
    let unreadable = unreadable_keys(config).await?;
    if as_json {
        print_json(&json!({ "restored": file, "kept": kept, "unreadable_data_keys": unreadable }))?;
    } else {
        out(&format!("Restored {}.\n", file.display()))?;
        if let Some(kept) = &kept {
            out(&format!("What was there before is at {}.\n", kept.display()))?;
        }
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(anyhow!(
        "{} data keys of the backup cannot be opened with the master keys at hand; put back the keys that belong to it",
        unreadable.len()
    )))
}

fn restore_sqlite(file: &Path, path: &Path, replace: bool) -> Result<Option<PathBuf>, Failure> {
    verify_sqlite(file).context("the backup is not sound; nothing was changed")?;
    let there = path.exists();
    if there && !replace {
        return Err(Failure::Failed(anyhow!(
            "there is a database at {}; add --replace to put the backup in its place (the old one is kept beside it)",
            path.display()
        )));
    }
    let incoming = path.with_extension("restoring");
    std::fs::copy(file, &incoming).context("the backup cannot be copied")?;
    std::fs::File::open(&incoming).and_then(|copy| copy.sync_all()).context("the copy cannot be written to disk")?;
    let kept = there.then(|| path.with_extension(format!("before-restore-{}", World::system().now().seconds())));
    if let Some(kept) = &kept {
        // The log beside the old file is part of it.
        for suffix in ["", "-wal", "-shm"] {
            let from = with_suffix(path, suffix);
            if from.exists() {
                std::fs::rename(&from, with_suffix(kept, suffix)).context("the old database cannot be moved aside")?;
            }
        }
    }
    std::fs::rename(&incoming, path).context("the restored database cannot be put in place")?;
    Ok(kept)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn unreadable_keys(config: &Config) -> Result<Vec<uuid::Uuid>, Failure> {
    let (store, _) = wiring::open_store(config, World::system()).await?;
    let tx = store
        .read_system(plinth_core::Cause::system("restore"))
        .await
        .context("the restored database cannot be read")?;
    let unreadable = store.vault().unreadable(&tx).await.context("the keys of the restored database cannot be read")?;
    drop(tx);
    store.close().await;
    Ok(unreadable)
}

/// Runs a tool of PostgreSQL. Its address goes through the environment's argument list only, never into a message.
async fn tool(name: &str, arguments: &[&str]) -> Result<(), Failure> {
    let output = tokio::process::Command::new(name).args(arguments).output().await.with_context(|| {
        format!("{name} cannot be run; install the client tools of PostgreSQL (on Debian: apt-get install postgresql-client)")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Failed(anyhow!("{name} failed: {}", told.trim())))
}
