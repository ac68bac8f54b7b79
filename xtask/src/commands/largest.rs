//! The largest Rust files, since a file that grows wants to be two.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The `count` largest Rust files below `root` with their lines, the largest first.
pub fn files(root: &Path, count: usize) -> Result<Vec<(usize, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("{} cannot be read", folder.display()))?;
            let (path, kind) = (entry.path(), entry.file_type().context("a file without a type")?);
            if kind.is_dir() && !skipped(&path) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
                found.push((text.lines().count(), path));
            }
        }
    }
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.truncate(count);
    Ok(found)
}

fn skipped(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || matches!(name.as_ref(), "target" | "node_modules" | "data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_built_files_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, lines: usize| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "//\n".repeat(lines)).unwrap();
        };
        write("a/small.rs", 2);
        write("a/b/large.rs", 9);
        write("middle.rs", 5);
        write("target/generated.rs", 100);
        write("notes.md", 100);
        let found = files(root.path(), 2).unwrap();
        let expected = vec![(9, root.path().join("a/b/large.rs")), (5, root.path().join("middle.rs"))];
        assert_eq!(found, expected);
    }
}
