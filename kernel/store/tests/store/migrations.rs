//! Migrations: what is known, what is refused, and that both databases end in the same shape.

use std::collections::BTreeSet;

use plinth_core::World;
use plinth_store::{Database, MigrationError, MigrationState, OpenError, Store, StoreConfig};
use plinth_testkit::{TestDatabase, databases, sqlite};
use sea_orm::ConnectionTrait;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::support::*;

/// Runs statements as the owner of the tables.
async fn as_owner(database: &TestDatabase, statements: &str) {
    match &database.config.database {
        Database::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(statements).unwrap(),
        Database::Postgres { migration_url, .. } => {
            let mut owner = PgConnection::connect(migration_url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut owner).await.unwrap();
        }
    }
}

async fn state(database: &TestDatabase) -> Result<MigrationState, OpenError> {
    Store::migration_state(&database.config).await
}

async fn migrate(database: &TestDatabase) -> Result<MigrationState, OpenError> {
    Store::migrate(&database.config, &World::system()).await
}

async fn open(database: &TestDatabase) -> Result<Store, OpenError> {
    Store::open(database.config.clone(), World::system(), keys()).await
}

/// Another database of the same kind, with nothing in it.
async fn emptied(database: &TestDatabase) {
    database.store.close().await;
    match &database.config.database {
        Database::Sqlite(path) => std::fs::remove_file(path).unwrap(),
        Database::Postgres { .. } => as_owner(database, "drop schema public cascade; create schema public").await,
    }
}

#[tokio::test]
async fn a_migrated_database_has_nothing_to_do() {
    for database in databases().await {
        let before = state(&database).await.unwrap();
        assert!(before.pending.is_empty() && before.applied.first().is_some_and(|name| name == "0001_foundation"));
        let history = "select sum(applied_at) from (select cast(applied_at as bigint) / 1000 as applied_at from schema_migrations) t";
        let applied_at = format!("select cast(({history}) as bigint)");
        let at = number(&database.store, &applied_at).await;
        assert_eq!(migrate(&database).await.unwrap(), before);
        assert_eq!(number(&database.store, &applied_at).await, at, "nothing was applied again");
    }
}

