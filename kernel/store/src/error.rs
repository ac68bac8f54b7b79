//! What can go wrong between the kernel and its database, sorted by what the caller can do about it.

use plinth_core::Fault;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique value is taken: another row, or another request at the same moment, was first.
    #[error("a row with this value exists already")]
    Duplicate(#[source] DbErr),
    /// The row changed, or went away, between reading and writing it.
    #[error("the row has changed meanwhile")]
    Stale,
    /// The subject of an event has moved on since the change was decided.
    #[error("{subject} is at another version than {expected}")]
    VersionConflict { subject: String, expected: u64 },
    /// The database does not answer or cannot write: disk full, locked, connection refused, shutting down.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored value cannot be turned back into what it stands for.
    #[error("a stored value cannot be read: {0}")]
    Inconsistent(String),
    #[error("encryption at rest failed")]
    Sealing(#[from] crate::keyring::KeyError),
    #[error("a query failed")]
    Query(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
            return Self::Duplicate(error);
        }
        let away = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => is_away(inner),
            _ => false,
        };
        if away { Self::Unavailable(error.into()) } else { Self::Query(error.into()) }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) { Self::Unavailable(error.into()) } else { Self::Query(error.into()) }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(
                Code::DiskFull
                | Code::SystemIoFailure
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::CannotOpen
                | Code::DatabaseCorrupt
                | Code::ReadOnly
                | Code::NotADatabase
                | Code::OutOfMemory
                | Code::FileLockingProtocolFailed,
            ) => Self::Unavailable(error.into()),
            _ => Self::Query(error.into()),
        }
    }
}

/// Whether an error is the weather's rather than the statement's.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            let sqlite = code.parse::<i32>().map(|code| code & 0xff);
            // SQLite: busy, locked, out of memory, read-only, I/O, corrupt, full, cannot open, lock protocol, not a database.
            // PostgreSQL: connection, resource, operator-intervention and system-error classes; lock and
            // serialisation failures that succeed when tried again.
            (code.len() < 5 && sqlite.is_ok_and(|code| [5, 6, 7, 8, 10, 11, 13, 14, 15, 26].contains(&code)))
                || (code.len() == 5
                    && (["08", "53", "57", "58"].iter().any(|class| code.starts_with(class))
                        || ["40001", "40P01", "55P03"].contains(&code.as_ref())))
        }),
        _ => false,
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(source) => Self::unavailable("the database is not available").because(source),
            // Whoever tries again decides anew on what is so now.
            error @ (Error::Stale | Error::VersionConflict { .. }) => {
                Self::unavailable("another change came first").because(error)
            }
            Error::Query(source) => Self::internal("a query failed").because(source),
            other => Self::internal("the store refused").because(other),
        }
    }
}
