//! A PostgreSQL database for one test, made and dropped with `psql`.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

const SERVER: &str = "PLINTH_TEST_POSTGRES_URL";

/// An empty database of its own in the test server; dropped with the value.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: String,
    name: String,
    url: String,
}

impl PostgresDatabase {
    pub fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(SERVER).unwrap_or_else(|_| {
            panic!(
                "{SERVER} names no PostgreSQL server: run `cargo xtask test`, which starts one, or set it to one that tests may use"
            )
        });
        let (base, _) = server.rsplit_once('/').expect("the address ends with a database");
        let name = format!("plinth_e2e_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let url = format!("{base}/{name}");
        // A run that was killed leaves its databases behind, and process ids come again.
        psql(&server, &format!("drop database if exists {name} with (force)"));
        psql(&server, &format!("create database {name}"));
        Self { server, name, url }
    }

    /// The address, as the owner of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Host and port of the server.
    pub fn server_address(&self) -> &str {
        let after = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        let host = after.rsplit_once('/').map_or(after, |(host, _)| host);
        host.rsplit_once('@').map_or(host, |(_, host)| host)
    }

    /// Ends every connection to this database, as a restart of the server does.
    pub fn cut_connections(&self) {
        self.administer(&format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{}' and pid <> pg_backend_pid()",
            self.name
        ));
    }

    /// Runs SQL in this database, above all row-level security, and returns what it printed: rows as lines, columns
    /// separated by `|`.
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url, sql)
    }

    /// Runs SQL in the server's own database.
    pub fn administer(&self, sql: &str) -> String {
        psql(&self.server, sql)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // The test may have failed already; the reason for that is what must be seen.
        try_psql(&self.server, &format!("drop database if exists {} with (force)", self.name)).ok();
    }
}

fn psql(url: &str, sql: &str) -> String {
    try_psql(url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn try_psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set",
            "ON_ERROR_STOP=1",
            "--command",
            sql,
            url,
        ])
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .output()
        .map_err(|error| format!("psql cannot be run ({error}); install the client tools of PostgreSQL"))?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let said = said.trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}