#[tokio::test]
async fn looking_changes_nothing() {
    for database in databases().await {
        let known = state(&database).await.unwrap().applied;
        emptied(&database).await;
        let seen = state(&database).await.unwrap();
        assert_eq!(seen, MigrationState { applied: Vec::new(), pending: known.clone() }, "{:?}", database.kind);
        if let Database::Sqlite(path) = &database.config.database {
            assert!(!path.exists(), "a look has made a file");
        } else {
            let error = open(&database).await.err().unwrap();
            assert!(matches!(&error, OpenError::Pending(pending) if *pending == known), "{error:?}");
            assert!(error.to_string().contains("run plinth migrate"));
        }
        let first = migrate(&database).await.unwrap();
        assert_eq!(first.pending, known, "says what was pending");
        assert!(state(&database).await.unwrap().pending.is_empty());
        open(&database).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    for database in databases().await {
        as_owner(&database, "update schema_migrations set checksum = 'edited' where number = 1").await;
        for error in [state(&database).await.err(), migrate(&database).await.err(), open(&database).await.err()] {
            let error = error.unwrap();
            let named =
                matches!(&error, OpenError::Migration(MigrationError::Changed(name)) if name == "0001_foundation");
            assert!(named, "{:?}: {error:?}", database.kind);
        }
    }
}

#[tokio::test]
async fn a_migration_of_a_newer_version_is_refused() {
    for database in databases().await {
        as_owner(&database, "insert into schema_migrations values (9999, '9999_future', 'x', 1)").await;
        for error in [state(&database).await.err(), migrate(&database).await.err(), open(&database).await.err()] {
            let error = error.unwrap();
            assert!(matches!(&error, OpenError::Migration(MigrationError::FromTheFuture(9999))), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_migration_keeps_nothing() {
    for database in databases().await {
        emptied(&database).await;
        // In the way of one of the last tables, so that many statements came before.
        as_owner(&database, "create table events (in_the_way integer)").await;
        let error = migrate(&database).await.err().unwrap();
        assert!(
            matches!(&error, OpenError::Migration(MigrationError::Failed { name: "0001_foundation", .. })),
            "{error:?}"
        );
        let left = match &database.config.database {
            Database::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).unwrap();
                file.query_row("select count(*) from sqlite_schema where name = 'tenants'", [], |row| row.get(0))
                    .unwrap()
            }
            Database::Postgres { url, .. } => {
                let mut owner = PgConnection::connect(url).await.unwrap();
                let row = owner.fetch_one("select count(*) from pg_tables where tablename = 'tenants'").await.unwrap();
                row.get::<i64, _>(0)
            }
        };
        assert_eq!(left, 0, "{:?}", database.kind);
        as_owner(&database, "drop table events").await;
        migrate(&database).await.unwrap();
        open(&database).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn nodes_that_migrate_at_once_migrate_once() {
    for database in databases().await {
        emptied(&database).await;
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                let config = database.config.clone();
                tokio::spawn(async move { Store::migrate(&config, &World::system()).await })
            })
            .collect();
        for node in nodes {
            node.await.unwrap().unwrap_or_else(|error| panic!("{:?}: {error:?}", database.kind));
        }
        assert!(state(&database).await.unwrap().pending.is_empty());
    }
}

/// All of them have seen what is pending before the first may begin.
#[tokio::test]
async fn who_waited_for_a_migration_does_not_do_it_again() {
    let database = sqlite().await;
    emptied(&database).await;
    let Database::Sqlite(path) = &database.config.database else { unreachable!() };
    let holder = rusqlite::Connection::open(path).unwrap();
    holder.pragma_update(None, "journal_mode", "wal").unwrap();
    holder.execute_batch("begin immediate").unwrap();
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let config = database.config.clone();
            tokio::spawn(async move { Store::migrate(&config, &World::system()).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(nodes.iter().all(|node| !node.is_finished()), "they wait for the lock");
    holder.execute_batch("rollback").unwrap();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    assert!(state(&database).await.unwrap().pending.is_empty());
}

#[tokio::test]
async fn other_names_for_the_roles_are_taken_and_kept_to() {
    let mut database = postgres().await;
    emptied(&database).await;
    let unique = database.world.mint_uuid().simple().to_string();
    // Names that SQL takes only in quotes.
    database.config.app_role = format!("App-{unique}");
    database.config.system_role = format!("System-{unique}");
    migrate(&database).await.unwrap();
    let store = open(&database).await.unwrap();
    let tenant = make_tenant(&store).await;
    add_role(&store, tenant, "one").await.unwrap();
    store.append(tenant, &cause(), vec![event("role/one")]).await.unwrap();
    let tx = store.read(tenant, cause()).await.unwrap();
    let row = tx.scope().query_one_raw(sql(&tx.scope(), "select current_user::text", [])).await.unwrap().unwrap();
    assert_eq!(row.try_get_by::<String, _>(0).unwrap(), database.config.app_role);
    drop(tx);
    store.close().await;
    let roles = format!("\"App-{unique}\", \"System-{unique}\"");
    as_owner(&database, &format!("drop owned by {roles}; drop role {roles}")).await;
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let both = databases().await;
    let of_sqlite = {
        let path = both[0].store.sqlite_path().unwrap();
        let file = rusqlite::Connection::open(path).unwrap();
        let mut query = file
            .prepare(
                "select s.name || '.' || c.name, c.\"notnull\" or c.pk > 0 from sqlite_schema s, pragma_table_info(s.name) c \
                 where s.type = 'table' and s.name not like 'sqlite_%'",
            )
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<BTreeSet<(String, bool)>, _>>().unwrap()
    };
    let mut owner = PgConnection::connect(both[1].postgres_url().unwrap()).await.unwrap();
    let rows = owner
        .fetch_all(
            "select table_name || '.' || column_name, is_nullable = 'NO' from information_schema.columns \
             where table_schema = 'public'",
        )
        .await
        .unwrap();
    let of_postgres: BTreeSet<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(of_sqlite.len() > 100);
    let differs: BTreeSet<_> =
        of_sqlite.symmetric_difference(&of_postgres).map(|(column, _)| column.as_str()).collect();
    // What PostgreSQL leaves open until an event is sealed, and the order of arrival that the sealer goes by.
    let known = BTreeSet::from(["events.arrival", "events.hash", "events.position"]);
    assert_eq!(differs, known);
}

#[tokio::test]
async fn a_database_of_sqlite_is_made_where_there_is_none() {
    let folder = sqlite().await;
    let path = folder.folder().join("another.db");
    let store = Store::open(StoreConfig::new(Database::Sqlite(path.clone())), World::system(), keys()).await.unwrap();
    let tenant = make_tenant(&store).await;
    add_role(&store, tenant, "one").await.unwrap();
    assert!(path.exists());
    store.close().await;
}
