//! A running kernel.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{Ask, Database, PostgresDatabase, Setup, Wire, binary, command, command::Line};
use plinth_client::Client;
use serde_json::Value;

/// A debug build on a busy machine is slow to start; one that takes longer than this hangs.
const START_WITHIN: Duration = Duration::from_secs(30);

/// What the process said before it ended without serving.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub output: command::Output,
}

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command::Output { code, stdout, stderr } = &self.output;
        write!(f, "the kernel ended with code {code} before it served\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// A kernel in a process of its own. It is killed when the value is dropped.
pub struct Kernel {
    child: Option<(Child, BufReader<ChildStdout>)>,
    url: String,
    port: u16,
    setup: Setup,
}

impl Kernel {
    /// On SQLite, with mails and clock at hand.
    pub fn start() -> Self {
        Self::setup().start()
    }

    pub fn start_on(database: Database) -> Self {
        Self::setup().on(database).start()
    }

    pub fn setup() -> Setup {
        Setup::new()
    }

    /// A second node on the database and with the keys of this one.
    pub fn second_node(&self) -> Setup {
        let mut setup = Setup::new();
        setup.environment.clone_from(&self.setup.environment);
        setup.postgres.clone_from(&self.setup.postgres);
        setup.env("PLINTH_SECRETS__FILE", self.data().join("master.key").display().to_string())
    }

    pub(crate) fn spawned(setup: Setup) -> Result<Self, NotStarted> {
        let mut kernel = Self { child: None, url: String::new(), port: 0, setup };
        kernel.spawn()?;
        Ok(kernel)
    }

    fn spawn(&mut self) -> Result<(), NotStarted> {
        let setup = &self.setup;
        if setup.has_public_url() && self.port == 0 {
            // The ready line tells the public address then, and nobody learns the port that a 0 became.
            self.port = free_port();
        }
        let log = self.log_file();
        let stderr = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let from = stderr.metadata().map_or(0, |log| log.len());
        let mut command = binary::command();
        command.args(["serve", "--ready-json", "--listen", &format!("127.0.0.1:{}", self.port), "--data"]);
        command.arg(setup.data()).args(&setup.arguments);
        if setup.dev {
            command.arg("--dev");
        }
        command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(setup.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the binary can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let watchdog = Watchdog::new(child.id());
        let mut line = String::new();
        stdout.read_line(&mut line).expect("standard output is text");
        drop(watchdog);
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        if ready["ready"] != true {
            stdout.read_to_string(&mut line).ok();
            let status = child.wait().expect("the kernel ends");
            let whole = std::fs::read(&log).unwrap_or_default();
            let stderr = String::from_utf8_lossy(&whole[from as usize..]).into_owned();
            return Err(NotStarted {
                output: command::Output { code: status.code().unwrap_or(-1), stdout: line, stderr },
            });
        }
        self.child = Some((child, stdout));
        if setup.has_public_url() {
            self.url = format!("http://127.0.0.1:{}", self.port);
        } else {
            ready["url"].as_str().expect("the ready line has an address").clone_into(&mut self.url);
            self.port =
                self.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("the address has a port");
        }
        Ok(())
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the kernel runs").0.id()
    }

    pub fn data(&self) -> PathBuf {
        self.setup.data()
    }

    /// A folder beside the data, for the test's own files.
    pub fn folder(&self) -> &Path {
        self.setup.folder()
    }

    pub fn postgres(&self) -> Option<&PostgresDatabase> {
        self.setup.postgres.as_deref()
    }

    /// A command on this kernel's data, in this kernel's environment.
    pub fn line<const N: usize>(&self, arguments: [&str; N]) -> Line {
        self.setup.line(arguments)
    }

    fn log_file(&self) -> PathBuf {
        self.setup.folder.path().join("kernel.log")
    }

    /// Everything that the kernel logged, over all its starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Sets a variable for the next start.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.setup.environment.retain(|(known, _)| known != name);
        self.setup.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Ends the process as a power loss would, as far as processes are concerned.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            child.kill().expect("the kernel can be killed");
            child.wait().expect("the kernel ends");
        }
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal {name} cannot be sent");
    }

    /// Waits until the process has ended.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        let (child, _) = self.child.as_mut().expect("the kernel runs");
        loop {
            if let Some(status) = child.try_wait().expect("the kernel can be waited for") {
                self.child = None;
                return status;
            }
            assert!(began.elapsed() < within, "the kernel did not end within {within:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the kernel to stop and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended(Duration::from_secs(30))
    }

    /// Starts it again on the same data and port, so that addresses and tokens stay good. Kills it before if it runs.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn().unwrap_or_else(|failed| panic!("{failed}"));
    }

    /// Tries to start it again, which is expected to fail.
    pub fn restart_refused(&mut self) -> command::Output {
        self.kill();
        match self.spawn() {
            Ok(()) => panic!("the kernel started: {}", self.url),
            Err(failed) => failed.output,
        }
    }

    /// A client without credentials that repeats nothing.
    pub fn client(&self) -> Client {
        Client::builder(&self.url).retries(0).build().expect("a client")
    }

    /// A connection on which anything can be sent.
    pub async fn wire(&self) -> Wire {
        Wire::connect(self.port).await
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.port, method, path)
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        self.ask("POST", path).json(body)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("--- the kernel's log ---\n{}--- end of the kernel's log ---", self.log());
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// Kills a process that says nothing for too long, so that the reader of its output gets an end.
struct Watchdog(Option<std::sync::mpsc::Sender<()>>);

impl Watchdog {
    fn new(pid: u32) -> Self {
        let (alive, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(START_WITHIN) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                Command::new("kill").arg("-KILL").arg(pid.to_string()).status().ok();
            }
        });
        Self(Some(alive))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}
