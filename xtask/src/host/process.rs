//! Running other programs to their end: in the foreground, in a group of their own, or with their output kept.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::host::interrupt::{self, Held};

/// How much of a failed program's output is worth showing.
const TAIL_LINES: usize = 30;

/// Runs a program that shares the terminal. An error when it does not succeed.
pub fn foreground(command: &mut Command, name: &str) -> Result<()> {
    let status = foreground_status(command, name)?;
    succeed(status, name)
}

/// Like [`foreground`], for programs whose exit code means something.
pub fn foreground_status(command: &mut Command, name: &str) -> Result<ExitStatus> {
    interrupt::check()?;
    let child = spawn(command, name)?;
    wait(child, name, Held::Foreground)
}

/// Runs a program that leads its own process group, so that it and its children can be stopped together, with its
/// output on the screen and nothing to read.
pub fn grouped(command: &mut Command, name: &str) -> Result<()> {
    interrupt::check()?;
    let child = spawn(command.stdin(Stdio::null()).process_group(0), name)?;
    let status = wait(child, name, Held::Group)?;
    succeed(status, name)
}

/// Runs a program quietly and returns its standard output. When it fails the end of what it said is in the error.
pub fn captured(command: &mut Command, name: &str) -> Result<String> {
    interrupt::check()?;
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = spawn(command, name)?;
    let _hold = interrupt::hold(Held::Group(child.id()));
    let output = child.wait_with_output().with_context(|| format!("{name} could not be waited for"))?;
    interrupt::check()?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        bail!("{name} ended with {}\n{}", output.status, tail(&said));
    }
    Ok(stdout)
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn spawn(command: &mut Command, name: &str) -> Result<Child> {
    command.spawn().with_context(|| format!("{name} did not start; is {} installed?", command.get_program().display()))
}

fn wait(mut child: Child, name: &str, held: fn(u32) -> Held) -> Result<ExitStatus> {
    let _hold = interrupt::hold(held(child.id()));
    let status = child.wait().with_context(|| format!("{name} could not be waited for"))?;
    interrupt::check()?;
    Ok(status)
}

fn succeed(status: ExitStatus, name: &str) -> Result<()> {
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_a_failed_program_is_in_the_error() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let error = captured(&mut command, "the script").unwrap_err().to_string();
        assert!(error.contains("the script") && error.contains("exit status: 3"), "{error}");
        assert!(error.contains("out") && error.contains("err"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = foreground(&mut Command::new("no-such-program-here"), "the thing").unwrap_err();
        assert!(format!("{error:#}").contains("no-such-program-here"), "{error:#}");
    }

    #[test]
    fn the_tail_is_the_end() {
        let lines: Vec<String> = (0..100).map(|number| format!("line {number}")).collect();
        let text = lines.join("\n");
        let end = tail(&text);
        assert_eq!(end.lines().count(), TAIL_LINES);
        assert!(end.ends_with("line 99"));
        assert_eq!(tail(""), "");
    }
}
