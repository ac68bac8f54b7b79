//! Configuration: what an operator may set, where each value came from, and everything that is wrong with it.
//!
//! Layers, later ones win: the built-in `config/default.toml`, a file, `PLINTH_SECTION__KEY` variables, flags.
//! Invariants:
//! * the table in [`schema`] knows every key; one it does not know is an error in every layer, never ignored;
//! * all problems are reported together, each with its key, its origin and what to do;
//! * a secret leaves [`Config`] only through [`Secret::expose`]: messages, `Debug` and printed settings mask it;
//! * [`load`] reads nothing but its [`Sources`], so a test decides what the environment is.

mod database;
mod error;
mod layers;
mod merge;
mod providers;
mod render;
mod rules;
mod schema;
mod secret;
mod sections;
mod suggest;
mod values;
mod warnings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use database::Database;
pub use error::ConfigError;
pub use merge::Setting;
pub use render::{render_check, render_print};
pub use secret::Secret;
pub use sections::*;

use layers::Layers;

/// The built-in layer, which also is the reference of all keys.
const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// Used when no file is named and it exists in the working directory.
const DEFAULT_FILE: &str = "plinth.toml";

/// Everything that [`load`] reads.
#[derive(Debug, Default)]
pub struct Sources {
    /// A file that must exist.
    pub file: Option<PathBuf>,
    /// Variables; those that are not configuration are passed over.
    pub env: Vec<(String, String)>,
    /// Flags as (key, value), such as `("server.listen", "127.0.0.1:0")`; values are written as in variables.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The environment of this process; without a named file, `plinth.toml` where the process runs, if there is one.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let file = file.or_else(|| {
            let path = Path::new(DEFAULT_FILE);
            path.exists().then(|| path.to_owned())
        });
        // Lossy on purpose: the replacement character is reported for the variables that count.
        let env = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self { file, env, flags }
    }
}

/// A valid configuration and the account of how it came about.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Each key with its value, masked where secret, and where that came from.
    pub origins: BTreeMap<String, Setting>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

/// Reads all layers and answers with the whole configuration or with everything that is wrong.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    layers.add_defaults(DEFAULTS);
    if let Some(path) = &sources.file {
        layers.add_file(path);
    }
    layers.add_variables(&sources.env);
    layers.add_flags(&sources.flags);
    providers::complete(&mut layers);

    let merged = merge::merge(&layers);
    let config = match merged.config {
        Ok(config) => config,
        Err(problems) => {
            layers.problems.extend(problems);
            return Err(ConfigError::new(layers.problems));
        }
    };
    // Half a file would contradict itself only because its other half is missing.
    if !layers.unreadable {
        let found = rules::check(&config);
        let problems = found
            .into_iter()
            .filter(|finding| finding.keys.iter().all(|key| !layers.faulty.contains(key)))
            .map(|finding| finding.into_problem(&merged.origins));
        layers.problems.extend(problems.collect::<Vec<_>>());
    }
    if !layers.problems.is_empty() {
        return Err(ConfigError::new(layers.problems));
    }
    let warnings = warnings::collect(&config, &sources.env);
    Ok(Loaded { config, origins: merged.origins, warnings })
}
