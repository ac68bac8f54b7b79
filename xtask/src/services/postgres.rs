//! PostgreSQL in a temporary cluster, with fsync on as in production.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::daemon::{Daemon, Plan, User};
use crate::host::programs::Need;
use crate::host::{self, process};

pub const INITDB: Need = Need::new(&["initdb"], "postgresql");
pub const SERVER: Need = Need::new(&["postgres"], "postgresql");
pub const PROBE: Need = Need::new(&["pg_isready"], "postgresql");

pub struct Programs<'a> {
    pub initdb: &'a Path,
    pub postgres: &'a Path,
    pub probe: &'a Path,
}

pub fn start(programs: &Programs<'_>, folder: &Path, port: u16) -> Result<Daemon> {
    let home = folder.join("postgres");
    std::fs::create_dir(&home).with_context(|| format!("{} cannot be created", home.display()))?;
    // PostgreSQL refuses to run as root.
    let user = if host::is_root() { Some(unprivileged()?) } else { None };
    if let Some(user) = &user {
        std::os::unix::fs::chown(&home, Some(user.uid), Some(user.gid))
            .with_context(|| format!("{} cannot be given to {}", home.display(), user.name))?;
    }
    let data = home.join("data");
    initialise(programs.initdb, &data, user.as_ref())?;
    let plan = Plan {
        name: "PostgreSQL",
        program: programs.postgres,
        arguments: arguments(&data, &home, port),
        log: folder.join("postgres.log"),
        // Immediate shutdown: nobody needs this cluster again, and the other signals wait for clients.
        stop: "QUIT",
        user: user.as_ref(),
    };
    let probe = programs.probe;
    Daemon::start(plan, || {
        let mut command = Command::new(probe);
        command.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string(), "--dbname", "postgres"]);
        command.status().is_ok_and(|status| status.success())
    })
}

fn initialise(initdb: &Path, data: &Path, user: Option<&User>) -> Result<()> {
    let mut command = Command::new(initdb);
    command.arg("--pgdata").arg(data);
    // The C locale sorts by bytes, as SQLite does, so that both databases give one order.
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    // Files of the empty cluster need not survive a power loss; what the server writes later is synced.
    command.args(["--no-sync", "--no-instructions"]);
    if let Some(user) = user {
        use std::os::unix::process::CommandExt;
        command.uid(user.uid).gid(user.gid);
    }
    // The working folder may be closed to the other user, and initdb looks at it.
    command.current_dir("/");
    process::captured(&mut command, "initdb")?;
    Ok(())
}

fn arguments(data: &Path, sockets: &Path, port: u16) -> Vec<String> {
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", sockets.display()),
        "fsync=on".into(),
        // Every test has a database and a pool of its own.
        "max_connections=500".into(),
        "shared_buffers=256MB".into(),
        "max_wal_size=2GB".into(),
        "max_prepared_transactions=32".into(),
    ];
    let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    arguments
}

/// The user to run as instead of root: Debian's own for the database, otherwise nobody.
fn unprivileged() -> Result<User> {
    let path = PathBuf::from("/etc/passwd");
    let passwd = std::fs::read_to_string(&path).context("/etc/passwd cannot be read")?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| find_user(&passwd, name))
        .context("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: create one")
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found == name).then(|| User { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_passwd() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken line\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n";
        let expected = User { name: "postgres".into(), uid: 101, gid: 104 };
        assert_eq!(find_user(passwd, "postgres"), Some(expected));
        assert_eq!(find_user(passwd, "post"), None);
        assert_eq!(find_user(passwd, "nobody"), None);
    }

    #[test]
    fn the_server_syncs_and_listens_on_loopback_only() {
        let arguments = arguments(Path::new("/d"), Path::new("/s"), 4711);
        for setting in ["fsync=on", "listen_addresses=127.0.0.1", "port=4711", "unix_socket_directories=/s"] {
            assert!(arguments.iter().any(|argument| argument == setting), "{setting}");
        }
    }
}
