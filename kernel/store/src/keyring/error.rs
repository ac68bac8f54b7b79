//! What can go wrong with keys: [`KeyError`] while using them, [`SourceError`] while loading or saving them. No message
//! ever contains key material or anything a key source printed on its standard output.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

/// A key could not be used on a ciphertext, or a key set could not be changed as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "key {0} is not available: it was retired, erased or belongs to another key set; restore the key set that holds it"
    )]
    UnknownKey(Uuid),
    #[error("the ciphertext does not match its key and context: it was changed, truncated or moved")]
    Tampered,
    #[error("not a ciphertext of this format: {0}")]
    Malformed(&'static str),
    #[error("master key {0} is the active one and cannot be retired; rotate first")]
    ActiveKey(Uuid),
    #[error("master key {id} still wraps {wrapped} data keys; re-wrap them before it is retired")]
    StillInUse { id: Uuid, wrapped: u64 },
    #[error("the system's random number generator failed; keys cannot be made until it works")]
    Random,
}

/// A master key set could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(
        "the key file {path} can be accessed by other users (mode {mode:04o}); run: chmod 600 {path}",
        path = .path.display()
    )]
    Permissions { path: PathBuf, mode: u32 },
    #[error("cannot {action} the key file {path}: {source}", path = .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the master keys from {origin} cannot be used: {reason}")]
    Text { origin: String, reason: String },
    #[error("the key command is empty; name a program and its arguments")]
    EmptyCommand,
    #[error("the key command `{program}` could not be run: {source}")]
    Command {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the key command `{program}` ended with {status}; its standard error: {stderr}")]
    CommandFailed { program: String, status: String, stderr: String },
    #[error(
        "the key command `{program}` gave no answer within {}; make it faster or allow more time",
        seconds(*.limit)
    )]
    CommandTimedOut { program: String, limit: Duration },
    #[error(
        "master keys from {origin} are read-only here; put the rotated key set where {origin} takes it from, then restart"
    )]
    ReadOnly { origin: String },
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}
