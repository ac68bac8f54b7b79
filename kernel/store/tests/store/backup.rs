//! Online backup of SQLite, and what may pass for one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use plinth_core::{NewEvent, World};
use plinth_store::{BackupError, Database, Store, StoreConfig, backup_sqlite, verify_sqlite};
use plinth_testkit::{TestDatabase, sqlite};

use crate::{chain, support::*};

async fn backup(database: &TestDatabase, name: &str) -> (PathBuf, Result<u64, BackupError>) {
    let from = database.store.sqlite_path().unwrap().to_owned();
    let to = database.folder().join(name);
    let target = to.clone();
    let result = tokio::task::spawn_blocking(move || backup_sqlite(&from, &target, |_, _| {})).await.unwrap();
    (to, result)
}

/// Files of the folder, without those of the database itself.
fn files(database: &TestDatabase) -> Vec<String> {
    let names =
        std::fs::read_dir(database.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("plinth.db")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_others_write_is_whole() {
    let database = sqlite().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    // More than is copied in one step, so that writes come between the steps.
    let large = "x".repeat(200_000);
    for n in 0..120 {
        let event = NewEvent::new("sample.taken", format!("sample/{n}"), &large);
        store.append(tenant, &cause(), vec![event]).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let appended = Arc::new(AtomicUsize::new(120));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, stop, appended) = (store.clone(), stop.clone(), appended.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    if writer % 2 == 0 {
                        store.append(tenant, &cause(), vec![event("sample/hot")]).await.unwrap();
                    } else {
                        let tx = store.change(tenant, cause()).await.unwrap();
                        tx.scope().emit(event("sample/hot"));
                        tx.commit().await.unwrap();
                    }
                    appended.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let (from, to) = (store.sqlite_path().unwrap().to_owned(), database.folder().join("copy.db"));
    let (target, written) = (to.clone(), appended.clone());
    let (size, steps, least) = soon(tokio::task::spawn_blocking(move || {
        let least = written.load(Ordering::SeqCst);
        let mut steps: Vec<(i32, i32)> = Vec::new();
        let size = backup_sqlite(&from, &target, |done, all| {
            // The next step comes after somebody has written.
            let before = written.load(Ordering::SeqCst);
            while written.load(Ordering::SeqCst) == before {
                std::thread::yield_now();
            }
            steps.push((done, all));
        });
        (size.unwrap(), steps, least)
    }))
    .await
    .unwrap();
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(steps.len() > 1 && steps.is_sorted(), "it goes on and never begins again: {steps:?}");
    assert_eq!(steps.last().map(|(done, all)| done == all), Some(true));
    assert_eq!(std::fs::metadata(&to).unwrap().len(), size);
    verify_sqlite(&to).unwrap();
    assert_eq!(chain::first_break(&to), None);
    let copied = chain::read(&to).len();
    assert!(
        copied >= least && copied < appended.load(Ordering::SeqCst),
        "{copied} events are those of the moment it began"
    );
    assert_eq!(files(&database), ["copy.db", "copy.db.sha256"], "nothing is left beside it");
}

#[tokio::test]
async fn a_copy_opens_with_everything_in_it() {
    let database = sqlite().await;
    let tenant = make_tenant(&database.store).await;
    add_role(&database.store, tenant, "kept").await.unwrap();
    let (copy, size) = backup(&database, "copy.db").await;
    assert!(size.unwrap() > 0);
    add_role(&database.store, tenant, "later").await.unwrap();
    let restored = database.folder().join("restored.db");
    std::fs::copy(&copy, &restored).unwrap();
    let store = Store::open(StoreConfig::new(Database::Sqlite(restored)), World::system(), keys()).await.unwrap();
    assert_eq!(role_names(&store).await, ["kept"]);
    add_role(&store, tenant, "after").await.unwrap();
    store.close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o077, 0, "nobody else reads a backup");
    }
}

#[tokio::test]
async fn what_is_there_is_not_written_over() {
    let database = sqlite().await;
    std::fs::write(database.folder().join("there.db"), "of somebody").unwrap();
    let (path, result) = backup(&database, "there.db").await;
    assert!(matches!(result, Err(BackupError::Exists(named)) if named == path));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "of somebody");
    let (_, result) = backup(&database, "no/such/folder/copy.db").await;
    assert!(matches!(result, Err(BackupError::Write { .. })), "{result:?}");
    assert_eq!(files(&database), ["there.db"]);
}

/// Every byte counts: any flipped bit and any missing end is found.
#[tokio::test]
async fn a_damaged_copy_is_refused() {
    let database = sqlite().await;
    let tenant = make_tenant(&database.store).await;
    for n in 0..50 {
        add_role(&database.store, tenant, &format!("role {n}")).await.unwrap();
    }
    let (copy, _) = backup(&database, "copy.db").await;
    let whole = std::fs::read(&copy).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&copy, flipped).unwrap();
        assert!(verify_sqlite(&copy).is_err(), "a bit at {at} was flipped");
    }
    for length in [0, 1, 100, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&copy, &whole[..length]).unwrap();
        assert!(verify_sqlite(&copy).is_err(), "{length} bytes of {}", whole.len());
    }
    std::fs::write(&copy, &whole).unwrap();
    verify_sqlite(&copy).unwrap();

    // Without its checksum the structure is checked still.
    std::fs::remove_file(sums(&copy)).unwrap();
    verify_sqlite(&copy).unwrap();
    std::fs::write(&copy, &whole[..whole.len() / 2]).unwrap();
    assert!(verify_sqlite(&copy).is_err());
}

#[tokio::test]
async fn what_is_no_database_of_plinth_is_refused() {
    let database = sqlite().await;
    let path = database.folder().join("other.db");
    assert!(matches!(verify_sqlite(&path), Err(BackupError::Unreadable { .. })), "nothing there");
    std::fs::write(
        &path,
        "not a database at all, but long enough to be taken for the header of one, maybe; ".repeat(9),
    )
    .unwrap();
    assert!(matches!(verify_sqlite(&path), Err(BackupError::Unreadable { .. })));
    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("create table somebody (id integer)").unwrap();
    assert!(matches!(verify_sqlite(&path), Err(BackupError::Unreadable { .. })));
}

fn sums(path: &Path) -> PathBuf {
    path.with_extension("db.sha256")
}
