//! Which database `store.url` names.

use std::path::{Path, PathBuf};

use url::Url;

use super::Secret;
use super::error::Complaint;

/// The database file of an installation that names no other.
const DEFAULT_FILE: &str = "plinth.db";

const FORMS: &str = "leave it empty for SQLite in the data folder, or write sqlite:PATH or \
    postgres://USER:PASSWORD@HOST/NAME";

/// A database to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    /// A connection URL; it may contain a password.
    Postgres(Secret),
}

impl Database {
    /// The database that a checked `url` names.
    pub(super) fn named(url: &Secret, data: &Path) -> Self {
        let text = url.expose();
        if is_postgres(text) {
            Self::Postgres(url.clone())
        } else if text.is_empty() {
            Self::Sqlite(data.join(DEFAULT_FILE))
        } else {
            Self::Sqlite(PathBuf::from(sqlite_path(text)))
        }
    }
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Both `sqlite:PATH` and `sqlite://PATH` are in use elsewhere, so both work.
fn sqlite_path(url: &str) -> &str {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    path.strip_prefix("//").unwrap_or(path)
}

/// Checks `store.url`. No message repeats the value: it may hold a password.
pub(super) fn check_url(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Ok(());
    }
    if text.starts_with("sqlite:") {
        return check_sqlite(sqlite_path(text));
    }
    check_postgres_url(text)
}

/// Checks `store.migration_url`, which is PostgreSQL or nothing.
pub(super) fn check_postgres_url(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Ok(());
    }
    if !is_postgres(text) {
        return Err(Complaint::new("this names no database that Plinth can open", FORMS));
    }
    let encode = "percent-encode the characters : / ? # [ ] @ in the user name and the password";
    match Url::parse(text) {
        Ok(url) if url.fragment().is_some() => {
            Err(Complaint::new("the URL has a part after #, which a database URL cannot have", encode))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(Complaint::new(format!("the URL is malformed: {error}"), encode)),
    }
}

fn check_sqlite(path: &str) -> Result<(), Complaint> {
    if path.is_empty() {
        return Err(Complaint::new("the path of the database is missing", FORMS));
    }
    if path.contains(":memory:") {
        return Err(Complaint::new("a database in memory would lose everything at a restart", FORMS));
    }
    if path.contains('?') {
        return Err(Complaint::new(
            "parameters after ? are not supported for SQLite",
            "write only the path, and set [store.sqlite] instead",
        ));
    }
    Ok(())
}
