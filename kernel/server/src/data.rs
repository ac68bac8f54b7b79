//! The data folder: made with care for who may read it, and held by one kernel at a time.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use fs4::FileExt;

use crate::failure::Failure;

/// The right to write to a data folder. It ends with the process, however that ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

pub fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Makes the folder where it is missing; only this user may look into it.
pub fn prepare(folder: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("the data folder {} cannot be created; choose another with --data", folder.display()))
        .map_err(Failure::Unavailable)
}

/// Takes the folder for this process.
pub fn lock(folder: &Path) -> Result<DataLock, Failure> {
    prepare(folder)?;
    let path = folder.join("plinth.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("the lock {} cannot be opened", path.display()))
        .map_err(Failure::Unavailable)?;
    if FileExt::try_lock(&file).is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder).ok();
        let holder = holder.trim();
        let who = if holder.is_empty() { String::from("another process") } else { format!("process {holder}") };
        return Err(Failure::Unavailable(anyhow::anyhow!(
            "the data folder {} is in use by {who}; stop it, or choose another folder with --data",
            folder.display()
        )));
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    written.context("the lock cannot be written; is the disk full?").map_err(Failure::Unavailable)?;
    Ok(DataLock { _file: file })
}
