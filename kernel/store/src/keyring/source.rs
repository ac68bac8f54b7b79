//! Where the master keys come from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use super::{MasterKeys, SourceError, command, file};

/// A configured source of master keys.
pub enum MasterKeySource {
    /// A file that this program owns: made at the first start, rewritten on rotation.
    File(PathBuf),
    /// The text of a key set, taken from the environment variable `variable`.
    Environment { variable: String, text: Zeroizing<String> },
    /// A command that prints a key set.
    Command { argv: Vec<String>, limit: Duration },
}

impl MasterKeySource {
    /// Loads the key set. Only the file source ever makes a new one: elsewhere an absent set is a mistake, and making a
    /// set up would hide it until nothing opens any more.
    pub async fn load(&self, rng: &(dyn SecureRandom + Sync)) -> Result<MasterKeys, SourceError> {
        match self {
            Self::File(path) => file::load_or_create(path, rng),
            Self::Environment { text, .. } => MasterKeys::from_text(text, &self.origin()),
            Self::Command { argv, limit } => command::load(argv, *limit).await,
        }
    }

    /// Makes a changed set durable. Call it before the set is used: between the two a crash would lose a key.
    pub fn save(&self, keys: &MasterKeys) -> Result<(), SourceError> {
        match self {
            Self::File(path) => file::save(path, keys),
            Self::Environment { .. } | Self::Command { .. } => Err(SourceError::ReadOnly { origin: self.origin() }),
        }
    }

    fn origin(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Environment { variable, .. } => format!("the environment variable {variable}"),
            Self::Command { argv, .. } => {
                format!("the command `{}`", argv.first().map_or("", String::as_str))
            }
        }
    }
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments of a command may carry credentials, and the environment's text is the key set.
        write!(f, "MasterKeySource({})", self.origin())
    }
}
