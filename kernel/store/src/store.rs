//! The handle: opens the database, begins transactions, appends to the log, tells who listens what has changed.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use plinth_core::{Cause, NewEvent, TenantId, World};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqlxPostgresConnector, SqlxSqliteConnector,
    Statement, TransactionTrait,
};
use sqlx::{PgPool, SqlitePool};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Error, Invalidation, MigrationError, MigrationState, PostgresError, Vault,
    config::{Database, SqliteConfig, StoreConfig},
    keyring::MasterKeys,
    listeners::Listeners,
    log::{Appended, Job, Row},
    migrate::{self, Roles},
    postgres,
    sqlite::{self, Writer},
    tx::{Connection, SystemTx, TenantTx, Tx},
};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database {0} cannot be opened; see that its folder can be written to and the file is whole, or restore a backup"
    )]
    Sqlite(PathBuf, #[source] Error),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("the database needs {} migration(s): {}; run plinth migrate", .0.len(), .0.join(", "))]
    Pending(Vec<String>),
}

#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    world: World,
    vault: Vault,
    listeners: Listeners,
    commits: Arc<AtomicU64>,
    stop: CancellationToken,
    /// Whatever works in the background ends with the last handle.
    _stop: DropGuard,
    config: StoreConfig,
}

enum Backend {
    Sqlite { path: PathBuf, readers: DatabaseConnection, reader_pool: SqlitePool, writer: Writer },
    Postgres { pool: PgPool, connection: DatabaseConnection, appender: postgres::Appender },
}

impl Store {
    /// Opens the database. SQLite is created and migrated; PostgreSQL must have been migrated.
    pub async fn open(config: StoreConfig, world: World, master_keys: MasterKeys) -> Result<Self, OpenError> {
        let commits = Arc::new(AtomicU64::new(0));
        let backend = match &config.database {
            Database::Sqlite(path) => open_sqlite(path.clone(), &config, &world, commits.clone()).await?,
            Database::Postgres { url, .. } => open_postgres(url, &config, commits.clone()).await?,
        };
        let stop = CancellationToken::new();
        let inner = Inner {
            backend,
            world,
            vault: Vault::new(master_keys),
            listeners: Listeners::default(),
            commits,
            _stop: stop.clone().drop_guard(),
            stop: stop.clone(),
            config,
        };
        let store = Self { inner: Arc::new(inner) };
        if let Database::Postgres { url, .. } = &store.inner.config.database {
            let inner = Arc::downgrade(&store.inner);
            let tell = move |invalidation| inner.upgrade().map(|inner| Self { inner }.tell(invalidation)).is_some();
            postgres::listen(url.clone(), &store.inner.config, stop, tell).await?;
        }
        Ok(store)
    }

    /// Brings the database to this version; says what was applied.
    pub async fn migrate(config: &StoreConfig, world: &World) -> Result<MigrationState, OpenError> {
        match &config.database {
            Database::Sqlite(path) => {
                let fail = |error: Error| OpenError::Sqlite(path.clone(), error);
                let pools = sqlite::open(path, config).await.map_err(fail)?;
                let mut connection = pools.writer.acquire().await.map_err(|error| fail(error.into()))?;
                let state = migrate::migrate_sqlite(&mut connection, world).await;
                drop(connection);
                pools.readers.close().await;
                pools.writer.close().await;
                Ok(state?)
            }
            Database::Postgres { url, migration_url } => {
                let login = postgres::login_of(url)?;
                let mut connection = postgres::connect(migration_url, config.acquire_timeout).await?;
                Ok(migrate::migrate_postgres(&mut connection, &roles(config), &login, world.now()).await?)
            }
        }
    }

