//! A database per test: a folder with SQLite, and a database of its own in a PostgreSQL server.

use std::sync::Arc;

use plinth_core::World;
use plinth_store::{
    Database, Store, StoreConfig,
    keyring::MasterKeys,
};
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
    let mut config = StoreConfig::new(Database::Postgres { url: url.clone(), migration_url: url });
    config.max_connections = 6;
    Store::migrate(&config, &World::system()).await.expect("migrations apply");
    open(Kind::Postgres, config, folder, Some(database)).await
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
        self.store =
            Store::open(self.config.clone(), self.world.clone(), copy(&self.keys)).await.expect("the database opens again");
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
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.expect("a database");
        let (base, _) = server.rsplit_once('/').expect("the address ends with a database");
        let url = format!("{base}/{name}");
        Self { server: server.to_owned(), name, url }
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
