//! Transactions: what is kept, what is shared, and what becomes of everybody else when one goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use plinth_store::{Database, Error, Invalidation, Store, StoreConfig};
use plinth_testkit::{Kind, databases, sqlite};
use sea_orm::{ColumnTrait, ConnectionTrait, PaginatorTrait, QueryFilter};

use crate::support::*;

#[tokio::test]
async fn a_commit_keeps_and_a_drop_does_not() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        begin_role(store, tenant, "kept").await.unwrap().commit().await.unwrap();
        let dropped = begin_role(store, tenant, "dropped").await.unwrap();
        dropped.scope().emit(event("role/dropped"));
        drop(dropped);
        assert_eq!(role_names(store).await, ["kept"], "{:?}", database.kind);
        assert_eq!(event_count(store).await, 0);
    }
}

#[tokio::test]
async fn a_failed_statement_spends_the_transaction() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        add_role(store, tenant, "taken").await.unwrap();
        let tx = begin_role(store, tenant, "lost").await.unwrap();
        let error = tx.scope().insert(role(store, "taken")).await.unwrap_err();
        assert!(error.is_duplicate(), "{error:?}");
        let after = tx.scope().find::<roles::Entity>().count(&tx.scope()).await.unwrap_err();
        assert!(after.to_string().contains("earlier statement"), "{after}");
        tx.scope().emit(event("role/lost"));
        let refused = tx.commit().await.unwrap_err();
        assert!(
            matches!(refused, Error::Query(_)),
            "{:?}: a spent transaction was committed: {refused:?}",
            database.kind
        );
        assert_eq!(role_names(store).await, ["taken"]);
        assert_eq!(event_count(store).await, 1);
    }
}

/// The error comes last, and nothing is staged: PostgreSQL would answer the commit with success.
#[tokio::test]
async fn a_swallowed_error_does_not_turn_into_a_commit() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let tx = begin_role(store, tenant, "lost").await.unwrap();
        tx.scope().execute_unprepared("insert into no_such_table values (1)").await.unwrap_err();
        tx.commit().await.unwrap_err();
        assert_eq!(role_count(store).await, 0);
    }
}

#[tokio::test]
async fn an_abandoned_statement_spends_the_transaction() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let tx = loop {
            let tx = begin_role(store, tenant, "before").await.unwrap();
            // The database may be faster than one poll, but not every time.
            if give_up_after(1, tx.scope().insert(role(store, "abandoned"))).await.is_none() {
                break tx;
            }
        };
        tx.commit().await.unwrap_err();
        assert_eq!(role_count(store).await, 0, "{:?}", database.kind);
        soon(add_role(store, tenant, "after")).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_takes_nobody_else_of_the_group_with_it() {
    let database = sqlite().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    let mut shared = false;
    // A machine that is busy may take them apart, but not every time.
    for round in 0..20 {
        let name = |name: &str| format!("{name} {round}");
        let first = begin_role(&store, tenant, &name("first")).await.unwrap();
        // Both wait for their turn before the first ends, so all three are of one group.
        let failing = tokio::spawn({
            let (store, failing, taken) = (store.clone(), name("failing"), name("first"));
            async move {
                let tx = begin_role(&store, tenant, &failing).await.unwrap();
                tx.scope().insert(role(&store, &taken)).await.unwrap_err()
            }
        });
        let third = tokio::spawn({
            let (store, third) = (store.clone(), name("third"));
            async move { add_role(&store, tenant, &third).await }
        });
        let_others_queue().await;
        let before = store.commits();
        first.commit().await.unwrap();
        assert!(failing.await.unwrap().is_duplicate());
        third.await.unwrap().unwrap();
        assert_eq!(roles_named(&store, tenant, &name("first")).await, 1);
        assert_eq!(roles_named(&store, tenant, &name("third")).await, 1);
        shared |= store.commits() - before == 1;
    }
    assert_eq!(role_count(&store).await, 40, "what failed is not there");
    assert!(shared, "they never shared a commit");
}

#[tokio::test]
async fn nobody_sees_a_change_before_its_group_is_committed() {
    let database = sqlite().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    for round in 0..20 {
        let seen_before = role_count(&store).await;
        let first = begin_role(&store, tenant, &format!("first {round}")).await.unwrap();
        let holding = tokio::spawn({
            let store = store.clone();
            async move { begin_role(&store, tenant, "second").await.unwrap() }
        });
        let_others_queue().await;
        let committing = tokio::spawn(first.commit());
        let second = soon(holding).await.unwrap();
        let seen = role_count(&store).await;
        let of_one_group = !committing.is_finished();
        drop(second);
        soon(committing).await.unwrap().unwrap();
        assert_eq!(role_count(&store).await, seen_before + 1);
        if of_one_group {
            assert_eq!(seen, seen_before, "its rows are not on disk while the second holds the group open");
            return;
        }
    }
    panic!("they never were of one group");
}

