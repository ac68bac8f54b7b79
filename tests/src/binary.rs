//! Where the binary is that is tested.

use std::{path::PathBuf, process::Command};

/// `PLINTH_BIN`, or the one that `cargo build -p plinth-server` puts beside this test's own folder.
pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("PLINTH_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "PLINTH_BIN names {}, which is no file", path.display());
        return path;
    }
    let own = std::env::current_exe().expect("a test knows its own file");
    // target/debug/deps/e2e-0123456789abcdef
    let path = own.parent().and_then(|deps| deps.parent()).expect("a test lies in a target folder").join("plinth");
    assert!(
        path.is_file(),
        "there is no kernel at {}: build it with `cargo build -p plinth-server`, or name one in PLINTH_BIN",
        path.display()
    );
    path
}

/// The binary, to be run in an environment that says nothing of Plinth, so that a developer's own settings change no test.
pub fn command() -> Command {
    let mut command = Command::new(path());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLINTH_")) {
        command.env_remove(name);
    }
    command
}
