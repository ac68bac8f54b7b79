//! A database per test: a folder with SQLite, and a database of its own in a PostgreSQL server.

use std::sync::Arc;

use plinth_core::World;
use plinth_store::{Database, Store, StoreConfig, keyring::MasterKeys};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A migrated database that ends with the test.
pub struct TestDatabase {
    pub kind: Kind,
    pub config: StoreConfig,
    pub world: World,
    pub store: Store,
    keys: Arc<MasterKeys>,
    folder: TempDir,
    postgres: Option<PostgresDatabase>,
}

/// Both databases. Fails when PostgreSQL is not there: a store that was tested on one of two is not tested.
pub async fn databases() -> Vec<TestDatabase> {
    vec![sqlite().await, postgres().await]
}

pub async fn sqlite() -> TestDatabase {
    let folder = TempDir::new().expect("a temporary folder");
    let config = StoreConfig::new(Database::Sqlite(folder.path().join("plinth.db")));
    open(Kind::Sqlite, config, folder, None).await
}

async fn postgres() -> TestDatabase {
    let server = std::env::var("PLINTH_TEST_POSTGRES_URL").expect(
        "PLINTH_TEST_POSTGRES_URL names no PostgreSQL server: run `cargo xtask test`, which starts one, or set it to one that tests may use",
    );
    let database = PostgresDatabase::create(&server).await;
    let folder = TempDir::new().expect("a temporary folder");
    let url = database.url.clone();
    let mut config = postgres_config(&url);
    config.max_connections = 6;
    open(Kind::Postgres, config, folder, Some(database)).await
}

fn postgres_config(url: &str) -> StoreConfig {
    StoreConfig::new(Database::Postgres { url: url.to_owned(), migration_url: url.to_owned() })
}

async fn open(kind: Kind, config: StoreConfig, folder: TempDir, postgres: Option<PostgresDatabase>) -> TestDatabase {
    let world = World::movable();
    let keys = Arc::new(MasterKeys::generate(world.random()).expect("randomness"));
    let store = Store::open(config.clone(), world.clone(), copy(&keys)).await.expect("the database opens");
    TestDatabase { kind, config, world, store, keys, folder, postgres }
}

/// Keys cannot be cloned by accident; a test that restarts the kernel reads them again.
fn copy(keys: &MasterKeys) -> MasterKeys {
    MasterKeys::from_text(&keys.to_text(), "a test").expect("keys read back")
}

impl TestDatabase {
    /// Opens the same data again, as a restarted process would. The clock goes on.
    pub async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Store::open(self.config.clone(), self.world.clone(), copy(&self.keys))
            .await
            .expect("the database opens again");
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The address of the PostgreSQL database, as its owner.
    pub fn postgres_url(&self) -> Option<&str> {
        self.postgres.as_ref().map(|database| database.url.as_str())
    }
}

struct PostgresDatabase {
    server: String,
    name: String,
    url: String,
}

impl PostgresDatabase {
    async fn create(server: &str) -> Self {
        let name = format!("plinth_{}", World::system().mint_uuid().simple());
        let mut connection = PgConnection::connect(server).await.expect("the PostgreSQL server answers");
        let template = Self::template(server, &mut connection).await;
        let text = format!("create database {name} template {template}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.expect("a database");
        let url = Self::address(server, &name);
        Self { server: server.to_owned(), name, url }
    }
}

impl PostgresDatabase {
    fn address(server: &str, name: &str) -> String {
        let (base, _) = server.rsplit_once('/').expect("the address ends with a database");
        format!("{base}/{name}")
    }

    /// A migrated database that tests copy: copying takes a tenth of migrating. Its name changes with the migrations.
    async fn template(server: &str, connection: &mut PgConnection) -> String {
        let name = format!("plinth_template_{}", plinth_store::migrations_fingerprint());
        sqlx::query("select pg_advisory_lock(7308613716)").execute(&mut *connection).await.expect("a lock");
        let there =
            sqlx::query("select 1 from pg_database where datname = $1").bind(&name).fetch_optional(&mut *connection);
        if there.await.expect("an answer").is_none() {
            // Under another name until it is complete: a test that was killed leaves no half-made template.
            let partial = format!("plinth_partial_{}", World::system().mint_uuid().simple());
            sqlx::raw_sql(AssertSqlSafe(format!("create database {partial}")))
                .execute(&mut *connection)
                .await
                .expect("a database");
            let config = postgres_config(&Self::address(server, &partial));
            Store::migrate(&config, &World::system()).await.expect("migrations apply");
            let rename = format!("alter database {partial} rename to {name}");
            sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut *connection).await.expect("the template gets its name");
        }
        sqlx::query("select pg_advisory_unlock(7308613716)").execute(&mut *connection).await.expect("an unlock");
        name
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The test's runtime may be ending: the database is dropped from a thread with a runtime of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await.ok()?;
                let text = format!("drop database if exists {name} with (force)");
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.ok()
            })
        });
        dropped.join().ok();
    }
}
