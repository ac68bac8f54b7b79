//! Online backup of a SQLite file: a consistent copy while the kernel writes, checked before it counts.
//!
//! SQLite's own check sees a broken structure and not a flipped bit in a value, so beside the copy lies its SHA-256, as
//! `sha256sum` writes it. A copy without that file is checked for its structure alone.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use ring::digest;
use rusqlite::{Connection, OpenFlags, backup::Backup};
use tempfile::NamedTempFile;

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
    Write { path: PathBuf, source: io::Error },
}

/// Copies the database at `from` to the new file `to`. `progress` hears how many of how many pages are done.
pub fn backup_sqlite(from: &Path, to: &Path, mut progress: impl FnMut(i32, i32)) -> Result<u64, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.into()));
    }
    let unreadable = |source| BackupError::Unreadable { path: from.into(), source };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    // One moment for the whole copy: without this every write of the kernel would make it begin again.
    source.execute_batch("begin; select count(*) from sqlite_schema").map_err(unreadable)?;
    let write = |source| BackupError::Write { path: to.into(), source };
    // Under another name until it is whole and checked, so that a broken copy never looks like a backup.
    let partial = neighbour(to).map_err(write)?;
    copy(&source, partial.path(), &mut progress)?;
    check_structure(partial.path())?;
    let size = keep(partial, to)?;
    Ok(size)
}

/// Gives the copy its name, and its checksum beside it.
fn keep(partial: NamedTempFile, to: &Path) -> Result<u64, BackupError> {
    let write = |source| BackupError::Write { path: to.into(), source };
    partial.as_file().sync_all().map_err(write)?;
    let size = partial.as_file().metadata().map_err(write)?.len();
    let sum = checksum(partial.path()).map_err(write)?;
    let sums = sums_of(to);
    // One that is left of another copy may never stand beside this one.
    std::fs::remove_file(&sums)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(write)?;
    partial.persist_noclobber(to).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.into()),
        _ => write(error.error),
    })?;
    let line = format!("{sum}  {}\n", to.file_name().unwrap_or_default().display());
    neighbour(to)
        .and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&sums).map_err(|error| error.error)
        })
        .and_then(|_| File::open(folder_of(to))?.sync_all())
        .map_err(|source| BackupError::Write { path: sums, source })?;
    Ok(size)
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
    check_sum(path)?;
    check_structure(path)
}

fn check_sum(path: &Path) -> Result<(), BackupError> {
    let sums = sums_of(path);
    let damaged = |what: &str| Err(BackupError::Damaged(format!("{what} {}", sums.display())));
    let wanted = match std::fs::read_to_string(&sums) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return damaged(&format!("its checksum cannot be read ({error}):")),
    };
    match checksum(path) {
        Ok(sum) if wanted.split_whitespace().next() == Some(sum.as_str()) => Ok(()),
        Ok(_) => damaged("its checksum is not the one in"),
        Err(error) => damaged(&format!("it cannot be read ({error}) to compare it with")),
    }
}

fn check_structure(path: &Path) -> Result<(), BackupError> {
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

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(data_encoding::HEXLOWER.encode(sum.finish().as_ref())),
            read => sum.update(&buffer[..read]),
        }
    }
}

fn sums_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sha256");
    name.into()
}

/// A file in the same folder that goes away unless it is given a name. Nobody else may read it: it holds what is ours.
fn neighbour(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".backup-").tempfile_in(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
