//! `cargo xtask plugins`: the toolchain for WebAssembly and the first-party plugins in plugins/.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::repo;
use crate::toolchain::{self, WasmToolchain, Way};

pub fn run(from: Way) -> Result<()> {
    let toolchain = toolchain::prepare(from)?;
    eprintln!("  ✓ WebAssembly toolchain: {}", toolchain.name);
    let plugins = find(&repo::root().join("plugins"))?;
    if plugins.is_empty() {
        eprintln!("  no plugins in plugins/ yet");
        return Ok(());
    }
    for plugin in &plugins {
        build(&toolchain, plugin)?;
    }
    Ok(())
}

/// The folders of plugins/ that hold a crate.
fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut plugins: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("Cargo.toml").exists()).collect();
    plugins.sort();
    Ok(plugins)
}

/// Compiles one plugin to a module and turns it into a component.
///
/// The one place to fill when the first plugin comes; until then it refuses, so that nobody takes an absent
/// component for a built one.
fn build(toolchain: &WasmToolchain, plugin: &Path) -> Result<()> {
    let name = plugin.file_name().unwrap_or_default().to_string_lossy();
    bail!("{name} is not built: there is {} and no step that makes a component with it", toolchain.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_a_crate_are_plugins() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b-mail", "a-stripe", "notes"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        for name in ["b-mail", "a-stripe"] {
            std::fs::write(root.path().join(name).join("Cargo.toml"), "").unwrap();
        }
        assert_eq!(find(root.path()).unwrap(), [root.path().join("a-stripe"), root.path().join("b-mail")]);
        assert_eq!(find(&root.path().join("absent")).unwrap(), Vec::<PathBuf>::new());
    }
}
