//! What the store does when the file, the disk or the server fails it, and when they come back.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use plinth_core::{Fault, TenantId, World};
use plinth_store::{Database, Error, OpenError, PostgresError, Store, StoreConfig};
use plinth_testkit::{TestDatabase, databases, sqlite};
use rusqlite::{Connection as Sqlite, OpenFlags};
use sea_orm::ConnectionTrait;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{chain, support::*};

fn is_unavailable<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(_)))
}

async fn open(path: &Path) -> Result<Store, OpenError> {
    let mut config = StoreConfig::new(Database::Sqlite(path.into()));
    config.sqlite.busy_timeout = Duration::from_millis(200);
    config.acquire_timeout = Duration::from_secs(5);
    Store::open(config, World::system(), keys()).await
}

/// All that an operator is shown.
fn whole(error: OpenError) -> String {
    Fault::internal("cannot start").because(error).chain()
}

#[tokio::test]
async fn garbage_in_place_of_the_file_is_told() {
    let database = sqlite().await;
    let path = database.store.sqlite_path().unwrap().to_owned();
    database.store.close().await;
    std::fs::write(&path, "this is not what it was ".repeat(4096)).unwrap();
    let error = soon(open(&path)).await.err().unwrap();
    assert!(matches!(&error, OpenError::Sqlite(named, Error::Unavailable(_)) if *named == path), "{error:?}");
    let text = whole(error);
    assert!(
        text.contains("plinth.db") && text.contains("restore a backup") && text.contains("not a database"),
        "{text}"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let database = sqlite().await;
    let error = soon(open(&database.folder().join("no/such/plinth.db"))).await.err().unwrap();
    let text = whole(error);
    assert!(text.contains("no/such/plinth.db") && text.contains("unable to open"), "{text}");
}

/// A read-only folder does not stop the superuser, so a database that cannot be written stands in for it where tests run as
/// one: a folder in place of the write-ahead log.
#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_told() {
    let database = sqlite().await;
    let folder = database.folder().join("closed");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("plinth.db");
    let mut permissions = std::fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&folder, permissions).unwrap();
    let writes_anyway = std::fs::write(folder.join("probe"), "").is_ok();
    if writes_anyway {
        std::fs::create_dir(folder.join("plinth.db-wal")).unwrap();
    }
    let error = soon(open(&path)).await.err().unwrap();
    assert!(matches!(&error, OpenError::Sqlite(_, Error::Unavailable(_))), "{error:?}");
    assert!(whole(error).contains("can be written to"));
}

