//! What the store needs to be told.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct StoreConfig {
    pub database: Database,
    pub max_connections: u32,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    pub sqlite: SqliteConfig,
    /// The PostgreSQL role that requests run as; row-level security binds it.
    pub app_role: String,
    /// The PostgreSQL role for work that belongs to no tenant: sign-in, look-ups by token, clean-up.
    pub system_role: String,
}

#[derive(Debug, Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres {
        url: String,
        /// The owner of the tables, for migrations.
        migration_url: String,
    },
}

#[derive(Debug, Clone)]
pub struct SqliteConfig {
    pub readers: u32,
    /// How many transactions and appends share one commit at most.
    pub group_commit_max: usize,
    pub checkpoint_pages: u32,
    pub busy_timeout: Duration,
}

impl StoreConfig {
    /// The defaults around a database.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            sqlite: SqliteConfig {
                readers: 4,
                group_commit_max: 1024,
                checkpoint_pages: 4000,
                busy_timeout: Duration::from_secs(5),
            },
            app_role: "plinth_app".into(),
            system_role: "plinth_system".into(),
        }
    }
}
