//! Master keys from an external command: a vault's client, a KMS wrapper. The command prints the key set on its standard
//! output and ends with status 0 within the time limit.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{MasterKeys, SourceError};

const MAX_OUTPUT: usize = 1 << 20;
/// What is kept of the standard error for the operator.
const MAX_STDERR: usize = 2048;

/// Runs `argv` and reads the key set it prints. No shell is involved; the environment is inherited, since that is where
/// such clients find their own credentials.
pub(super) async fn load(argv: &[String], limit: Duration) -> Result<MasterKeys, SourceError> {
    let (program, arguments) = argv.split_first().ok_or(SourceError::EmptyCommand)?;
    let failed = |source| SourceError::Command { program: program.clone(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let run = async {
        let output = read_capped(stdout, MAX_OUTPUT);
        let errors = read_capped(stderr, MAX_STDERR);
        let (output, errors, status) = tokio::try_join!(output, errors, child.wait())?;
        Ok((output, errors, status))
    };
    let (output, errors, status) = tokio::time::timeout(limit, run)
        .await
        .map_err(|_| SourceError::CommandTimedOut { program: program.clone(), limit })?
        .map_err(failed)?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&errors).trim().to_owned();
        return Err(SourceError::CommandFailed { program: program.clone(), status: status.to_string(), stderr });
    }
    let origin = format!("the command `{program}`");
    match std::str::from_utf8(&output) {
        Ok(text) => MasterKeys::from_text(text, &origin),
        Err(_) => Err(SourceError::Text { origin, reason: "its output is not UTF-8".to_owned() }),
    }
}

/// Keeps the first `limit` bytes and drains the rest, so that a talkative command is not stuck on a full pipe.
async fn read_capped(pipe: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(limit.min(64 * 1024)));
    let Some(mut pipe) = pipe else {
        return Ok(kept);
    };
    let mut buffer = Zeroizing::new([0_u8; 4096]);
    loop {
        let read = pipe.read(buffer.as_mut_slice()).await?;
        if read == 0 {
            return Ok(kept);
        }
        let room = limit - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}
