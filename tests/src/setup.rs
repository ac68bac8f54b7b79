//! How a kernel is started: its data, its database, its variables.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use tempfile::TempDir;

use crate::{
    Database, Kernel, PostgresDatabase,
    command::{self, Line},
};

/// How a kernel is started.
#[must_use = "a setup does nothing until `start`"]
pub struct Setup {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: Rc<TempDir>,
    data: PathBuf,
    pub(crate) postgres: Option<Rc<PostgresDatabase>>,
    pub(crate) dev: bool,
}

/// No test reaches a limit unless it wants to, and nobody waits for a slow hash.
const GENEROUS: &[(&str, &str)] = &[
    ("PLINTH_IDENTITY__ARGON2_MEMORY_KIB", "64"),
    ("PLINTH_IDENTITY__ARGON2_ITERATIONS", "1"),
    ("PLINTH_LIMITS__ADDRESS_PER_MINUTE", "100000000"),
    ("PLINTH_LIMITS__ADDRESS_BURST", "10000000"),
    ("PLINTH_LIMITS__KEY_PER_MINUTE", "100000000"),
    ("PLINTH_LIMITS__KEY_BURST", "10000000"),
    ("PLINTH_LIMITS__TENANT_PER_MINUTE", "100000000"),
    ("PLINTH_LIMITS__TENANT_BURST", "10000000"),
    ("PLINTH_LIMITS__SIGN_IN_PER_MINUTE", "100000000"),
    ("PLINTH_LIMITS__SIGN_IN_BURST", "10000000"),
];

impl Setup {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("plinth-test-").expect("a temporary folder");
        let environment = GENEROUS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data = folder.path().join("data");
        Self { environment, arguments: Vec::new(), folder: Rc::new(folder), data, postgres: None, dev: true }
    }

    pub fn on(self, database: Database) -> Self {
        if database == Database::Postgres { self.on_postgres(PostgresDatabase::create()) } else { self }
    }

    pub fn on_postgres(mut self, postgres: PostgresDatabase) -> Self {
        self = self.env("PLINTH_STORE__URL", postgres.url());
        self.postgres = Some(Rc::new(postgres));
        self
    }

    /// Sets a variable, in the place of what it was before.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// As in production: no outbox, no clock.
    pub fn without_dev(mut self) -> Self {
        self.dev = false;
        self
    }

    /// Keeps the data in a folder of the test's own making.
    pub fn data_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = folder.into();
        self
    }

    /// The data folder; the kernel makes it.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// A folder beside the data, for the test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn has_public_url(&self) -> bool {
        self.environment.iter().any(|(name, _)| name == "PLINTH_SERVER__PUBLIC_URL")
    }

    pub fn start(self) -> Kernel {
        if self.postgres.is_some() {
            self.line(["migrate"]).run().expect(0);
        }
        self.start_migrated()
    }

    /// Starts on a database that is at this version already.
    pub fn start_migrated(self) -> Kernel {
        Kernel::spawned(self).unwrap_or_else(|failed| panic!("{failed}"))
    }

    /// Starts a kernel that is expected to end by itself.
    pub fn start_refused(self) -> command::Output {
        match Kernel::spawned(self) {
            Ok(kernel) => panic!("the kernel started: {}", kernel.url()),
            Err(failed) => failed.output,
        }
    }

    /// A command on this kernel's data, in this kernel's environment.
    pub fn line<const N: usize>(&self, arguments: [&str; N]) -> Line {
        let line =
            self.environment.iter().fold(command::plinth(arguments), |line, (name, value)| line.env(name, value));
        line.data(&self.data())
    }
}
