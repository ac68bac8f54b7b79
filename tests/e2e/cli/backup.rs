//! A backup is worth what its restore brings back.

use plinth_tests::{Actor, Kernel, on_both_databases};
use serde_json::json;

on_both_databases!(a_backup_brings_everything_back);

async fn teams(actor: &Actor) -> Vec<String> {
    let list = actor.get("organizations?sort=slug").send().await.expect(200).json();
    list["data"].as_array().expect("rows").iter().filter_map(|row| row["slug"].as_str().map(str::to_owned)).collect()
}

async fn create(actor: &Actor, slug: &str) {
    actor.post("organizations", &json!({ "name": slug, "slug": slug })).send().await.expect(201);
}

async fn a_backup_brings_everything_back(mut kernel: Kernel) {
    let owner = kernel.owner().await;
    create(&owner, "before").await;
    let file = kernel.folder().join("backup.file");
    let taken = kernel.line(["backup", "--json"]).arg(&file).run().expect(0).json();
    assert!(taken["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{taken}");
    kernel.line(["backup"]).arg(&file).run().expect(1);
    create(&owner, "after").await;

    kernel.line(["restore", "--replace"]).arg(&file).run().expect(4).says(&["in use"]);
    assert_eq!(teams(&owner).await, ["after", "before"], "a running kernel's data is not touched");
    kernel.terminate();
    kernel.line(["restore"]).arg(&file).run().expect(1).says(&["--replace"]);
    let restored = kernel.line(["restore", "--replace", "--json"]).arg(&file).run().expect(0).json();
    assert_eq!(restored["unreadable_data_keys"], json!([]));
    kernel.restart();
    assert_eq!(teams(&owner).await, ["before"]);
    kernel.mail(&owner.email, "verify_email").await;
    create(&owner, "later").await;
}

#[tokio::test]
async fn a_stopped_kernel_is_backed_up_and_restored_into_an_empty_folder() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    create(&owner, "kept").await;
    kernel.terminate();
    let file = kernel.folder().join("backup.db");
    kernel.line(["backup"]).arg(&file).run().expect(0);

    let elsewhere = Kernel::setup();
    let without_key = elsewhere.line(["restore"]).arg(&file).run();
    without_key.expect(1).says(&["keys"]);
    let key = elsewhere.data().join("master.key");
    std::fs::remove_file(&key).ok();
    std::fs::copy(kernel.data().join("master.key"), &key).expect("the key is kept apart from the backup");
    elsewhere.line(["restore", "--replace"]).arg(&file).run().expect(0);
    let copy = elsewhere.start();
    let there = copy.login(&owner.email, plinth_tests::PASSWORD).await;
    assert_eq!(teams(&there).await, ["kept"]);
}

#[tokio::test]
async fn a_backup_that_is_none_changes_nothing() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    create(&owner, "kept").await;
    let file = kernel.folder().join("nonsense.db");
    std::fs::write(&file, vec![7; 100_000]).expect("written");
    kernel.terminate();
    kernel.line(["restore", "--replace"]).arg(&file).run().expect(1).says(&["nothing was changed"]);
    kernel.line(["restore", "--replace", "/no/such/file"]).run().expect(1).says(&["/no/such/file"]);
    kernel.restart();
    assert_eq!(teams(&owner).await, ["kept"]);
}

/// What is written while the copy is made may be in it or not, but the copy is sound.
#[tokio::test]
async fn a_backup_under_load_is_sound() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let file = kernel.folder().join("backup.db");
    let line = kernel.line(["backup"]).arg(&file);
    let copying = std::thread::spawn(move || line.run());
    let mut number = 0;
    while !copying.is_finished() {
        create(&owner, &format!("team-{number:04}")).await;
        number += 1;
    }
    copying.join().expect("no panic").expect(0);
    let key = kernel.data().join("master.key");
    let setup = Kernel::setup().env("PLINTH_SECRETS__FILE", key.display().to_string());
    setup.line(["restore"]).arg(&file).run().expect(0);
    let copy = setup.start();
    let there = copy.login(&owner.email, plinth_tests::PASSWORD).await;
    let list: Vec<_> = teams(&there).await;
    assert!(list.len() <= number, "nothing that was never written");
    for (place, slug) in list.iter().enumerate() {
        assert_eq!(*slug, format!("team-{place:04}"), "a prefix of what was written, in its order");
    }
}