#[tokio::test]
async fn a_locked_database_is_unavailable_until_it_is_free() {
    let mut database = sqlite().await;
    database.config.sqlite.busy_timeout = Duration::from_millis(200);
    database.reopen().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    add_role(&store, tenant, "before").await.unwrap();
    let another = Sqlite::open(store.sqlite_path().unwrap()).unwrap();
    another.execute_batch("begin exclusive").unwrap();
    let began = Instant::now();
    let changes: Vec<_> = (0..30)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add_role(&store, tenant, &format!("locked {n}")).await })
        })
        .collect();
    let append = store.append(tenant, &cause(), vec![event("role/locked")]).await;
    assert!(is_unavailable(&append), "{append:?}");
    for change in changes {
        let result = soon(change).await.unwrap();
        assert!(is_unavailable(&result), "{result:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "they wait together, not in turn: {:?}", began.elapsed());
    assert_eq!(role_names(&store).await, ["before"], "reads go on");
    another.execute_batch("rollback").unwrap();
    soon(add_role(&store, tenant, "after")).await.unwrap();
    store.append(tenant, &cause(), vec![event("role/after")]).await.unwrap();
    assert_eq!(role_count(&store).await, 2);
    assert_eq!(chain::first_break(store.sqlite_path().unwrap()), None);
}

/// Fills the database until it refuses. The limit belongs to the connection, which is replaced when it fails.
async fn fill_up(store: &Store, tenant: TenantId) -> Error {
    let tx = store.change(tenant, cause()).await.unwrap();
    let pages: i64 = tx
        .scope()
        .query_one_raw(sql(&tx.scope(), "pragma page_count", []))
        .await
        .unwrap()
        .unwrap()
        .try_get_by(0)
        .unwrap();
    tx.scope().query_one_raw(sql(&tx.scope(), &format!("pragma max_page_count = {}", pages + 8), [])).await.unwrap();
    let large = "x".repeat(2_000);
    for n in 0..1_000 {
        let row = roles::Model { permissions: large.clone(), ..role(store, &format!("large {n}")) };
        if let Err(error) = tx.scope().insert(row).await {
            // What follows in the same change does not run, in or outside of a transaction.
            tx.scope().insert(role(store, "after the failure")).await.unwrap_err();
            tx.commit().await.unwrap_err();
            return error;
        }
    }
    panic!("the database took everything");
}

#[tokio::test]
async fn a_full_database_is_unavailable_and_loses_nothing() {
    let database = sqlite().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    add_role(&store, tenant, "before").await.unwrap();
    // Of one group with the change that fills the disk: told what became of it, and told the truth.
    let neighbour = begin_role(&store, tenant, "neighbour").await.unwrap();
    let filling = tokio::spawn({
        let store = store.clone();
        async move { fill_up(&store, tenant).await }
    });
    let later = tokio::spawn({
        let store = store.clone();
        async move { add_role(&store, tenant, "later").await }
    });
    let_others_queue().await;
    let neighbour = soon(neighbour.commit()).await;
    let error = soon(filling).await.unwrap();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let later = soon(later).await.unwrap();
    // More than the limit of the failed connection leaves room for.
    let large = roles::Model { permissions: "x".repeat(100_000), ..role(&store, "after") };
    let tx = store.change(tenant, cause()).await.unwrap();
    tx.scope().insert(large).await.unwrap();
    soon(tx.commit()).await.unwrap();
    let mut wanted = vec!["after", "before"];
    wanted.extend(later.is_ok().then_some("later"));
    wanted.extend(neighbour.is_ok().then_some("neighbour"));
    let mut names = role_names(&store).await;
    names.sort();
    assert_eq!(names, wanted, "whoever was told of success is there, and nobody else");
    assert_eq!(chain::first_break(store.sqlite_path().unwrap()), None);
}

/// A small disk of its own, where the tests may make one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").args(["-l"]).arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_until_there_is_room() {
    let folder = tempfile::TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("small"), "4m") else {
        eprintln!("skipped: a disk cannot be mounted here; a full database is tested by another limit as well");
        return;
    };
    let store = open(&disk.0.join("plinth.db")).await.unwrap();
    let tenant = make_tenant(&store).await;
    let ballast = disk.0.join("ballast");
    let mut kept = Vec::new();
    for round in 0..3 {
        // All of what is left.
        std::fs::write(&ballast, vec![0; 8 << 20]).unwrap_err();
        let mut refused = 0;
        for n in 0..200 {
            let name = format!("{round} {n}");
            match soon(add_role(&store, tenant, &name)).await {
                Ok(()) => kept.push(name),
                Err(error) => {
                    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
                    refused += 1;
                    let append = soon(store.append(tenant, &cause(), vec![event("sample/1")])).await;
                    if !is_unavailable(&append) {
                        append.unwrap();
                    }
                }
            }
        }
        assert!(refused > 0, "the disk is full");
        std::fs::remove_file(&ballast).unwrap();
        let name = format!("{round} after");
        soon(add_role(&store, tenant, &name)).await.unwrap();
        soon(store.append(tenant, &cause(), vec![event("sample/2")])).await.unwrap();
        kept.push(name);
    }
    let mut names = role_names(&store).await;
    names.sort();
    kept.sort();
    assert_eq!(names, kept);
    assert_eq!(chain::first_break(store.sqlite_path().unwrap()), None);
    store.close().await;
}

