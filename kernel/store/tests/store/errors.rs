//! Which errors are the weather's, which are the caller's and which are ours.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use plinth_core::{Fault, Kind, Problem};
use plinth_store::Error;
use plinth_testkit::databases;
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr};
use sqlx::error::{DatabaseError, ErrorKind};

use crate::support::*;

#[derive(Debug)]
struct Told(&'static str);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Told {}

impl DatabaseError for Told {
    fn message(&self) -> &str {
        self.0
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }
    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }
    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }
    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn told(code: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(Told(code)))
}

/// Through both drivers the same.
fn is_weather(error: impl Fn() -> sqlx::Error) -> bool {
    let bare = matches!(Error::from(error()), Error::Unavailable(_));
    let inner = Arc::new(error());
    let query = Error::from(DbErr::Query(RuntimeErr::SqlxError(inner.clone())));
    let exec = Error::from(DbErr::Exec(RuntimeErr::SqlxError(inner)));
    assert_eq!(bare, matches!(query, Error::Unavailable(_)));
    assert_eq!(bare, matches!(exec, Error::Unavailable(_)));
    bare
}

#[test]
fn the_weather_is_told_from_mistakes() {
    // SQLite: busy, locked, memory, read-only, I/O, corrupt, full, cannot open, lock protocol, no database; extended ones too.
    for code in ["5", "6", "7", "8", "10", "11", "13", "14", "15", "26", "261", "517", "266", "778", "2570", "1032"] {
        assert!(is_weather(|| told(code)), "{code}");
    }
    // PostgreSQL: connection, resources, shut down or cancelled, system; serialisation, deadlock, lock not available.
    for code in ["08006", "53100", "53300", "57P01", "57014", "58030", "40001", "40P01", "55P03"] {
        assert!(is_weather(|| told(code)), "{code}");
    }
    // Generic, constraint, mismatch; syntax, unknown table, constraints, privilege, spent transaction.
    for code in ["1", "19", "2067", "787", "20", "42601", "42P01", "23505", "23503", "42501", "25P02", "22021"] {
        assert!(!is_weather(|| told(code)), "{code}");
    }
    assert!(is_weather(|| sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())));
    assert!(is_weather(|| sqlx::Error::PoolTimedOut));
    assert!(is_weather(|| sqlx::Error::PoolClosed));
    assert!(is_weather(|| sqlx::Error::WorkerCrashed));
    assert!(!is_weather(|| sqlx::Error::RowNotFound));
    assert!(!is_weather(|| sqlx::Error::ColumnNotFound("x".into())));
    assert!(matches!(Error::from(DbErr::Conn(RuntimeErr::Internal("gone".into()))), Error::Unavailable(_)));
    assert!(matches!(Error::from(DbErr::Custom("ours".into())), Error::Query(_)));
}

#[test]
fn the_second_driver_of_sqlite_agrees() {
    let failed = |code| Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    for code in [5, 6, 7, 8, 10, 11, 13, 14, 15, 26, 261, 517, 778] {
        assert!(matches!(failed(code), Error::Unavailable(_)), "{code}");
    }
    for code in [1, 19, 2067, 20, 21] {
        assert!(matches!(failed(code), Error::Query(_)), "{code}");
    }
    assert!(matches!(Error::from(rusqlite::Error::QueryReturnedNoRows), Error::Query(_)));
}

#[tokio::test]
async fn real_databases_say_it_in_their_own_words() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        add_role(store, tenant, "taken").await.unwrap();
        let duplicate = begin_role(store, tenant, "taken").await.err().unwrap();
        assert!(duplicate.is_duplicate(), "{duplicate:?}");
        let same_id = role(store, "first");
        let tx = store.change(tenant, cause()).await.unwrap();
        tx.scope().insert(same_id.clone()).await.unwrap();
        let duplicate = tx.scope().insert(roles::Model { name: "second".into(), ..same_id }).await.unwrap_err();
        assert!(duplicate.is_duplicate(), "{:?}, a primary key: {duplicate:?}", database.kind);
        drop(tx);
        let tx = store.change(store.world().mint(), cause()).await.unwrap();
        let orphan = tx.scope().insert(role(store, "orphan")).await.unwrap_err();
        assert!(matches!(orphan, Error::Query(_)), "{:?}, a foreign key: {orphan:?}", database.kind);
        let tx = store.read(tenant, cause()).await.unwrap();
        let wrong = Error::from(tx.scope().execute_unprepared("selct 1").await.unwrap_err());
        assert!(matches!(wrong, Error::Query(_)), "{wrong:?}");
    }
}

#[test]
fn a_caller_learns_what_to_do_and_the_log_learns_why() {
    let weather = Fault::from(Error::from(told("53100")));
    assert_eq!(weather.kind(), Kind::Unavailable);
    assert!(weather.retry_after_seconds().is_some());
    assert!(weather.chain().contains("53100"), "{}", weather.chain());
    let mistake = Fault::from(Error::from(told("42P01")));
    assert_eq!(mistake.kind(), Kind::Internal);
    assert!(mistake.chain().contains("42P01") && !mistake.to_string().contains("42P01"));
    let conflict = Fault::from(Error::VersionConflict { subject: "order/1".into(), expected: 4 });
    assert_eq!(conflict.kind(), Kind::Unavailable, "the same request may succeed when it is made again");
    assert!(conflict.chain().contains("order/1"));
}
