//! The handle: opens the database, begins transactions, appends to the log, tells who listens what has changed.

use std::{path::PathBuf, sync::Arc};

use parking::Listeners;
use plinth_core::{Cause, NewEvent, TenantId, World};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, SqlxPostgresConnector, SqlxSqliteConnector, Statement, TransactionTrait,
};
use sqlx::{PgPool, SqlitePool, postgres::PgListener};
use tokio::sync::oneshot;

use crate::{
    Error, Invalidation, MigrationError, MigrationState, PostgresError, Vault,
    config::{Database, StoreConfig},
    keyring::MasterKeys,
    log::{Appended, Row},
    migrate::{self, Roles},
    postgres,
    sqlite::{self, Writer},
    tx::{Connection, SystemTx, TenantTx, Tx},
};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database {0} cannot be opened")]
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
    config: StoreConfig,
}

enum Backend {
    Sqlite { path: PathBuf, readers: DatabaseConnection, reader_pool: SqlitePool, writer: Writer, writer_pool: SqlitePool },
    Postgres { pool: PgPool, connection: DatabaseConnection },
}

/// The channel on which nodes tell each other what to forget.
const CHANNEL: &str = "plinth_invalidation";

impl Store {
    /// Opens the database. SQLite is created and migrated; PostgreSQL must have been migrated.
    pub async fn open(config: StoreConfig, world: World, master_keys: MasterKeys) -> Result<Self, OpenError> {
        let backend = match &config.database {
            Database::Sqlite(path) => open_sqlite(path.clone(), &config, &world).await?,
            Database::Postgres { url, .. } => open_postgres(url, &config).await?,
        };
        let vault = Vault::new(master_keys);
        let store = Self { inner: Arc::new(Inner { backend, world, vault, listeners: Listeners::default(), config }) };
        if let Backend::Postgres { pool, .. } = &store.inner.backend {
            let listener = PgListener::connect_with(pool).await.map_err(|error| PostgresError::Store(error.into()))?;
            tokio::spawn(hear(listener, Arc::downgrade(&store.inner)));
        }
        Ok(store)
    }

    /// Brings the database to this version; says what was applied.
    pub async fn migrate(config: &StoreConfig, world: &World) -> Result<MigrationState, OpenError> {
        match &config.database {
            Database::Sqlite(path) => {
                let fail = |error: Error| OpenError::Sqlite(path.clone(), error);
                let pools = sqlite::open(path, &config.sqlite).await.map_err(fail)?;
                let mut connection = pools.writer.acquire().await.map_err(|error| fail(error.into()))?;
                Ok(migrate::migrate_sqlite(&mut connection, world).await?)
            }
            Database::Postgres { url, migration_url } => {
                let login = postgres::login_of(url)?;
                let mut connection = postgres::connect(migration_url).await?;
                Ok(migrate::migrate_postgres(&mut connection, &roles(config), &login, world.now()).await?)
            }
        }
    }

    /// What is applied and what is pending, without changing anything.
    pub async fn migration_state(config: &StoreConfig) -> Result<MigrationState, OpenError> {
        match &config.database {
            Database::Sqlite(path) => {
                let fail = |error: Error| OpenError::Sqlite(path.clone(), error);
                let pools = sqlite::open(path, &config.sqlite).await.map_err(fail)?;
                let mut connection = pools.writer.acquire().await.map_err(|error| fail(error.into()))?;
                Ok(migrate::sqlite_state(&mut connection).await?)
            }
            Database::Postgres { migration_url, .. } => {
                let mut connection = postgres::connect(migration_url).await?;
                Ok(migrate::postgres_state(&mut connection, &roles(config)).await?)
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
                let scope = match tenant {
                    Some(tenant) => Statement::from_sql_and_values(
                        DbBackend::Postgres,
                        "select set_config('plinth.tenant', $1, true)",
                        [tenant.uuid().to_string().into()],
                    ),
                    None => Statement::from_sql_and_values(
                        DbBackend::Postgres,
                        "select set_config('role', $1, true)",
                        [self.inner.config.system_role.clone().into()],
                    ),
                };
                transaction.query_one_raw(scope).await?;
                Connection::Own(transaction)
            }
        };
        Ok(Tx::new(self.clone(), connection, write, cause))
    }

    /// Appends events that tell of no other change. Concurrent callers share statements and commits.
    pub async fn append(&self, tenant: TenantId, cause: &Cause, events: Vec<NewEvent>) -> Result<Vec<Appended>, Error> {
        match &self.inner.backend {
            Backend::Sqlite { writer, .. } => {
                let rows = events.into_iter().map(|event| Row::new(self.world(), tenant, cause, event)).collect();
                let (answer, appended) = oneshot::channel();
                writer.append(sqlite::Job { rows, answer }).await?;
                appended.await.map_err(|_| Error::Unavailable("the writer has stopped".into()))?
            }
            Backend::Postgres { .. } => {
                let tx = self.change(tenant, cause.clone()).await?;
                for event in events {
                    tx.scope().emit(event);
                }
                tx.commit().await
            }
        }
    }

