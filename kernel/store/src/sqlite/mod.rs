//! SQLite: one writer whose commits are shared, readers beside it, WAL with every commit on disk before it is visible.

mod appender;
mod backup;
mod turn;
mod writer;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use appender::Appender;
use tokio::time::Instant;

pub use backup::{BackupError, backup_sqlite, verify_sqlite};
pub(crate) use turn::Lease;
pub(crate) use writer::Writer;

use crate::{Error, config::StoreConfig};

pub(crate) struct SqlitePools {
    pub readers: SqlitePool,
    pub writer: SqlitePool,
    /// How the writer is connected to, to make it anew.
    pub options: SqliteConnectOptions,
}

fn options(path: &Path, config: &StoreConfig) -> SqliteConnectOptions {
    let sqlite = &config.sqlite;
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // Full, so that what a reader sees is on disk: nothing can leave the process ahead of durability.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(sqlite.busy_timeout)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .pragma("wal_autocheckpoint", sqlite.checkpoint_pages.to_string())
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// A reader sets nothing that is kept in the file: that would have to wait for a writer that is at work.
fn reading(path: &Path, config: &StoreConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(config.sqlite.busy_timeout)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        .pragma("query_only", "on")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// A connection is a thread of this process: it does not go away while it idles, and needs no test before it is used.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false)
}

fn writer_pool() -> SqlitePoolOptions {
    pool().max_connections(1)
}

fn lazy_writer_pool(options: SqliteConnectOptions) -> SqlitePool {
    writer_pool().connect_lazy_with(options)
}

/// Opens the file, creating it when it is missing.
pub(crate) async fn open(path: &Path, config: &StoreConfig) -> Result<SqlitePools, Error> {
    let options = options(path, config);
    let limit = config.sqlite.busy_timeout;
    let writer = patiently(limit, || writer_pool().connect_with(options.clone().create_if_missing(true))).await?;
    let readers = || {
        pool()
            .max_connections(config.sqlite.readers.max(1))
            .min_connections(config.sqlite.readers.max(1))
            .acquire_timeout(config.acquire_timeout)
            .connect_with(reading(path, config))
    };
    let readers = patiently(limit, readers).await?;
    Ok(SqlitePools { readers, writer, options })
}

/// Between two attempts to open a file that others are opening or closing.
const PAUSE: Duration = Duration::from_millis(20);

/// SQLite does not wait for others when it makes a write-ahead log or lets go of one, so the waiting is done here.
async fn patiently<F>(limit: Duration, connect: impl Fn() -> F) -> Result<SqlitePool, Error>
where
    F: Future<Output = Result<SqlitePool, sqlx::Error>>,
{
    let began = Instant::now();
    loop {
        match connect().await {
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == "5") && began.elapsed() < limit =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(result?),
        }
    }
}

/// One connection that changes nothing; none where there is no file yet.
pub(crate) async fn look(path: &Path, config: &StoreConfig) -> Result<Option<SqliteConnection>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(config.sqlite.busy_timeout);
    Ok(Some(SqliteConnection::connect_with(&options).await?))
}