    /// What is applied and what is pending, without changing anything.
    pub async fn migration_state(config: &StoreConfig) -> Result<MigrationState, OpenError> {
        match &config.database {
            Database::Sqlite(path) => {
                let found = sqlite::look(path, config).await.map_err(|error| OpenError::Sqlite(path.clone(), error))?;
                match found {
                    Some(mut connection) => Ok(migrate::sqlite_state(&mut connection).await?),
                    None => Ok(migrate::nothing_applied()),
                }
            }
            Database::Postgres { migration_url, .. } => {
                let mut connection = postgres::connect(migration_url, config.acquire_timeout).await?;
                Ok(migrate::postgres_state(&mut connection).await?)
            }
        }
    }

    pub fn world(&self) -> &World {
        &self.inner.world
    }

    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub fn config(&self) -> &StoreConfig {
        &self.inner.config
    }

    /// The file, when it is SQLite.
    pub fn sqlite_path(&self) -> Option<&std::path::Path> {
        if let Backend::Sqlite { path, .. } = &self.inner.backend { Some(path) } else { None }
    }

    /// Reads of one tenant, from one consistent moment.
    pub async fn read(&self, tenant: TenantId, cause: Cause) -> Result<TenantTx, Error> {
        Ok(TenantTx::new(self.begin(Some(tenant), false, cause).await?, tenant))
    }

    /// Changes of one tenant.
    pub async fn change(&self, tenant: TenantId, cause: Cause) -> Result<TenantTx, Error> {
        Ok(TenantTx::new(self.begin(Some(tenant), true, cause).await?, tenant))
    }

    /// Reads that belong to no tenant: sign-in, look-ups by token, operators' lists.
    pub async fn read_system(&self, cause: Cause) -> Result<SystemTx, Error> {
        Ok(SystemTx::new(self.begin(None, false, cause).await?))
    }

    /// Changes that belong to no tenant, or to several.
    pub async fn change_system(&self, cause: Cause) -> Result<SystemTx, Error> {
        Ok(SystemTx::new(self.begin(None, true, cause).await?))
    }

    async fn begin(&self, tenant: Option<TenantId>, write: bool, cause: Cause) -> Result<Tx, Error> {
        let connection = match &self.inner.backend {
            Backend::Sqlite { writer, .. } if write => Connection::Lease(writer.turn().await?),
            Backend::Sqlite { readers, .. } => Connection::Own(readers.begin().await?),
            Backend::Postgres { connection, .. } => {
                let transaction = connection.begin().await?;
                self.enter(&transaction, tenant, write).await?;
                Connection::Own(transaction)
            }
        };
        Ok(Tx::new(self.clone(), connection, write, cause))
    }

    /// Makes a transaction of PostgreSQL one of the tenant, or of the platform. Reads see one moment, as on SQLite.
    async fn enter(
        &self,
        transaction: &DatabaseTransaction,
        tenant: Option<TenantId>,
        write: bool,
    ) -> Result<(), Error> {
        let mode = if write { "" } else { "set transaction isolation level repeatable read, read only; " };
        // One round trip without a plan; an identifier and a quoted name cannot carry anything else.
        let text = match tenant {
            Some(tenant) => format!("{mode}set local plinth.tenant = '{}'", tenant.uuid()),
            None => format!("{mode}set local role {}", postgres::quoted(&self.inner.config.system_role)),
        };
        transaction.execute_unprepared(&text).await?;
        Ok(())
    }

    /// Appends events that tell of no other change. Concurrent callers share statements and commits.
    pub async fn append(&self, tenant: TenantId, cause: &Cause, events: Vec<NewEvent>) -> Result<Vec<Appended>, Error> {
        let rows = events.into_iter().map(|event| Row::new(self.world(), tenant, cause, event)).collect();
        let (answer, appended) = oneshot::channel();
        let job = Job { rows, answer };
        match &self.inner.backend {
            Backend::Sqlite { writer, .. } => writer.append(job).await?,
            Backend::Postgres { appender, .. } => appender.append(job).await?,
        }
        appended.await.map_err(|_| Error::Unavailable("the log takes no more events: the kernel is stopping".into()))?
    }

