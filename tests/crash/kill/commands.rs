//! Commands and first starts that are killed half-way.

use std::time::Duration;

use plinth_tests::Kernel;

use crate::random::between;

/// However far the first start came: the next one goes on from there.
#[tokio::test]
async fn a_first_start_that_is_killed_leaves_a_folder_that_starts() {
    for _ in 0..8 {
        let setup = Kernel::setup();
        let after = Duration::from_millis(between(1..150));
        println!("killed after {after:?}");
        let line = setup.line(["serve", "--listen", "127.0.0.1:0", "--demo"]);
        line.in_folder(setup.folder()).run_and_kill(after);
        let kernel = setup.start();
        kernel.owner().await;
    }
}

/// The new key is saved before anything is wrapped by it.
#[tokio::test]
async fn a_rotation_of_the_master_key_that_is_killed_loses_no_key() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    kernel.terminate();
    for _ in 0..10 {
        let after = Duration::from_millis(between(1..120));
        println!("killed after {after:?}");
        kernel.line(["key", "rotate"]).run_and_kill(after);
        let report = kernel.line(["doctor", "--json"]).run().expect(0).json();
        assert_eq!(report["healthy"], true, "{report}");
    }
    kernel.restart();
    owner.get("me").send().await.expect(200);
    kernel.mail(&owner.email, "verify_email").await;
}

/// The database is the old one or the new one, and never half of either.
#[tokio::test]
async fn a_restore_that_is_killed_can_be_repeated() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    kernel.terminate();
    let file = kernel.folder().join("backup.db");
    kernel.line(["backup"]).arg(&file).run().expect(0);
    for _ in 0..6 {
        let after = Duration::from_millis(between(1..80));
        println!("killed after {after:?}");
        kernel.line(["restore", "--replace"]).arg(&file).run_and_kill(after);
        kernel.line(["restore", "--replace"]).arg(&file).run().expect(0);
        kernel.restart();
        owner.get("me").send().await.expect(200);
        kernel.terminate();
    }
}

/// A backup that was killed has left nothing under its name, or something whole.
#[tokio::test]
async fn a_backup_that_is_killed_is_no_backup() {
    let kernel = Kernel::start();
    kernel.owner().await;
    for number in 0..6 {
        let file = kernel.folder().join(format!("backup-{number}.db"));
        let after = Duration::from_millis(between(1..60));
        println!("killed after {after:?}");
        kernel.line(["backup"]).arg(&file).run_and_kill(after);
        if file.exists() {
            let setup =
                Kernel::setup().env("PLINTH_SECRETS__FILE", kernel.data().join("master.key").display().to_string());
            setup.line(["restore"]).arg(&file).run().expect(0);
        }
    }
}
