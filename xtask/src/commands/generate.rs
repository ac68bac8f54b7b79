//! `cargo xtask gen`: files that are made from the code and committed, so that they can be read and compared.
//!
//! With `--check` the working copy is left as it was found, also when generators had to write into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::GenOptions;
use crate::host::process;
use crate::repo::{self, Profile};
use crate::suites::npm;

/// Lines of a difference that are shown.
const SHOWN: usize = 40;

pub fn run(options: &GenOptions) -> Result<()> {
    let binary = repo::build_kernel(Profile::Dev)?;
    let mut differences = Vec::new();
    openapi(&binary, options.check, &mut differences)?;
    typescript(options.check, &mut differences)?;
    if !differences.is_empty() {
        bail!("generated files are out of date; run `cargo xtask gen` and commit\n{}", differences.join("\n"));
    }
    eprintln!("  ✓ generated files are as the code gives them");
    Ok(())
}

fn openapi(binary: &Path, check: bool, differences: &mut Vec<String>) -> Result<()> {
    let path = repo::root().join("sdk/openapi.json");
    let mut document = process::captured(Command::new(binary).args(["gen", "openapi"]), "plinth gen openapi")?;
    serde_json::from_str::<serde::de::IgnoredAny>(&document).context("plinth gen openapi did not print JSON")?;
    if !document.ends_with('\n') {
        document.push('\n');
    }
    settle(&path, &document, check, differences)
}

/// Writes `content`, or tells how the file differs from it.
fn settle(path: &Path, content: &str, check: bool, differences: &mut Vec<String>) -> Result<()> {
    let committed = if path.exists() {
        std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?
    } else {
        String::new()
    };
    if committed == content {
        return Ok(());
    }
    if check {
        differences.push(difference(path, &committed, content)?);
        return Ok(());
    }
    std::fs::write(path, content).with_context(|| format!("{} cannot be written", path.display()))?;
    eprintln!("  ✓ {}", shown(path));
    Ok(())
}

fn typescript(check: bool, differences: &mut Vec<String>) -> Result<()> {
    let folder = repo::root().join("sdk/client-ts");
    if !folder.join("package.json").exists() {
        eprintln!("  sdk/client-ts has no package.json, so no TypeScript types are made");
        return Ok(());
    }
    if !differences.is_empty() {
        eprintln!("  TypeScript types are not looked at: they are made from sdk/openapi.json, which is out of date");
        return Ok(());
    }
    if !folder.join("node_modules").exists() {
        npm::install(&folder)?;
    }
    let sources = folder.join("src");
    let before = snapshot(&sources)?;
    let generated = process::grouped(npm::npm(&folder)?.args(["run", "generate"]), "npm run generate");
    if !check {
        return generated;
    }
    let after = snapshot(&sources);
    restore(&sources, &before)?;
    generated?;
    let after = after?;
    for path in before.keys().chain(after.keys().filter(|path| !before.contains_key(*path))) {
        let (old, new) = (before.get(path), after.get(path));
        if old != new {
            let text =
                |bytes: Option<&Vec<u8>>| String::from_utf8_lossy(bytes.map_or(&[][..], Vec::as_slice)).into_owned();
            differences.push(difference(path, &text(old), &text(new))?);
        }
    }
    Ok(())
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a folder with its content.
fn snapshot(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry.with_context(|| format!("{} cannot be read", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                files.insert(path, content);
            }
        }
    }
    Ok(files)
}

/// Puts the files back as they were, and removes those that came.
fn restore(folder: &Path, before: &Files) -> Result<()> {
    let now = snapshot(folder)?;
    for path in now.keys().filter(|path| !before.contains_key(*path)) {
        std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    for (path, content) in before.iter().filter(|(path, content)| now.get(*path) != Some(content)) {
        std::fs::write(path, content).with_context(|| format!("{} cannot be restored", path.display()))?;
    }
    Ok(())
}

/// The beginning of a unified difference, and how much there is.
fn difference(path: &Path, committed: &str, generated: &str) -> Result<String> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let [old, new] = ["committed", "generated"].map(|name| folder.path().join(name));
    std::fs::write(&old, committed).context("the temporary folder takes no file")?;
    std::fs::write(&new, generated).context("the temporary folder takes no file")?;
    let mut diff = Command::new("diff");
    diff.args(["-u", "--label", "committed", "--label", "generated"]).args([&old, &new]);
    let Ok(output) = diff.output() else {
        return Ok(format!("{} differs (install diff to see how)", shown(path)));
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let changed = |sign: char| text.lines().skip(2).filter(|line| line.starts_with(sign)).count();
    let lines: Vec<&str> = text.lines().take(SHOWN).collect();
    let more = text.lines().count().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("\n… and {more} lines more") } else { String::new() };
    Ok(format!("{}: {} lines more, {} less\n{}{rest}", shown(path), changed('+'), changed('-'), lines.join("\n")))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repo::root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_writes_nothing_and_tells_the_difference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openapi.json");
        std::fs::write(&path, "{\n  \"a\": 1\n}\n").unwrap();
        let mut differences = Vec::new();
        settle(&path, "{\n  \"a\": 2\n}\n", true, &mut differences).unwrap();
        assert!(differences[0].contains("1 lines more, 1 less"), "{differences:?}");
        assert!(differences[0].contains("-  \"a\": 1") && differences[0].contains("+  \"a\": 2"), "{differences:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}\n");
    }

    #[test]
    fn an_equal_file_is_no_difference_and_a_missing_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openapi.json");
        let mut differences = Vec::new();
        settle(&path, "{}\n", true, &mut differences).unwrap();
        assert_eq!(differences.len(), 1);
        settle(&path, "{}\n", false, &mut differences).unwrap();
        settle(&path, "{}\n", true, &mut differences).unwrap();
        assert_eq!(differences.len(), 1);
    }

    #[test]
    fn restoring_undoes_every_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("deep")).unwrap();
        std::fs::write(path("kept"), "1").unwrap();
        std::fs::write(path("deep/changed"), "1").unwrap();
        let before = snapshot(folder.path()).unwrap();
        std::fs::write(path("deep/changed"), "2").unwrap();
        std::fs::write(path("new"), "1").unwrap();
        restore(folder.path(), &before).unwrap();
        assert_eq!(snapshot(folder.path()).unwrap(), before);
    }
}
