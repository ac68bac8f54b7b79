//! SQLite: one writer whose commits are shared, readers beside it, WAL with every commit on disk before it is visible.

mod appender;
mod backup;
mod writer;

use std::{path::Path, str::FromStr};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use backup::{BackupError, backup_sqlite, verify_sqlite};
pub(crate) use appender::{Appender, Job};
pub(crate) use writer::{Lease, Writer};

use crate::{Error, config::SqliteConfig};

pub(crate) struct SqlitePools {
    pub readers: SqlitePool,
    pub writer: SqlitePool,
}

fn options(path: &Path, config: &SqliteConfig) -> Result<SqliteConnectOptions, Error> {
    Ok(SqliteConnectOptions::from_str("sqlite:")?
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // Full, so that what a reader sees is on disk: nothing can leave the process ahead of durability.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.busy_timeout)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .pragma("wal_autocheckpoint", config.checkpoint_pages.to_string())
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

/// Opens the file, creating it when it is missing.
pub(crate) async fn open(path: &Path, config: &SqliteConfig) -> Result<SqlitePools, Error> {
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options(path, config)?.create_if_missing(true))
        .await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(config.readers.max(1))
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options(path, config)?.pragma("query_only", "on"))
        .await?;
    Ok(SqlitePools { readers, writer })
}
