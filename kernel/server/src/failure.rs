//! Why a command ended, as a person and as a program learn it.

use std::fmt;

use serde_json::json;

use crate::config::ConfigError;

/// The command could not do what it was asked.
pub const FAILED: u8 = 1;
/// The configuration is wrong; nothing was touched.
pub const CONFIGURATION: u8 = 3;
/// The database, the data folder or the address is not available at the moment.
pub const UNAVAILABLE: u8 = 4;
/// A check found something that needs attention.
pub const UNHEALTHY: u8 = 5;

#[derive(Debug)]
pub enum Failure {
    Failed(anyhow::Error),
    Configuration(ConfigError),
    Unavailable(anyhow::Error),
    /// Already told in the output of the command.
    Unhealthy,
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => FAILED,
            Self::Configuration(_) => CONFIGURATION,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Unhealthy => UNHEALTHY,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Configuration(_) => "configuration",
            Self::Unavailable(_) => "unavailable",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Errors go to standard error, so that standard output stays what was asked for.
    pub fn report(&self, as_json: bool) {
        if matches!(self, Self::Unhealthy) {
            return;
        }
        if as_json {
            let mut error =
                json!({ "error": { "kind": self.kind(), "message": self.to_string(), "exit_code": self.code() } });
            if let Self::Configuration(problems) = self {
                error["error"]["problems"] = serde_json::to_value(problems).unwrap_or_default()["problems"].clone();
            }
            eprintln!("{error}");
        } else {
            eprintln!("plinth: {self}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Each cause on its own: together they tell what was tried and why it failed.
            Self::Failed(error) | Self::Unavailable(error) => {
                let mut texts: Vec<String> = Vec::new();
                for cause in error.chain().map(ToString::to_string) {
                    if texts.last().is_none_or(|last| !last.contains(&cause)) {
                        texts.push(cause);
                    }
                }
                f.write_str(&texts.join(": "))
            }
            Self::Configuration(error) => error.fmt(f),
            Self::Unhealthy => f.write_str("a check found something that needs attention"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error)
    }
}
