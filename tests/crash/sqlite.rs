//! The database file is held by another process, broken, or gone.

use std::{
    io::{Seek, SeekFrom, Write},
    time::{Duration, Instant},
};

use plinth_tests::{Kernel, eventually};
use serde_json::json;

#[tokio::test]
async fn while_another_process_holds_the_file_writes_are_refused_and_reads_go_on() {
    let kernel = Kernel::setup().env("PLINTH_STORE__SQLITE__BUSY_TIMEOUT_MS", "300").start();
    let owner = kernel.owner().await;
    let create = |slug: &str| owner.post("organizations", &json!({ "name": "T", "slug": slug })).key(slug).send();
    create("before").await.expect(201);

    let holder = rusqlite::Connection::open(kernel.data().join("plinth.db")).expect("it opens");
    holder.execute_batch("begin immediate").expect("the lock");
    let began = Instant::now();
    create("during").await.refused(503, "unavailable");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let login = json!({ "email": owner.email, "password": plinth_tests::PASSWORD });
    kernel.post("auth/login", &login).send().await.refused(503, "unavailable");
    let list = owner.get("organizations").send().await.expect(200).json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    kernel.get("/healthz").send().await.expect(200);

    holder.execute_batch("rollback").expect("the lock is given back");
    let made = create("during").await.expect(201);
    assert_eq!(made.header("idempotent-replayed"), None, "a refusal for want of a database uses no key up");
    kernel.post("auth/login", &login).send().await.expect(200);
}

/// Many wait together: the last of them does not wait for the sum of all time limits.
#[tokio::test]
async fn those_who_wait_for_a_held_file_wait_together() {
    let kernel = Kernel::setup().env("PLINTH_STORE__SQLITE__BUSY_TIMEOUT_MS", "500").start();
    let owner = kernel.owner().await;
    let holder = rusqlite::Connection::open(kernel.data().join("plinth.db")).expect("it opens");
    holder.execute_batch("begin immediate").expect("the lock");
    let began = Instant::now();
    let create =
        |number: usize| owner.post("organizations", &json!({ "name": "T", "slug": format!("team-{number}") })).send();
    for answer in futures::future::join_all((0..30).map(create)).await {
        answer.refused(503, "unavailable");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(holder);
    create(1000).await.expect(201);
}

#[tokio::test]
async fn a_file_that_is_no_database_stops_the_start_and_is_left_alone() {
    let mut kernel = Kernel::start();
    kernel.owner().await;
    kernel.terminate();
    let file = kernel.data().join("plinth.db");
    let sound = std::fs::read(&file).expect("a file");
    let garbage = vec![0x5a; sound.len()];
    std::fs::write(&file, &garbage).expect("written");
    let output = kernel.restart_refused().expect(4);
    output.says(&["plinth.db", "not a database"]);
    assert!(std::fs::read(&file).expect("a file") == garbage, "nothing was written to it");
    let report = kernel.line(["doctor", "--json"]).run().expect(5).json();
    assert_eq!(report["healthy"], false);
    std::fs::write(&file, &sound).expect("written");
    kernel.restart();
}

/// Pages in the middle are broken: whatever touches them is refused, and nothing crashes or answers nonsense.
#[tokio::test]
async fn broken_pages_are_refused_and_not_believed() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    for number in 0..50 {
        let body = json!({ "name": "T".repeat(100), "slug": format!("team-{number}") });
        owner.post("organizations", &body).send().await.expect(201);
    }
    kernel.terminate();
    let file = kernel.data().join("plinth.db");
    let length = std::fs::metadata(&file).expect("a file").len();
    let mut database = std::fs::File::options().write(true).open(&file).expect("a file");
    // Everything behind the schema's first pages.
    database.seek(SeekFrom::Start(16 * 4096)).expect("a place");
    database.write_all(&vec![0xa5; (length - 16 * 4096) as usize]).expect("written");
    drop(database);
    let report = kernel.line(["doctor"]).run();
    assert_ne!(report.code, 0, "{}", report.stdout);
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kernel.restart()));
    if started.is_ok() {
        let status = owner.get("organizations").send().await.status;
        assert!([500, 503].contains(&status), "{status}");
        kernel.get("/healthz").send().await.expect(200);
    }
    assert!(!kernel.log().contains("panicked"), "{}", kernel.log());
}

#[tokio::test]
async fn a_database_that_is_taken_away_is_missed() {
    let mut kernel = Kernel::start();
    let owner = kernel.owner().await;
    kernel.terminate();
    let key = kernel.data().join("master.key");
    let aside = kernel.folder().join("master.key");
    std::fs::rename(&key, &aside).expect("moved");
    // Without its keys the data cannot be read, and a new key must not be made as if it were a first start.
    let output = kernel.restart_refused();
    output.says(&["key"]);
    std::fs::rename(&aside, &key).expect("moved back");
    kernel.restart();
    owner.get("me").send().await.expect(200);
    eventually("mails can be read again", Duration::from_secs(2), async || {
        (!kernel.outbox().await.is_empty()).then_some(())
    })
    .await;
}
