//! The first way: the target in the sysroot of the compiler that builds the kernel, added by rustup when absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{TARGET, WasmToolchain};
use crate::host::process;
use crate::{repo, ui};

/// Where the compiler keeps its libraries.
pub fn find() -> Result<PathBuf> {
    let text = process::captured(rustc().args(["--print", "sysroot"]), "rustc --print sysroot")?;
    Ok(PathBuf::from(text.trim()))
}

pub fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

pub fn add_target() -> Result<()> {
    let step = ui::step(format!("rustup target add {TARGET}"));
    process::captured(Command::new("rustup").args(["target", "add", TARGET]), "rustup target add")?;
    step.done("added");
    Ok(())
}

pub fn toolchain() -> Result<WasmToolchain> {
    let identity = process::captured(rustc().arg("-vV"), "rustc -vV")?;
    Ok(WasmToolchain { name: format!("rustup's {TARGET}"), env: Vec::new(), arguments: Vec::new(), identity })
}

/// The linker for WebAssembly that comes with the compiler.
pub fn linker(sysroot: &Path) -> Result<PathBuf> {
    let rustlib = sysroot.join("lib/rustlib");
    let hosts = std::fs::read_dir(&rustlib).with_context(|| format!("{} cannot be read", rustlib.display()))?;
    hosts
        .flatten()
        .map(|host| host.path().join("bin/rust-lld"))
        .find(|path| path.exists())
        .or_else(|| crate::host::programs::find("wasm-ld"))
        .with_context(|| {
            format!(
                "no rust-lld in {} and no wasm-ld on PATH; install with: sudo apt-get install -y lld",
                rustlib.display()
            )
        })
}

/// The compiler as cargo would call it in the repository.
fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(repo::root());
    command
}
