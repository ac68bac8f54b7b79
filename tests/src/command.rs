//! The binary's command line: run to its end, with what it said.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::binary;

/// A command that ended.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// This output, when the command ended with `code`; otherwise the test fails and shows what was said.
    #[expect(clippy::return_self_not_must_use, reason = "it is a check first of all")]
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }

    /// Standard error's last line as JSON: the error, and its message.
    #[track_caller]
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let mut whole: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {:?}", self.stderr));
        whole["error"].take()
    }

    /// Fails when standard error lacks one of these.
    #[expect(clippy::return_self_not_must_use, reason = "it is a check first of all")]
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said:\n{}", self.stderr);
        }
        self
    }
}

/// A command line that is being put together: `plinth(["config", "check"]).env("PLINTH_LOG__LEVEL", "loud").run()`.
pub struct Line {
    command: Command,
    stdin: Vec<u8>,
}

pub fn plinth<const N: usize>(arguments: [&str; N]) -> Line {
    let mut command = binary::command();
    command.args(arguments);
    Line { command, stdin: Vec::new() }
}

impl Line {
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn data(self, folder: &Path) -> Self {
        self.arg("--data").arg(folder)
    }

    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Hands the whole line, environment included, to another program as its last arguments.
    #[must_use]
    pub fn under(self, program: &[&str]) -> Self {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self { command, stdin: self.stdin }
    }

    /// Starts it and kills it after a while, whatever it is doing then.
    pub fn run_and_kill(mut self, after: std::time::Duration) {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().expect("the binary can be run");
        std::thread::sleep(after);
        child.kill().ok();
        child.wait().expect("the binary ends");
    }

    pub fn run(mut self) -> Output {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        // A command that does not read its input closes the pipe; that is no failure of the test.
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&self.stdin).ok();
        drop(stdin);
        let output = child.wait_with_output().expect("the binary ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