    /// Hears of every committed change that makes memories old, before the answer to that change goes out.
    pub fn on_invalidation(&self, listener: impl Fn(Invalidation) + Send + Sync + 'static) {
        self.inner.listeners.add(Box::new(listener));
    }

    pub(crate) fn tell(&self, invalidation: Invalidation) {
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
            ("select max(time) from events", DbBackend::Sqlite)
        };
        let row = tx.query_one_raw(Statement::from_string(backend, query)).await?;
        let known: Option<i64> = row.map(|row| row.try_get_by(0)).transpose()?.flatten();
        // The past is no reason to worry for a file; an event from the future is.
        Ok(known.map_or(0, |known| if self.is_postgres() { now - known } else { (now - known).min(0) }))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.inner.backend {
            Backend::Sqlite { reader_pool, .. } => sqlx::query("select 1 from facts limit 1").execute(reader_pool).await.map(drop),
            Backend::Postgres { pool, .. } => sqlx::query("select 1").execute(pool).await.map(drop),
        }
        .map_err(Error::from)
    }

    /// Finishes what is under way and lets go of the files.
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Sqlite { reader_pool, writer_pool, .. } => {
                reader_pool.close().await;
                writer_pool.close().await;
            }
            Backend::Postgres { pool, .. } => pool.close().await,
        }
    }
}

fn roles(config: &StoreConfig) -> Roles<'_> {
    Roles { app: &config.app_role, system: &config.system_role }
}

async fn open_sqlite(path: PathBuf, config: &StoreConfig, world: &World) -> Result<Backend, OpenError> {
    let fail = |error: Error| OpenError::Sqlite(path.clone(), error);
    let pools = sqlite::open(&path, &config.sqlite).await.map_err(fail)?;
    {
        let mut connection = pools.writer.acquire().await.map_err(|error| fail(error.into()))?;
        migrate::migrate_sqlite(&mut connection, world).await?;
    }
    let appender = sqlite::Appender::start(&path, config.sqlite.checkpoint_pages, config.sqlite.busy_timeout).map_err(fail)?;
    let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pools.writer.clone());
    Ok(Backend::Sqlite {
        readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(pools.readers.clone()),
        reader_pool: pools.readers,
        writer: Writer::start(connection, appender, config.sqlite.group_commit_max),
        writer_pool: pools.writer,
        path,
    })
}

async fn open_postgres(url: &str, config: &StoreConfig) -> Result<Backend, OpenError> {
    let mut login = postgres::connect(url).await?;
    let state = migrate::postgres_state(&mut login, &roles(config)).await?;
    if !state.pending.is_empty() {
        return Err(OpenError::Pending(state.pending));
    }
    let pool = postgres::open(url, config).await?;
    Ok(Backend::Postgres { connection: SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()), pool })
}

/// Hears what other nodes have changed. After a lost connection everything remembered is taken for old.
async fn hear(mut listener: PgListener, inner: std::sync::Weak<Inner>) {
    if let Err(error) = listener.listen(CHANNEL).await {
        tracing::error!(%error, "cannot listen for changes of other nodes; revocations there take until a token expires");
        return;
    }
    loop {
        let invalidation = match listener.try_recv().await {
            Ok(Some(message)) => serde_json::from_str(message.payload()).unwrap_or(Invalidation::Everything),
            Ok(None) => Invalidation::Everything,
            Err(error) => {
                tracing::warn!(%error, "lost the connection on which other nodes tell of changes");
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                Invalidation::Everything
            }
        };
        let Some(inner) = inner.upgrade() else { return };
        inner.listeners.tell(invalidation);
    }
}

pub(crate) fn notification(invalidation: Invalidation) -> Statement {
    let payload = serde_json::to_string(&invalidation).unwrap_or_default();
    Statement::from_sql_and_values(DbBackend::Postgres, "select pg_notify($1, $2)", [CHANNEL.into(), payload.into()])
}

mod parking {
    //! The list of listeners: grows at start, read at every commit.

    use std::sync::RwLock;

    use crate::invalidation::{Invalidation, Listener};

    #[derive(Default)]
    pub struct Listeners(RwLock<Vec<Listener>>);

    impl Listeners {
        pub fn add(&self, listener: Listener) {
            self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(listener);
        }

        pub fn tell(&self, invalidation: Invalidation) {
            for listener in &*self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner) {
                listener(invalidation);
            }
        }
    }
}
