//! A cargo that compiles to `wasm32-unknown-unknown`, on machines that have the target and on those that do not.
//!
//! Tried in this order: the target lies in the sysroot already; Debian's compiler was unpacked earlier; rustup adds
//! the target; Debian's compiler is fetched. Preparing twice costs nothing, and two preparations at a time wait for
//! each other.

mod debian;
mod smoke;
mod sysroot;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::host::interrupt;
use crate::{repo, ui};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// How to compile for the target.
#[derive(Debug)]
pub struct WasmToolchain {
    /// For people: which way it is.
    pub name: String,
    env: Vec<(&'static str, OsString)>,
    arguments: Vec<&'static str>,
    /// Changes whenever the compilers behind it change.
    identity: String,
}

impl WasmToolchain {
    /// `cargo build` for the target, in `folder`. Arguments may be added, `--release` for instance.
    ///
    /// A build of another workspace: flags and wrappers meant for this machine's own code are not passed on.
    pub fn build(&self, folder: &Path) -> Command {
        let mut command = repo::cargo();
        for name in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        {
            command.env_remove(name);
        }
        command.current_dir(folder).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(["build", "--target", TARGET]).args(&self.arguments);
        command
    }
}

/// Where the compiler is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// rustup where it can, otherwise Debian.
    Auto,
    /// The target of the toolchain that builds the kernel.
    Rustup,
    /// Debian's packages, unpacked into the cache folder.
    Debian,
}

/// Finds or makes the toolchain and proves once that it compiles.
pub fn prepare(way: Way) -> Result<WasmToolchain> {
    let cache = repo::cache()?;
    let _lock = lock(&cache.join("wasm-toolchain.lock"))?;
    let folder = cache.join("wasm-debian");
    let sysroot = sysroot::find()?;
    let toolchain = match way {
        Way::Rustup => rustup(&sysroot)?,
        Way::Debian => debian(&folder, &sysroot)?,
        Way::Auto => either(&folder, &sysroot)?,
    };
    smoke::check(&toolchain, &cache)?;
    Ok(toolchain)
}

fn rustup(sysroot: &Path) -> Result<WasmToolchain> {
    if !sysroot::has_target(sysroot) {
        sysroot::add_target()?;
    }
    sysroot::toolchain()
}

fn debian(folder: &Path, sysroot: &Path) -> Result<WasmToolchain> {
    if !folder.exists() {
        debian::fetch(folder, sysroot)?;
    }
    debian::toolchain(folder, sysroot)
}

/// What was fetched once is used before the network is asked again.
fn either(folder: &Path, sysroot: &Path) -> Result<WasmToolchain> {
    if folder.exists() && !sysroot::has_target(sysroot) {
        return debian(folder, sysroot);
    }
    let rustup = match rustup(sysroot) {
        Ok(toolchain) => return Ok(toolchain),
        Err(error) => error,
    };
    interrupt::check()?;
    ui::warn(&format!("rustup cannot add {TARGET} here, trying Debian's compiler"));
    match debian(folder, sysroot) {
        Ok(toolchain) => Ok(toolchain),
        Err(debian) => bail!(
            "no compiler for {TARGET}, which plugins in Rust are built for. Two ways, neither possible here:\n\
             1. rustup target add {TARGET} (needs rustup and static.rust-lang.org): {rustup:#}\n\
             2. Debian's packages rustc-web, libstd-rust-web-dev and rust-web-src unpacked into {} \
             (needs apt-get, dpkg and a Debian mirror): {debian:#}",
            folder.display()
        ),
    }
}

fn lock(path: &PathBuf) -> Result<File> {
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}
