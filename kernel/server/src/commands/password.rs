//! Passwords for new accounts: from standard input, or asked for at the terminal without showing them.

use std::{
    io::{BufRead, IsTerminal, Write},
    process::Command,
};

use anyhow::{Context, anyhow};

use crate::failure::Failure;

pub fn read(from_stdin: bool) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if from_stdin {
        return line(&mut stdin.lock());
    }
    if !stdin.is_terminal() {
        return Err(Failure::Failed(anyhow!(
            "there is no terminal to ask for the password; pipe it in and add --password-stdin"
        )));
    }
    let first = ask("Password: ")?;
    if ask("Again: ")? != first {
        return Err(Failure::Failed(anyhow!("the two passwords differ; nothing was changed")));
    }
    Ok(first)
}

fn line(input: &mut impl BufRead) -> Result<String, Failure> {
    let mut text = String::new();
    input.read_line(&mut text).context("the password cannot be read")?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() { Err(Failure::Failed(anyhow!("the password on standard input is empty"))) } else { Ok(text) }
}

/// The terminal's echo is switched off by the system's own tool, which needs no unsafe code here.
fn ask(prompt: &str) -> Result<String, Failure> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{prompt}").and_then(|()| stderr.flush()).context("the terminal cannot be written")?;
    let quiet = Command::new("stty").arg("-echo").status().is_ok_and(|status| status.success());
    let answer = line(&mut std::io::stdin().lock());
    if quiet {
        Command::new("stty").arg("echo").status().ok();
        writeln!(stderr).ok();
    }
    answer
}