#[tokio::test]
async fn connections_that_were_ended_are_made_anew() {
    let database = postgres().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    for round in 0..3 {
        // Every connection of the pool is in use at once, so that all of them exist.
        let mut held = Vec::new();
        for _ in 0..database.config.max_connections {
            held.push(store.read(tenant, cause()).await.unwrap());
        }
        let open = begin_role_after(held, store, tenant).await;
        end_connections(&database).await;
        let lost = open.commit().await;
        assert!(is_unavailable(&lost), "{lost:?}");
        for n in 0..12 {
            soon(add_role(store, tenant, &format!("{round} {n}"))).await.unwrap();
        }
        soon(store.append(tenant, &cause(), vec![event("role/after")])).await.unwrap();
    }
    assert_eq!(role_count(store).await, 36);
}

async fn begin_role_after(
    held: Vec<plinth_store::TenantTx>,
    store: &Store,
    tenant: TenantId,
) -> plinth_store::TenantTx {
    drop(held);
    begin_role(store, tenant, "lost").await.unwrap()
}

async fn end_connections(database: &TestDatabase) {
    let url = database.postgres_url().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut owner = PgConnection::connect(url).await.unwrap();
    let query = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()"
    );
    sqlx::query(AssertSqlSafe(query)).execute(&mut owner).await.unwrap();
}

async fn open_at(url: &str) -> (OpenError, Duration) {
    let mut config = StoreConfig::new(Database::Postgres { url: url.into(), migration_url: url.into() });
    config.acquire_timeout = Duration::from_secs(1);
    let began = Instant::now();
    let error = Store::open(config.clone(), World::system(), keys()).await.err().unwrap();
    let opening = began.elapsed();
    Store::migrate(&config, &World::system()).await.unwrap_err();
    Store::migration_state(&config).await.unwrap_err();
    (error, opening)
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told_in_time() {
    // Nobody listens; somebody listens and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().port();
    drop(free);
    for port in [nobody, silent_port] {
        let (error, took) = open_at(&format!("postgres://plinth@127.0.0.1:{port}/plinth")).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(matches!(&error, OpenError::Postgres(PostgresError::Store(Error::Unavailable(_)))), "{error:?}");
        let text = whole(error);
        assert!(text.contains(&format!("no PostgreSQL server answers at 127.0.0.1:{port}")), "{text}");
        assert!(text.contains("store.url"), "{text}");
    }
    let (error, _) = open_at("this is no address").await;
    assert!(matches!(error, OpenError::Postgres(PostgresError::Url(_))), "{error:?}");
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_unavailable_in_time() {
    for mut database in databases().await {
        database.config.acquire_timeout = Duration::from_millis(300);
        database.config.max_connections = 2;
        database.config.sqlite.readers = 2;
        database.reopen().await;
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let held = [store.read(tenant, cause()).await.unwrap(), store.read(tenant, cause()).await.unwrap()];
        let began = Instant::now();
        let third = store.read(tenant, cause()).await;
        assert!(matches!(third.err(), Some(Error::Unavailable(_))), "{:?}", database.kind);
        assert!(began.elapsed() < Duration::from_millis(1300), "{:?}", began.elapsed());
        drop(held);
        soon(store.read(tenant, cause())).await.unwrap();
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn the_file_is_opened_as_the_kernel_needs_it() {
    let database = sqlite().await;
    let tx = database.store.change_system(cause()).await.unwrap();
    for (pragma, wanted) in
        [("synchronous", 2), ("foreign_keys", 1), ("wal_autocheckpoint", 4000), ("busy_timeout", 5000)]
    {
        let row = tx.query_one_raw(sql(&tx, &format!("pragma {pragma}"), [])).await.unwrap().unwrap();
        assert_eq!(row.try_get_by::<i64, _>(0).unwrap(), wanted, "{pragma}");
    }
    drop(tx);
    let path = database.store.sqlite_path().unwrap();
    let other = Sqlite::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mode: String = other.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
