//! The second way: Debian's compiler, built with the WebAssembly back end, and its standard library as source.
//!
//! The packages are unpacked into one folder of the cache and nothing is installed, so an ordinary user can do it
//! and the system's own Rust is not touched. Versions move with security updates and are asked for, never written
//! down. The folder appears under its name only when it is complete and its compiler answered.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{WasmToolchain, sysroot};
use crate::host::{self, apt, process, programs};
use crate::ui;

const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

pub fn toolchain(folder: &Path, sysroot: &Path) -> Result<WasmToolchain> {
    let compiler = folder.join("usr/bin/rustc");
    let libraries = library_path(folder);
    let mut version = Command::new(&compiler);
    let version = version.arg("-vV").env("LD_LIBRARY_PATH", &libraries);
    let identity = process::captured(version, "Debian's rustc -vV")
        .with_context(|| format!("remove {} to fetch it again", folder.display()))?;
    Ok(WasmToolchain {
        name: format!("Debian's {}", identity.lines().next().unwrap_or("rustc").trim()),
        env: vec![
            ("RUSTC", compiler.into()),
            // Building the standard library is a nightly option, which this compiler takes when told so.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("LD_LIBRARY_PATH", libraries),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", sysroot::linker(sysroot)?.into()),
        ],
        arguments: vec!["-Zbuild-std=std,panic_abort"],
        identity,
    })
}

/// Downloads and unpacks everything into `folder`.
pub fn fetch(folder: &Path, sysroot: &Path) -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        programs::find(program).with_context(|| format!("{program} not found; this is not a Debian system"))?;
    }
    // Asked for before 150 MB are fetched.
    sysroot::linker(sysroot)?;
    let step = ui::step("fetching Debian's compiler for WebAssembly (about 150 MB, 850 MB unpacked)");
    let parent = folder.parent().context("the cache folder has no parent")?;
    let work = tempfile::Builder::new().prefix("wasm-debian-").tempdir_in(parent).context("no work folder")?;
    let _hold = host::interrupt::hold(host::interrupt::Held::Folder(work.path().to_owned()));
    let packages = match wanted().and_then(|packages| download(&packages, work.path(), &step).map(|()| packages)) {
        Ok(packages) => packages,
        // Lists that are missing or older than the mirror name files that are gone.
        Err(error) if host::is_root() => {
            step.now("apt-get update");
            process::captured(&mut apt::apt(&["update"]), "apt-get update").with_context(|| format!("{error:#}"))?;
            let packages = wanted()?;
            download(&packages, work.path(), &step)?;
            packages
        }
        Err(error) => {
            return Err(error.context("if the package lists are old, run: sudo apt-get update"));
        }
    };
    let unpacked = work.path().join("unpacked");
    unpack(work.path(), &unpacked, packages.len(), &step)?;
    toolchain(&unpacked, sysroot)?;
    std::fs::rename(&unpacked, folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    step.done(&folder.display().to_string());
    Ok(())
}

/// The packages and those of their dependencies that carry a version in their name.
fn wanted() -> Result<Vec<String>> {
    let mut wanted: Vec<String> = PACKAGES.map(str::to_owned).into();
    let mut next = 0;
    while let Some(package) = wanted.get(next) {
        let text = process::captured(Command::new("apt-cache").args(["depends", package]), "apt-cache depends")?;
        for name in versioned_dependencies(&text) {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        next += 1;
    }
    if !wanted.iter().any(|name| name.starts_with("libstd-rust-web-") && name != PACKAGES[1]) {
        bail!("apt knows no {}; its lists are missing or this release has none", PACKAGES[1]);
    }
    Ok(wanted)
}

fn versioned_dependencies(depends: &str) -> Vec<String> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("libstd-rust-web-") || name.starts_with("libllvm"))
        .map(str::to_owned)
        .collect()
}

fn download(packages: &[String], folder: &Path, step: &ui::Step) -> Result<()> {
    for (index, package) in packages.iter().enumerate() {
        step.now(&format!("downloading {package} ({} of {})", index + 1, packages.len()));
        let mut command = apt::apt(&["download"]);
        // As root apt downloads as the user _apt, who may not write here, and would complain.
        command.args(["-o", "APT::Sandbox::User=root", package]).current_dir(folder);
        process::captured(&mut command, &format!("apt-get download {package}"))?;
    }
    Ok(())
}

fn unpack(archives: &Path, target: &Path, expected: usize, step: &ui::Step) -> Result<()> {
    let found: Vec<PathBuf> = std::fs::read_dir(archives)
        .context("the downloads cannot be read")?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    if found.len() < expected {
        bail!("{expected} packages were asked for and {} came", found.len());
    }
    for archive in found {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        step.now(&format!("unpacking {name}"));
        process::captured(Command::new("dpkg").arg("-x").arg(&archive).arg(target), &format!("dpkg -x {name}"))?;
    }
    Ok(())
}

/// `usr/lib` and its folder for this architecture, such as `usr/lib/x86_64-linux-gnu`.
fn library_path(folder: &Path) -> OsString {
    let base = folder.join("usr/lib");
    let triplets = std::fs::read_dir(&base)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("-linux-gnu"));
    let mut folders: Vec<PathBuf> = triplets.collect();
    folders.push(base);
    std::env::join_paths(folders).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_compilers_own_libraries_are_wanted() {
        let depends = "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: libllvm22\n  Conflicts: <rustup>\n";
        assert_eq!(versioned_dependencies(depends), ["libllvm22"]);
        let depends = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n  Conflicts: libllvm3\n";
        assert_eq!(versioned_dependencies(depends), ["libstd-rust-web-1.96"]);
    }

    #[test]
    fn libraries_of_the_architecture_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("usr/lib/x86_64-linux-gnu")).unwrap();
        std::fs::create_dir_all(root.path().join("usr/lib/rustlib")).unwrap();
        let path = library_path(root.path()).into_string().unwrap();
        let base = root.path().display();
        assert_eq!(path, format!("{base}/usr/lib/x86_64-linux-gnu:{base}/usr/lib"));
    }
}
