//! One file per promise: the reference is complete, layers override each other, each kind of problem is told, rules
//! hold, and output masks secrets.

mod layering;
mod output;
mod problems;
mod reference;
mod rules;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::Problem;
use super::{ConfigError, Loaded, Sources, load};

/// A configuration file that is removed with the test.
struct File(PathBuf);

impl File {
    fn new(text: impl AsRef<[u8]>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("plinth-config-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("the temporary folder takes a file");
        Self(path)
    }

    /// The origin of what stands in that line.
    fn line(&self, line: usize) -> String {
        format!("file:{}:{line}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    let file = File::new(text);
    from_path(&file.0)
}

fn from_path(path: &Path) -> Result<Loaded, ConfigError> {
    load(&Sources { file: Some(path.to_owned()), ..Sources::default() })
}

fn from_env(env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(&Sources { env: pairs(env), ..Sources::default() })
}

fn from_flags(flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(&Sources { flags: pairs(flags), ..Sources::default() })
}

/// The problems of a configuration that must have some.
#[track_caller]
fn problems(result: Result<Loaded, ConfigError>) -> Vec<Problem> {
    result.expect_err("the configuration is wrong").problems
}

/// The problem of a configuration that must have exactly one.
#[track_caller]
fn problem(result: Result<Loaded, ConfigError>) -> Problem {
    let mut all = problems(result);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// The keys at fault, in order.
#[track_caller]
fn keys(result: Result<Loaded, ConfigError>) -> Vec<String> {
    problems(result).into_iter().map(|problem| problem.key).collect()
}