#[tokio::test]
async fn five_hundred_changes_at_once_all_commit() {
    for mut database in databases().await {
        // A pool of six serves them one after the other on a busy machine.
        database.config.acquire_timeout = Duration::from_secs(90);
        database.reopen().await;
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let before = store.commits();
        let changes = (0..500).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add_role(&store, tenant, &format!("role {n}")).await })
        });
        for change in join_all(changes).await {
            change.unwrap().unwrap();
        }
        let commits = store.commits() - before;
        assert_eq!(role_count(store).await, 500);
        assert_eq!(event_count(store).await, 500);
        match database.kind {
            Kind::Sqlite => assert!(commits < 400, "{commits} commits for 500 changes are not shared"),
            Kind::Postgres => assert_eq!(commits, 500),
        }
    }
}

#[tokio::test]
async fn a_group_is_not_larger_than_it_may_be() {
    let mut database = sqlite().await;
    database.config.sqlite.group_commit_max = 4;
    database.reopen().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    let first = begin_role(&store, tenant, "holder").await.unwrap();
    let others: Vec<_> = (0..19)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add_role(&store, tenant, &format!("role {n}")).await })
        })
        .collect();
    let_others_queue().await;
    let before = store.commits();
    first.commit().await.unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(store.commits() - before >= 5, "{} commits for 20 changes", store.commits() - before);
}

#[tokio::test]
async fn whoever_stops_waiting_does_not_block_the_writer() {
    let database = sqlite().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    let holder = begin_role(store, tenant, "holder").await.unwrap();
    for _ in 0..100 {
        assert!(give_up_after(3, store.change(tenant, cause())).await.is_none());
    }
    holder.commit().await.unwrap();
    soon(add_role(store, tenant, "next")).await.unwrap();
    assert_eq!(role_count(store).await, 2);
}

/// Gives a change up at every point where it waits. Each is kept whole or not at all, and nobody is in its way.
#[tokio::test]
async fn a_change_may_be_given_up_at_every_await() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let mut ended = 0;
        let mut polls = 1;
        while ended < 3 {
            let name = format!("after {polls}");
            if give_up_after(polls, add_role(store, tenant, &name)).await.is_some() {
                ended += 1;
            }
            // More and more at once: a poll costs next to nothing, and an answer takes thousands.
            polls += 1 + polls / 8;
            soon(add_role(store, tenant, &format!("{name}, next"))).await.unwrap();
        }
        let commits_in_flight = async || role_count(store).await == u64::try_from(event_count(store).await).unwrap();
        until(Duration::from_secs(10), commits_in_flight).await;
        let orphans = "select count(*) from roles where not exists \
                       (select 1 from events where events.subject = 'role/' || roles.name)";
        assert_eq!(number(store, orphans).await, 0, "{:?}", database.kind);
    }
}

#[tokio::test]
async fn a_commit_that_was_begun_is_finished_and_told() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let told = Arc::new(AtomicU32::new(0));
        let count = told.clone();
        store.on_invalidation(move |what| {
            if what == Invalidation::Tenant(tenant) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let tx = begin_role(store, tenant, "kept").await.unwrap();
        tx.scope().invalidate(Invalidation::Tenant(tenant));
        assert!(give_up_after(1, tx.commit()).await.is_none(), "the commit was faster than one poll");
        until(Duration::from_secs(10), async || told.load(Ordering::SeqCst) > 0).await;
        assert_eq!(role_names(store).await, ["kept"]);
    }
}

#[tokio::test]
async fn a_panic_while_holding_a_transaction_frees_the_writer() {
    for database in databases().await {
        let store = database.store.clone();
        let tenant = make_tenant(&store).await;
        let panicking = store.clone();
        let ended = tokio::spawn(async move {
            let _tx = begin_role(&panicking, tenant, "lost").await.unwrap();
            panic!("as the test wants it");
        });
        assert!(ended.await.unwrap_err().is_panic());
        soon(add_role(&store, tenant, "next")).await.unwrap();
        assert_eq!(role_names(&store).await, ["next"]);
    }
}

