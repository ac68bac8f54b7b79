//! What keeps a kernel from starting, and how it says so; and what does not.

use plinth_tests::{Kernel, on_both_databases};
use serde_json::json;

on_both_databases!(a_killed_kernel_starts_again_at_once_with_everything);

async fn a_killed_kernel_starts_again_at_once_with_everything(mut kernel: Kernel) {
    let owner = kernel.owner().await;
    let key = owner.api_key(&["*"]).await.key;
    kernel.kill();
    assert!(kernel.data().join("control.sock").exists(), "nobody tidied up");
    kernel.restart();
    owner.get("me").send().await.expect(200);
    let made = kernel.post("organizations", &json!({ "name": "T", "slug": "ttt" })).token(&key).send().await;
    made.expect(201);
    let mail = kernel.mail(&owner.email, "verify_email").await;
    assert_eq!(mail.to, owner.email);
}

#[tokio::test]
async fn a_folder_belongs_to_one_kernel() {
    let kernel = Kernel::start();
    let second = kernel.line(["serve", "--listen", "127.0.0.1:0", "--ready-json"]).run().expect(4);
    let folder = kernel.data().display().to_string();
    assert_eq!(second.stdout, "");
    second.says(&[&folder, "in use", &kernel.pid().to_string(), "--data"]);
    kernel.get("/healthz").send().await.expect(200);
    kernel.line(["operator", "list"]).run().expect(0);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let kernel = Kernel::start();
    let listen = format!("127.0.0.1:{}", kernel.port());
    let setup = Kernel::setup();
    let output = setup.line(["serve", "--ready-json", "--listen", &listen]).run().expect(4);
    output.says(&[&listen, "cannot listen"]);
    let output = setup.line(["serve", "--ready-json", "--json", "--listen", &listen]).run().expect(4);
    assert_eq!(output.error()["kind"], "unavailable");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_unavailable_and_its_password_is_not_shown() {
    let setup = Kernel::setup().env("PLINTH_STORE__URL", "postgres://plinth:hunter2secret@127.0.0.1:1/plinth");
    let setup = setup.env("PLINTH_STORE__ACQUIRE_TIMEOUT_MS", "500");
    let output = setup.start_refused().expect(4);
    assert!(!output.stderr.contains("hunter2secret"), "{}", output.stderr);
}

#[tokio::test]
async fn a_database_that_was_not_migrated_says_what_to_do() {
    let database = plinth_tests::PostgresDatabase::create();
    let setup = Kernel::setup().env("PLINTH_STORE__URL", database.url());
    let output = setup.start_refused();
    assert_ne!(output.code, 0);
    output.says(&["plinth migrate"]);
}

#[tokio::test]
async fn the_folder_and_its_secrets_are_for_one_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let kernel = Kernel::start();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(kernel.data().join(name)).expect(name);
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("."), 0o700);
    for name in ["master.key", "control.sock", "plinth.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_demo_signs_in_with_what_it_prints() {
    let mut kernel = Kernel::setup().arg("--demo").start();
    let demo = std::fs::read_to_string(kernel.data().join("demo.json")).expect("the accounts are kept");
    let demo: serde_json::Value = serde_json::from_str(&demo).expect("JSON");
    let text = |who: &str, field: &str| demo[who][field].as_str().expect("an account").to_owned();
    for who in ["operator", "owner"] {
        kernel.login(&text(who, "email"), &text(who, "password")).await;
    }
    kernel.restart();
    kernel.login(&text("owner", "email"), &text("owner", "password")).await;
}
