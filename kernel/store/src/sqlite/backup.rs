//! Online backup of a SQLite file: a consistent copy while the kernel writes, checked before it counts.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, backup::Backup};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0} exists already; choose another name")]
    Exists(PathBuf),
    #[error("{path} cannot be read as a database of Plinth")]
    Unreadable { path: PathBuf, source: rusqlite::Error },
    #[error("the copy failed")]
    Copy(#[source] rusqlite::Error),
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// Copies the database at `from` to the new file `to`. `progress` hears how many of how many pages are done.
pub fn backup_sqlite(from: &Path, to: &Path, mut progress: impl FnMut(i32, i32)) -> Result<u64, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.into()));
    }
    let unreadable = |source| BackupError::Unreadable { path: from.into(), source };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    // Under another name until it is whole and checked, so that a broken copy never looks like a backup.
    let partial = to.with_extension("partial");
    std::fs::remove_file(&partial).ok();
    copy(&source, &partial, &mut progress)?;
    verify_sqlite(&partial)?;
    let write = |source| BackupError::Write { path: to.into(), source };
    std::fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(write)?;
    std::fs::rename(&partial, to).map_err(write)?;
    std::fs::metadata(to).map(|file| file.len()).map_err(write)
}

fn copy(source: &Connection, to: &Path, progress: &mut impl FnMut(i32, i32)) -> Result<(), BackupError> {
    let mut target = Connection::open(to).map_err(BackupError::Copy)?;
    let backup = Backup::new(source, &mut target).map_err(BackupError::Copy)?;
    loop {
        let more = backup.step(4096).map_err(BackupError::Copy)?;
        let state = backup.progress();
        progress(state.pagecount - state.remaining, state.pagecount);
        match more {
            rusqlite::backup::StepResult::Done => break,
            rusqlite::backup::StepResult::More => {}
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
    drop(backup);
    // The copy is one file: nothing of it may stay in a log beside it.
    target.pragma_update(None, "journal_mode", "delete").map_err(BackupError::Copy)
}

/// Reads the whole file and says whether it is sound and ours.
pub fn verify_sqlite(path: &Path) -> Result<(), BackupError> {
    let unreadable = |source| BackupError::Unreadable { path: path.into(), source };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    let verdict: String =
        connection.query_row("pragma integrity_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
    if verdict != "ok" {
        return Err(BackupError::Damaged(verdict));
    }
    connection
        .query_row("select count(*) from schema_migrations", [], |row| row.get::<_, i64>(0))
        .map(drop)
        .map_err(unreadable)
}
