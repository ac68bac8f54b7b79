//! What can be typed after `cargo xtask`, with the help that explains it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::toolchain::Way;

/// Build, run and prove Plinth.
///
/// Two commands are enough to begin: `cargo xtask run` starts the kernel with a demo tenant, `cargo xtask test` is
/// the full proof. Everything they need is installed or asked for by name.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    Run(RunOptions),
    Test(TestOptions),
    Soak(SoakOptions),
    /// Everything that must hold before a change goes in: format, lints, docs, dependency law, generated files, test.
    ///
    /// In order: cargo fmt --check, cargo clippy with warnings as errors, rustdoc of private items with warnings as
    /// errors, the dependency law (which crate may use what), `gen --check`, cargo-deny when it is installed, and
    /// then all of `cargo xtask test`. Prints the ten largest Rust files.
    Ci,
    Gen(GenOptions),
    Plugins(PluginsOptions),
    Bench(BenchOptions),
}

/// Start the kernel on this machine with a demo tenant, in the foreground.
///
/// Builds the release binary and becomes `plinth serve --dev --demo`. The kernel prints its address, the demo
/// credentials and three things to try. Ctrl-C stops it; the data stays in --data for the next start.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder that holds the database, keys and files; created when missing.
    #[arg(long, value_name = "FOLDER", default_value = "./data")]
    pub data: PathBuf,
    /// Further arguments for `plinth serve`.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub extra: Vec<String>,
}

/// The full proof: every Rust test against real PostgreSQL, NATS and Redis, then the suites in other languages.
///
/// The three services run on free ports of 127.0.0.1 with their data in a temporary folder and are stopped at the
/// end. Missing programs are installed with apt-get when this runs as root. The table at the end names what passed,
/// what failed and what was not run. About 10 minutes warm, 50 from nothing on two cores.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask test                       everything
  cargo xtask test idempotency           Rust tests whose name contains the word
  cargo xtask test --suite schemathesis  one suite and no Rust tests
  cargo xtask test --peers redocly       also this foreign peer
  cargo xtask test -- --no-capture       anything after -- goes to cargo nextest run")]
pub struct TestOptions {
    /// Run only Rust tests whose name contains one of these words, and no suite.
    #[arg(value_name = "FILTER", conflicts_with = "suite")]
    pub filters: Vec<String>,
    /// Run only these suites, and no Rust tests.
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = crate::suites::default_names())]
    pub suite: Vec<String>,
    /// Also run the checks against these foreign peers, which take longer or download more.
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = crate::suites::peer_names())]
    pub peers: Vec<String>,
    /// Start no PostgreSQL, NATS and Redis: tests use PLINTH_TEST_{POSTGRES,NATS,REDIS}_URL as they are set now.
    #[arg(long)]
    pub no_services: bool,
    /// Further arguments for `cargo nextest run`.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub nextest: Vec<String>,
}

/// Let a release kernel work for a long time and watch that it neither grows nor slows down.
///
/// Builds the release binary, starts it on a temporary data folder and runs the ignored tests of the package
/// plinth-tests whose name contains `soak`, in the nextest profile `soak` (no time limit). The tests find in their
/// environment: PLINTH_SOAK_MINUTES, PLINTH_SOAK_URL (base address of the running kernel), PLINTH_SOAK_PID (its
/// process, to read memory and open files), PLINTH_SOAK_DATA (its data folder) and PLINTH_BIN (the release binary).
#[derive(Debug, Args)]
pub struct SoakOptions {
    /// How long the load lasts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub minutes: u32,
}

/// Write what is generated from the code: sdk/openapi.json and the TypeScript types made from it.
#[derive(Debug, Args)]
pub struct GenOptions {
    /// Write nothing; fail with the differences when a committed file is not what the code gives.
    #[arg(long)]
    pub check: bool,
}

/// Prepare the WebAssembly toolchain and build the first-party plugins in plugins/ to components.
///
/// The toolchain is the rustup target wasm32-unknown-unknown. Where rustup cannot fetch it, Debian's rustc-web is
/// unpacked into the user's cache folder (nothing is installed in the system, about 850 MB). Once prepared, a tiny
/// crate is compiled to prove that it works.
#[derive(Debug, Args)]
pub struct PluginsOptions {
    /// Where the compiler for WebAssembly comes from.
    #[arg(long, value_name = "WAY", value_enum, default_value_t = Way::Auto)]
    pub from: Way,
}

/// Measure with the release build of plinth-bench.
///
/// A name that ends in `-pg` is measured on PostgreSQL: the test services are started for it and their addresses
/// exported as for `test`. Without a name plinth-bench lists what it can measure.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// What to measure, for example `edge append`.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Further arguments for plinth-bench.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub extra: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_after_two_dashes_belong_to_the_other_program() {
        let cli = Cli::try_parse_from(["cargo xtask", "test", "orders", "--", "--no-capture"]).unwrap();
        let Task::Test(options) = cli.task else { panic!("expected test, got {:?}", cli.task) };
        assert_eq!(options.filters, ["orders"]);
        assert_eq!(options.nextest, ["--no-capture"]);
    }

    #[test]
    fn an_unknown_peer_is_refused_with_the_known_ones() {
        let error = Cli::try_parse_from(["cargo xtask", "test", "--peers", "nobody"]).unwrap_err().to_string();
        assert!(error.contains("nobody") && error.contains("redocly"), "{error}");
    }

    #[test]
    fn a_soak_of_no_time_is_refused() {
        assert!(Cli::try_parse_from(["cargo xtask", "soak", "--minutes", "0"]).is_err());
    }
}
