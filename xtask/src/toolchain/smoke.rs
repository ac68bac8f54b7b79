//! Proof that a toolchain works: a tiny crate that uses the standard library, compiled and looked at.
//!
//! Done once for each pair of compilers; a stamp in the cache remembers it.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{TARGET, WasmToolchain};
use crate::host::process;
use crate::ui;

const MANIFEST: &str = r#"[package]
name = "plinth-smoke"
version = "0.0.0"
edition = "2021"

[lib]
crate-type = ["cdylib"]

[profile.release]
opt-level = "s"
lto = true
panic = "abort"
strip = true

[workspace]
"#;

/// Allocates and formats, so that the standard library is really linked.
const SOURCE: &str = r#"#[no_mangle]
pub extern "C" fn plinth_smoke(number: u32) -> usize {
    format!("{number:>8}").len()
}
"#;

pub fn check(toolchain: &WasmToolchain, cache: &Path) -> Result<()> {
    let folder = cache.join("wasm-smoke");
    let stamp = folder.join("passed");
    if std::fs::read_to_string(&stamp).is_ok_and(|passed| passed == toolchain.identity) {
        return Ok(());
    }
    let step = ui::step(format!("proving that {} compiles", toolchain.name));
    write(&folder.join("Cargo.toml"), MANIFEST)?;
    write(&folder.join("src/lib.rs"), SOURCE)?;
    let module = folder.join("target").join(TARGET).join("release/plinth_smoke.wasm");
    // What another toolchain made earlier proves nothing about this one.
    if module.exists() {
        std::fs::remove_file(&module).with_context(|| format!("{} cannot be removed", module.display()))?;
    }
    let mut build = toolchain.build(&folder);
    build.arg("--release").env("CARGO_TARGET_DIR", folder.join("target"));
    process::captured(&mut build, "cargo build of a tiny WebAssembly crate")?;
    let bytes = std::fs::read(&module).with_context(|| format!("{} was not made", module.display()))?;
    verify(&bytes).with_context(|| format!("{} is not what it should be", module.display()))?;
    write(&stamp, &toolchain.identity)?;
    step.done(&format!("{} bytes", bytes.len()));
    Ok(())
}

/// A core module (version 1) that exports the function.
fn verify(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(b"\0asm\x01\0\0\0") {
        bail!("it does not begin as a WebAssembly module");
    }
    if !bytes.windows(12).any(|window| window == b"plinth_smoke") {
        bail!("it does not export plinth_smoke");
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_module_with_the_export_passes() {
        assert!(verify(b"\0asm\x01\0\0\0..plinth_smoke..").is_ok());
        assert!(verify(b"\0asm\x01\0\0\0..other..").is_err());
        // A component has another version after the same magic.
        assert!(verify(b"\0asm\x0d\0\x01\0..plinth_smoke..").is_err());
        assert!(verify(b"\x7fELF").is_err());
    }
}
