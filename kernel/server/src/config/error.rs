//! What can be wrong with a configuration, said to a person or, as JSON, to a program.
//!
//! No message carries the value of a secret key.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// Where a value came from: `default`, `file:PATH:LINE`, `variable NAME` or `flag`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    pub(super) fn default_value() -> Self {
        Self("default".to_owned())
    }

    pub(super) fn file(path: &Path, line: Option<usize>) -> Self {
        match line {
            Some(line) => Self(format!("file:{}:{line}", path.display())),
            None => Self(format!("file:{}", path.display())),
        }
    }

    pub(super) fn variable(name: &str) -> Self {
        Self(format!("variable {name}"))
    }

    pub(super) fn flag() -> Self {
        Self("flag".to_owned())
    }

    pub(super) fn from_text(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Nobody set the value.
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }

    pub(super) fn is_variable(&self) -> bool {
        self.0.starts_with("variable ")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a value and what to do, before it is known where the value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub message: String,
    pub fix: String,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { message: message.into(), fix: fix.into() }
    }

    pub(super) fn at(self, key: impl Into<String>, origin: Origin) -> Problem {
        Problem { key: key.into(), origin, message: self.message, fix: self.fix, related: Vec::new() }
    }
}

/// A key that takes part in a contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    pub key: String,
    pub origin: Origin,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Empty when a whole file could not be read.
    pub key: String,
    pub origin: Origin,
    pub message: String,
    pub fix: String,
    /// The other keys of a contradiction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            writeln!(f, "{}", self.origin)?;
        } else {
            write!(f, "{} ({})", self.key, self.origin)?;
            for related in &self.related {
                write!(f, ", {} ({})", related.key, related.origin)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  {}", self.message)?;
        write!(f, "  fix: {}", self.fix)
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, thiserror::Error, Serialize)]
#[error("{}", human(.problems))]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }
}

fn human(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "a problem".to_owned(),
        many => format!("{many} problems"),
    };
    let mut text = format!("the configuration has {count}");
    for problem in problems {
        text.push_str("\n\n");
        text.push_str(&problem.to_string());
    }
    text
}
