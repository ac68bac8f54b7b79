//! The key file: made once with mode 0600, refused when others can reach it, replaced as a whole.
//!
//! It is written to a neighbour, synced and renamed, and the folder is synced after that, so that a power loss leaves either
//! the old set or the new one and never a part.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ring::rand::SecureRandom;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{MasterKeys, SourceError};

/// A set of thousands of keys still fits; a file that is larger is not a key file.
const MAX_FILE: u64 = 1 << 20;

/// Reads the key file and makes it first when there is none. Of two processes that start at once, both end up with the
/// set of the one that came first.
pub(super) fn load_or_create(path: &Path, rng: &dyn SecureRandom) -> Result<MasterKeys, SourceError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, rng),
        Err(source) => Err(failed("open", path, source)),
    }
}

/// Replaces the key file. A symbolic link stays one: what it points to is replaced.
pub(super) fn save(path: &Path, keys: &MasterKeys) -> Result<(), SourceError> {
    let target = path.canonicalize().or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(path.to_owned()),
        _ => Err(failed("resolve", path, error)),
    })?;
    let neighbour = write_neighbour(&target, keys)?;
    neighbour.persist(&target).map_err(|error| failed("replace", path, error.error))?;
    sync_folder(&target)
}

fn create(path: &Path, rng: &dyn SecureRandom) -> Result<MasterKeys, SourceError> {
    let keys = MasterKeys::generate(rng)?;
    let neighbour = write_neighbour(path, &keys)?;
    match neighbour.persist_noclobber(path) {
        Ok(_) => {
            sync_folder(path)?;
            Ok(keys)
        }
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            let file = File::open(path).map_err(|source| failed("open", path, source))?;
            read(path, file)
        }
        Err(error) => Err(failed("create", path, error.error)),
    }
}

fn read(path: &Path, file: File) -> Result<MasterKeys, SourceError> {
    // Asked of the open file, so that nobody can swap it between the check and the read.
    let metadata = file.metadata().map_err(|source| failed("inspect", path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SourceError::Permissions { path: path.to_owned(), mode });
    }
    let origin = format!("the file {}", path.display());
    if metadata.len() > MAX_FILE {
        let reason = format!("it is larger than {MAX_FILE} bytes");
        return Err(SourceError::Text { origin, reason });
    }
    let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize + 1));
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|source| failed("read", path, source))?;
    MasterKeys::from_text(&text, &origin)
}

fn write_neighbour(path: &Path, keys: &MasterKeys) -> Result<NamedTempFile, SourceError> {
    let written = tempfile::Builder::new()
        .prefix(".keys-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder_of(path))
        .and_then(|mut file| {
            file.write_all(keys.to_text().as_bytes())?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            Ok(file)
        });
    written.map_err(|source| failed("write a temporary file beside", path, source))
}

fn sync_folder(path: &Path) -> Result<(), SourceError> {
    File::open(folder_of(path))
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed("sync the folder of", path, source))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Io { action, path: path.to_owned(), source }
}
