//! Checks that are not cargo tests: other languages, foreign tools.
//!
//! To add one: write `fn run(&Context) -> Result<Outcome>` in a file here and put it into [`DEFAULT`], or into
//! [`PEERS`] when it takes long or downloads much. Names appear in the help, in `--suite` or `--peers` and in the
//! summary.

mod client_ts;
pub mod npm;
mod redocly;
mod schemathesis;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::summary::Outcome;

/// What a suite is given.
#[derive(Debug)]
pub struct Context {
    /// The built kernel.
    pub binary: PathBuf,
    /// Addresses of the test services, and PLINTH_BIN.
    pub env: Vec<(&'static str, String)>,
}

impl Context {
    /// Gives a program the environment that the Rust tests have as well.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.env.iter().map(|(name, value)| (name, value)))
    }
}

#[derive(Debug)]
pub struct Suite {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Context) -> Result<Outcome>,
}

/// Part of every full run.
pub const DEFAULT: &[Suite] = &[client_ts::SUITE, schemathesis::SUITE];

/// Run when named after `--peers`.
pub const PEERS: &[Suite] = &[redocly::SUITE];

pub fn default_names() -> Vec<&'static str> {
    DEFAULT.iter().map(|suite| suite.name).collect()
}

pub fn peer_names() -> Vec<&'static str> {
    PEERS.iter().map(|suite| suite.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut names = [default_names(), peer_names()].concat();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
