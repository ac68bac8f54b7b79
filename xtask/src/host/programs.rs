//! Finding programs: on PATH, and where Debian puts servers without putting them on PATH.

use std::cmp::Reverse;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::host::apt;

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Names under which it is known; the first found is used.
    pub names: &'static [&'static str],
    pub package: &'static str,
}

impl Need {
    pub const fn new(names: &'static [&'static str], package: &'static str) -> Self {
        Self { names, package }
    }

    fn find(&self) -> Option<PathBuf> {
        self.names.iter().find_map(|name| find(name))
    }
}

/// The programs, in the order asked. What is missing is installed where that is allowed; otherwise the error says
/// what to install and how.
pub fn ensure(needs: &[Need]) -> Result<Vec<PathBuf>> {
    let missing =
        |needs: &[Need]| -> Vec<Need> { needs.iter().filter(|need| need.find().is_none()).copied().collect() };
    let first = missing(needs);
    if !first.is_empty() {
        let mut packages: Vec<&str> = first.iter().map(|need| need.package).collect();
        packages.dedup();
        if apt::available() {
            apt::install(&packages)?;
        }
        let still = missing(needs);
        if !still.is_empty() {
            let names: Vec<&str> = still.iter().map(|need| need.names[0]).collect();
            bail!(
                "{} not found on PATH, in /usr/sbin or in /usr/lib/postgresql/*/bin; install with: sudo apt-get install -y {}",
                names.join(", "),
                packages.join(" ")
            );
        }
    }
    Ok(needs.iter().filter_map(Need::find).collect())
}

/// The first place where a program lies.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(name, folders())
}

/// Everywhere to look: PATH first, so that a person can choose another version.
fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    on_path
        .into_iter()
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(postgres_folders(Path::new("/usr/lib/postgresql")))
}

fn find_in(name: &str, folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join(name)).find(|path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

/// Debian keeps each PostgreSQL version in a folder of its own; the newest first.
fn postgres_folders(base: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(folder: &Path, name: &str, mode: u32) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), "#!/bin/sh\n").unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn earlier_folders_win_and_what_cannot_be_run_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let [plain, first, second] = ["plain", "first", "second"].map(|name| root.path().join(name));
        program(&plain, "initdb", 0o644);
        program(&first, "initdb", 0o755);
        program(&second, "initdb", 0o755);
        let found = find_in("initdb", [root.path().join("absent"), plain.clone(), first.clone(), second]);
        assert_eq!(found, Some(first.join("initdb")));
        assert_eq!(find_in("initdb", [plain]), None);
    }

    #[test]
    fn the_newest_postgres_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "not-a-version"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let found = postgres_folders(root.path());
        let expected: Vec<PathBuf> = ["17", "15", "9"].map(|version| root.path().join(version).join("bin")).into();
        assert_eq!(found, expected);
        assert!(postgres_folders(Path::new("/no/such/folder")).is_empty());
    }

    #[test]
    fn a_program_under_one_of_its_names_is_enough() {
        let found = ensure(&[Need::new(&["no-such-shell", "sh"], "dash")]).unwrap();
        assert!(found[0].ends_with("sh"));
    }
}
