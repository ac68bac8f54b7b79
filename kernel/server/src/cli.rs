//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  plinth serve --data ./data                        serve on 127.0.0.1:8080 with SQLite in ./data
  plinth operator create --email you@example.com    make the first operator (asks for a password)
  plinth config print                               every setting, its value and where it came from
  PLINTH_STORE__URL=postgres://… plinth migrate     bring a PostgreSQL database to this version

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 not available, 5 a check found problems.";

#[derive(Debug, Parser)]
#[command(name = "plinth", version, about = "A platform kernel: tenants, identity, events and plugins in one binary", after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,

    /// Print results, and errors, as JSON.
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file; without it plinth.toml in the working directory, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Folder for the database, keys and locks [default: ./data].
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Set any key, such as --set log.level=debug; may be given several times.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until told to stop (Ctrl-C or SIGTERM)
    Serve(Serve),
    /// Bring the database to this version
    Migrate {
        /// Only tell what is applied and what is pending.
        #[arg(long)]
        status: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check the installation: configuration, database, keys, disk, clock, address
    Doctor,
    /// Copy the database to a file, also while the kernel runs
    Backup {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Put a backup in the place of the database; the kernel must not run
    Restore {
        /// The file that plinth backup wrote.
        file: PathBuf,
        /// Replace a database that is there. The old one is kept beside it.
        #[arg(long)]
        replace: bool,
    },
    /// People who run the platform
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Customers of the platform
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// The master keys that protect secrets at rest
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print generated files
    #[command(subcommand, hide = true)]
    Gen(GenCommand),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// For development and tests: mails at /api/v1/dev/outbox, a clock that can be moved. Never on the internet.
    #[arg(long)]
    pub dev: bool,

    /// At the first start create an operator and a demo tenant, and print how to sign in.
    #[arg(long)]
    pub demo: bool,

    /// When serving, print one line {"ready":true,"url":"…"} to standard output.
    #[arg(long)]
    pub ready_json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration is valid, and everything that is wrong with it
    Check,
    /// Print every key with its value and where it came from; secrets are masked
    Print,
}

#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Create an account with all rights on the platform
    Create {
        #[arg(long)]
        email: String,
        /// The name of the person [default: the part of the address before the @].
        #[arg(long)]
        name: Option<String>,
        /// Read the password from standard input instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make an existing account an operator
    Grant {
        #[arg(long)]
        email: String,
    },
    /// Take an operator's rights away; the account stays
    Revoke {
        #[arg(long)]
        email: String,
    },
    /// List operators
    List,
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List tenants
    List,
    /// Create a tenant with its owner
    Create {
        #[arg(long)]
        slug: String,
        #[arg(long)]
        name: String,
        /// The owner's address.
        #[arg(long)]
        email: String,
        /// Read the owner's password from standard input instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Suspend a tenant: its people and keys are refused until it is resumed
    Suspend {
        /// Slug or id.
        tenant: String,
        #[arg(long)]
        reason: String,
    },
    /// Let a suspended tenant work again
    Resume {
        /// Slug or id.
        tenant: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List master keys and how many data keys each of them wraps
    List,
    /// Make a new master key and wrap all data keys with it; the old one stays until it is retired
    Rotate,
    /// Remove a master key that wraps nothing any more
    Retire { id: uuid::Uuid },
}

#[derive(Debug, Subcommand)]
pub enum GenCommand {
    /// The OpenAPI document
    Openapi,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as log.level=debug")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Common {
    /// What flags say, as the configuration's last layer.
    pub fn overrides(&self, serve: Option<&Serve>) -> Vec<(String, String)> {
        let mut all = self.set.clone();
        let mut set = |key: &str, value: String| all.push((key.to_owned(), value));
        if let Some(data) = &self.data {
            set("server.data", data.display().to_string());
        }
        if let Some(serve) = serve {
            if let Some(listen) = serve.listen {
                set("server.listen", listen.to_string());
            }
            if serve.dev {
                set("server.dev", "true".to_owned());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_stable_interface_is_understood() {
        let cli = Cli::parse_from(["plinth", "serve", "--listen", "127.0.0.1:0", "--data", "d", "--ready-json"]);
        let Command::Serve(serve) = &cli.command else { panic!("not serve") };
        let overrides = cli.common.overrides(Some(serve));
        assert!(overrides.contains(&("server.listen".into(), "127.0.0.1:0".into())));
        assert!(overrides.contains(&("server.data".into(), "d".into())));
        let create = ["plinth", "operator", "create", "--email", "e@x.yz", "--password-stdin", "--data", "d", "--json"];
        assert!(Cli::try_parse_from(create).is_ok_and(|cli| cli.json));
    }
}