#[tokio::test]
async fn a_long_holder_loses_nobody() {
    let database = sqlite().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    let holder = begin_role(&store, tenant, "holder").await.unwrap();
    let waiting: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add_role(&store, tenant, &format!("waiting {n}")).await })
        })
        .collect();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(tenant, &cause(), vec![event("role/appended")]).await }
    });
    let_others_queue().await;
    for n in 0..200 {
        holder.scope().insert(role(&store, &format!("held {n}"))).await.unwrap();
    }
    holder.commit().await.unwrap();
    for change in waiting {
        soon(change).await.unwrap().unwrap();
    }
    soon(appending).await.unwrap().unwrap();
    assert_eq!(role_count(&store).await, 251);
    assert_eq!(event_count(&store).await, 51);
}

#[tokio::test]
async fn a_read_sees_one_moment_and_writes_nothing() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        add_role(store, tenant, "first").await.unwrap();
        let tx = store.read(tenant, cause()).await.unwrap();
        let count = || async { tx.scope().find::<roles::Entity>().count(&tx.scope()).await.unwrap() };
        assert_eq!(count().await, 1);
        add_role(store, tenant, "second").await.unwrap();
        assert_eq!(count().await, 1, "{:?} reads what was committed after the read began", database.kind);
        tx.scope().insert(role(store, "through a read")).await.unwrap_err();
        drop(tx);
        assert_eq!(role_count(store).await, 2);
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let endless =
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000000) select max(i) from n";
    for mut database in databases().await {
        database.config.statement_timeout = Duration::from_millis(50);
        database.reopen().await;
        let tx = database.store.read_system(cause()).await.unwrap();
        let began = Instant::now();
        let error = Error::from(tx.query_one_raw(sql(&tx, endless, [])).await.unwrap_err());
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?} took {:?}", database.kind, began.elapsed());
        drop(tx);
        soon(database.store.read_system(cause())).await.unwrap();
    }
}

#[tokio::test]
async fn an_update_in_a_transaction_is_seen_in_it() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let tx = begin_role(store, tenant, "old").await.unwrap();
        let changed = tx
            .scope()
            .update::<roles::Entity>()
            .col_expr(roles::Column::Name, "new".into())
            .filter(roles::Column::Name.eq("old"))
            .exec(&tx.scope())
            .await
            .unwrap();
        assert_eq!(changed.rows_affected, 1);
        assert_eq!(tx.scope().find::<roles::Entity>().one(&tx.scope()).await.unwrap().unwrap().name, "new");
        tx.commit().await.unwrap();
        assert_eq!(roles_named(store, tenant, "new").await, 1);
    }
}

#[tokio::test]
async fn a_closed_store_refuses_and_lets_go_of_its_files() {
    for mut database in databases().await {
        let store = database.store.clone();
        let tenant = make_tenant(&store).await;
        soon(store.close()).await;
        soon(store.close()).await;
        assert!(matches!(soon(store.change(tenant, cause())).await.err().unwrap(), Error::Unavailable(_)));
        assert!(matches!(soon(store.read(tenant, cause())).await.err().unwrap(), Error::Unavailable(_)));
        let appended = soon(store.append(tenant, &cause(), vec![event("role/late")])).await;
        assert!(matches!(appended.unwrap_err(), Error::Unavailable(_)));
        if let Some(path) = store.sqlite_path() {
            assert!(!path.with_extension("db-wal").exists(), "the last connection to go takes the log with it");
        }
        database.reopen().await;
        add_role(&database.store, tenant, "after").await.unwrap();
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_changes_does_not_panic() {
    let panicked = Arc::new(AtomicBool::new(false));
    let saw = panicked.clone();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("{info}");
        saw.store(true, Ordering::SeqCst);
    }));
    let folder = tempfile::TempDir::new().unwrap();
    for round in 0..10 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = StoreConfig::new(Database::Sqlite(folder.path().join("plinth.db")));
        let store = runtime.block_on(Store::open(config, plinth_core::World::system(), keys())).unwrap();
        let tenant = runtime.block_on(make_tenant(&store));
        for task in 0..20 {
            let store = store.clone();
            runtime.spawn(async move {
                for n in 0.. {
                    if add_role(&store, tenant, &format!("{round} {task} {n}")).await.is_err() {
                        return;
                    }
                }
            });
        }
        let busy = store.commits() + 3;
        while store.commits() < busy {
            std::thread::yield_now();
        }
        drop(runtime);
    }
    drop(std::panic::take_hook());
    assert!(!panicked.load(Ordering::SeqCst));
}
