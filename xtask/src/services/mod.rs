//! The real services that tests talk to: PostgreSQL, NATS with JetStream, Redis.
//!
//! Each runs on a free port of 127.0.0.1 with its data in one temporary folder, and all end with this value. Tests
//! learn the addresses from the environment and never start or share anything by themselves.

mod nats;
mod postgres;
mod redis;

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::host::daemon::Daemon;
use crate::host::interrupt::{self, Held, Hold};
use crate::host::{ports, programs};
use crate::ui;

pub const POSTGRES_URL: &str = "PLINTH_TEST_POSTGRES_URL";
pub const NATS_URL: &str = "PLINTH_TEST_NATS_URL";
pub const REDIS_URL: &str = "PLINTH_TEST_REDIS_URL";

#[derive(Debug)]
pub struct Services {
    env: Vec<(&'static str, String)>,
    // Before the folder, since fields are dropped in order and a server needs its folder to the end.
    _daemons: Vec<Daemon>,
    _folder: TempDir,
    _hold: Hold,
}

impl Services {
    /// Starts all three, installing their programs first where that is needed and allowed.
    pub fn start() -> Result<Self> {
        let needs = [postgres::INITDB, postgres::SERVER, postgres::PROBE, nats::SERVER, redis::SERVER];
        let found = programs::ensure(&needs)?;
        let [initdb, postgres, probe, nats, redis] = found.as_slice() else {
            unreachable!("ensure gives one path for each need");
        };
        let folder = tempfile::Builder::new().prefix("plinth-test-").tempdir().context("no temporary folder")?;
        let hold = interrupt::hold(Held::Folder(folder.path().to_owned()));
        // PostgreSQL may run as another user, who has to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))
            .context("the temporary folder cannot be opened to the database's user")?;
        let [postgres_port, nats_port, redis_port] = ports::free()?;

        let step = ui::step("starting PostgreSQL");
        let postgres = postgres::start(&postgres::Programs { initdb, postgres, probe }, folder.path(), postgres_port)?;
        step.done(&format!("127.0.0.1:{postgres_port}"));
        let step = ui::step("starting NATS and Redis");
        let nats = nats::start(nats, folder.path(), nats_port)?;
        let redis = redis::start(redis, folder.path(), redis_port)?;
        step.done(&format!("127.0.0.1:{nats_port} and 127.0.0.1:{redis_port}"));

        let env = vec![
            (POSTGRES_URL, format!("postgres://postgres@127.0.0.1:{postgres_port}/postgres")),
            (NATS_URL, format!("nats://127.0.0.1:{nats_port}")),
            (REDIS_URL, format!("redis://127.0.0.1:{redis_port}")),
        ];
        Ok(Self { env, _daemons: vec![postgres, nats, redis], _folder: folder, _hold: hold })
    }

    /// What tests find in their environment.
    pub fn env(&self) -> &[(&'static str, String)] {
        &self.env
    }
}

/// Connects, sends `request` and tells whether the answer begins with `expected`.
fn answers(port: u16, request: &[u8], expected: &[u8]) -> bool {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut answer = vec![0; expected.len()];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == expected
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// During `cargo xtask test` this is a second set beside the first, so it also shows that sets do not meet.
    #[test]
    fn a_set_of_services_answers_and_leaves_nothing_behind() {
        let needs = [postgres::INITDB, postgres::SERVER, postgres::PROBE, nats::SERVER, redis::SERVER];
        programs::ensure(&needs).expect("the servers are installed; `cargo xtask test` does that");
        let services = Services::start().unwrap();
        let url = |name: &str| services.env().iter().find(|(key, _)| *key == name).unwrap().1.clone();

        let psql = programs::find("psql").expect("psql comes with the server");
        let show = |setting: &str| {
            let mut query = Command::new(&psql);
            let output = query.args([&url(POSTGRES_URL), "-Atc", &format!("SHOW {setting}")]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        assert_eq!(show("fsync"), "on");
        let sockets = show("unix_socket_directories");
        let folder = Path::new(&sockets).parent().unwrap();
        assert!(folder.join("nats.log").exists());

        let port = |url: &str| url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
        let (nats, redis) = (port(&url(NATS_URL)), port(&url(REDIS_URL)));
        assert!(answers(nats, b"", b"INFO "));
        assert!(answers(redis, b"PING\r\n", b"+PONG"));

        drop(services);
        assert!(!answers(nats, b"", b"INFO ") && !answers(redis, b"PING\r\n", b"+PONG"));
        assert!(!folder.exists());
    }
}