    /// How many commits were made since the start. Changes and appends that come at the same moment share one.
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Relaxed)
    }

    /// A commit of a transaction that shares it with no other.
    pub(crate) fn count_commit(&self) {
        self.inner.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Hears of every committed change that makes memories old, before the answer to that change goes out.
    pub fn on_invalidation(&self, listener: impl Fn(Invalidation) + Send + Sync + 'static) {
        self.inner.listeners.add(Box::new(listener));
    }

    pub(crate) fn tell(&self, invalidation: Invalidation) {
        self.inner.vault.forget(invalidation);
        self.inner.listeners.tell(invalidation);
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.inner.backend, Backend::Postgres { .. })
    }

    /// What the database is, for people.
    pub fn kind(&self) -> &'static str {
        if self.is_postgres() { "PostgreSQL" } else { "SQLite" }
    }

    /// How many milliseconds the host's clock is ahead of what the database knows: its own clock, or the last thing
    /// that was written to a file.
    pub async fn clock_difference(&self, tx: &SystemTx) -> Result<i64, Error> {
        let now = self.world().now().millis();
        let (query, backend) = if self.is_postgres() {
            ("select (extract(epoch from clock_timestamp()) * 1000)::bigint", DbBackend::Postgres)
        } else {
            ("select time from events order by position desc limit 1", DbBackend::Sqlite)
        };
        let row = tx.query_one_raw(Statement::from_string(backend, query)).await?;
        let known: Option<i64> = row.map(|row| row.try_get_by(0)).transpose()?.flatten();
        // The past is no reason to worry for a file; an event from the future is.
        Ok(known.map_or(0, |known| if self.is_postgres() { now - known } else { (now - known).min(0) }))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.inner.backend {
            Backend::Sqlite { reader_pool, .. } => {
                sqlx::query("select 1 from facts limit 1").execute(reader_pool).await.map(drop)
            }
            Backend::Postgres { pool, .. } => sqlx::query("select 1").execute(pool).await.map(drop),
        }
        .map_err(Error::from)
    }

    /// Finishes what is under way and lets go of the files.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        match &self.inner.backend {
            Backend::Sqlite { reader_pool, writer, .. } => {
                writer.stop().await;
                reader_pool.close().await;
            }
            Backend::Postgres { pool, .. } => pool.close().await,
        }
    }
}

fn roles(config: &StoreConfig) -> Roles<'_> {
    Roles { app: &config.app_role, system: &config.system_role }
}

async fn open_sqlite(
    path: PathBuf,
    config: &StoreConfig,
    world: &World,
    commits: Arc<AtomicU64>,
) -> Result<Backend, OpenError> {
    let fail = |error: Error| OpenError::Sqlite(path.clone(), error);
    let pools = sqlite::open(&path, config).await.map_err(fail)?;
    {
        let mut connection = pools.writer.acquire().await.map_err(|error| fail(error.into()))?;
        migrate::migrate_sqlite(&mut connection, world).await?;
    }
    let SqliteConfig { checkpoint_pages, busy_timeout, group_commit_max, .. } = config.sqlite;
    let appender = sqlite::Appender::start(&path, checkpoint_pages, busy_timeout, group_commit_max, commits.clone())
        .map_err(fail)?;
    Ok(Backend::Sqlite {
        readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(pools.readers.clone()),
        reader_pool: pools.readers,
        writer: Writer::start(pools.writer, pools.options, appender, group_commit_max, commits),
        path,
    })
}

async fn open_postgres(url: &str, config: &StoreConfig, commits: Arc<AtomicU64>) -> Result<Backend, OpenError> {
    let mut login = postgres::connect(url, config.acquire_timeout).await?;
    let state = migrate::postgres_state(&mut login).await?;
    if !state.pending.is_empty() {
        return Err(OpenError::Pending(state.pending));
    }
    let pool = postgres::open(url, config).await?;
    Ok(Backend::Postgres {
        connection: SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()),
        appender: postgres::Appender::start(pool.clone(), &config.system_role, commits),
        pool,
    })
}
