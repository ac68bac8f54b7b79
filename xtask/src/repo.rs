//! The repository: where things lie, how cargo is called, what the workspace consists of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::host::process;

/// The root folder, known since this crate was compiled in it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies inside the repository")
}

/// cargo, working in the repository root.
///
/// What `cargo run` set for xtask itself is removed: build scripts that watch these variables would otherwise see
/// a change and rebuild at every turn between `cargo xtask` and plain cargo.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_own_cargo_variable) {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command
}

fn is_own_cargo_variable(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(name, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

/// The members of the workspace, from `cargo metadata --no-deps`.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The package's name, also where the manifest renames it.
    pub name: String,
    pub kind: Option<DependencyKind>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    Dev,
    Build,
}

pub fn metadata() -> Result<Metadata> {
    let text = process::captured(
        cargo().args(["metadata", "--no-deps", "--offline", "--format-version", "1"]),
        "cargo metadata",
    )?;
    serde_json::from_str(&text).context("cargo metadata gave something unexpected; is this cargo newer than the code?")
}

/// Builds the kernel's binary and returns where it lies.
pub fn build_kernel(profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--package", "plinth-server"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    process::foreground(&mut command, "cargo build --package plinth-server")?;
    Ok(metadata()?.target_directory.join(profile.folder()).join("plinth"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Where downloads and tools that outlive a run are kept: `$XDG_CACHE_HOME/plinth` or `~/.cache/plinth`.
pub fn cache() -> Result<PathBuf> {
    let folder = cache_from(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        .context("neither XDG_CACHE_HOME nor HOME is set: set one of them so that tools have a cache folder")?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be created; set XDG_CACHE_HOME to a writable folder", folder.display()))?;
    Ok(folder)
}

fn cache_from(xdg: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    // The XDG specification says that a relative path is to be ignored.
    let base = xdg
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("plinth"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(text.contains("[workspace]"));
    }

    #[test]
    fn metadata_lists_this_crate_and_its_dependencies() {
        let metadata = metadata().unwrap();
        let own = metadata.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert!(own.dependencies.iter().any(|dependency| dependency.name == "clap" && dependency.kind.is_none()));
    }

    #[test]
    fn the_cache_follows_the_xdg_rules() {
        let cache = |xdg: &str, home: &str| cache_from(Some(xdg.into()), Some(home.into()));
        assert_eq!(cache("/var/cache/me", "/home/me"), Some("/var/cache/me/plinth".into()));
        assert_eq!(cache("relative", "/home/me"), Some("/home/me/.cache/plinth".into()));
        assert_eq!(cache("", "/home/me"), Some("/home/me/.cache/plinth".into()));
        assert_eq!(cache_from(None, None), None);
    }

    #[test]
    fn only_variables_of_the_outer_cargo_are_dropped() {
        assert!(is_own_cargo_variable("CARGO_PKG_NAME") && is_own_cargo_variable("CARGO_MANIFEST_DIR"));
        assert!(!is_own_cargo_variable("CARGO_HOME") && !is_own_cargo_variable("CARGO_TARGET_DIR"));
    }
}
