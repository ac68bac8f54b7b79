//! The event log: versions, order, the chain, and who may touch it.

use std::time::Duration;

use futures::future::join_all;
use plinth_core::{Actor, Cause, NewEvent, UserId};
use plinth_store::Error;
use plinth_testkit::{Kind, databases, sqlite};
use sea_orm::ConnectionTrait;
use sqlx::{Connection, PgConnection};

use crate::{chain, support::*};

#[tokio::test]
async fn versions_have_no_gap_whoever_writes_at_once() {
    for database in databases().await {
        let store = &database.store;
        let tenants = [make_tenant(store).await, make_tenant(store).await];
        let appends = (0..120).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let events = vec![event(&format!("sample/{}", n % 3)), event(&format!("sample/{}", (n + 1) % 3))];
                store.append(tenants[n % 2], &cause(), events).await.map(|appended| appended.len())
            })
        });
        let changes = (0..60).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let tx = store.change(tenants[n % 2], cause()).await?;
                tx.scope().emit(event(&format!("sample/{}", n % 3)));
                tx.commit().await.map(|appended| appended.len())
            })
        });
        let mut told = 0;
        for result in join_all(appends.chain(changes)).await {
            match result.unwrap() {
                Ok(appended) => told += appended,
                // Decided on what was no longer so: nothing of it was kept.
                Err(Error::VersionConflict { .. }) => assert_eq!(database.kind, Kind::Postgres),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(told >= 240, "bare appends have decided nothing and meet no conflict: {told}");
        assert_eq!(event_count(store).await, i64::try_from(told).unwrap(), "{:?}", database.kind);
        chain::assert_no_gaps(store).await;
    }
}

#[tokio::test]
async fn bare_appends_share_commits() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let before = store.commits();
        let appends = (0..300).map(|n| {
            let store = store.clone();
            tokio::spawn(
                async move { store.append(tenant, &cause(), vec![event(&format!("sample/{}", n % 10))]).await },
            )
        });
        for appended in join_all(appends).await {
            assert_eq!(appended.unwrap().unwrap().len(), 1);
        }
        let commits = store.commits() - before;
        assert!(commits < 100, "{:?}: {commits} commits for 300 appends are not shared", database.kind);
        assert_eq!(event_count(store).await, 300);
        chain::assert_no_gaps(store).await;
    }
}

#[tokio::test]
async fn an_expected_version_that_is_not_the_last_is_a_conflict() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let appended =
            store.append(tenant, &cause(), vec![event("order/1").expecting(0), event("order/1").expecting(1)]).await;
        assert_eq!(appended.unwrap().iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
        let is_conflict =
            |error: &Error| matches!(error, Error::VersionConflict { subject, expected: 1 } if subject == "order/1");
        let late = store.append(tenant, &cause(), vec![event("order/2"), event("order/1").expecting(1)]).await;
        assert!(is_conflict(late.as_ref().unwrap_err()), "{late:?}");
        let tx = begin_role(store, tenant, "late").await.unwrap();
        tx.scope().emit(event("order/2"));
        tx.scope().emit(event("order/1").expecting(1));
        let late = tx.commit().await;
        assert!(is_conflict(late.as_ref().unwrap_err()), "{late:?}");
        assert_eq!(event_count(store).await, 2, "a conflict keeps nothing of its change");
        assert_eq!(role_count(store).await, 0);
    }
}

/// Jobs of one batch: a conflict, or what the database cannot take, is the trouble of its own job alone.
#[tokio::test]
async fn an_append_that_fails_takes_no_other_with_it() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let appends = (0..40).map(|n| {
            let store = store.clone();
            let events = match n % 4 {
                1 => vec![event(&format!("sample/{n}")), event("sample/conflict").expecting(7)],
                2 if database.kind == Kind::Postgres => vec![event(&format!("sample/\0{n}"))],
                _ => vec![event("sample/shared")],
            };
            tokio::spawn(async move { store.append(tenant, &cause(), events).await })
        });
        let mut good = 0;
        for (n, result) in join_all(appends).await.into_iter().enumerate() {
            match (n % 4, result.unwrap()) {
                (1, result) => assert!(matches!(result, Err(Error::VersionConflict { expected: 7, .. })), "{result:?}"),
                (2, result) if database.kind == Kind::Postgres => {
                    assert!(matches!(result, Err(Error::Query(_))), "{result:?}");
                }
                (_, result) => good += result.unwrap().len(),
            }
        }
        assert_eq!(event_count(store).await, i64::try_from(good).unwrap());
        chain::assert_no_gaps(store).await;
    }
}

#[tokio::test]
async fn appends_and_changes_make_one_chain() {
    let database = sqlite().await;
    let store = &database.store;
    let tenants = [make_tenant(store).await, make_tenant(store).await];
    let writers = (0..100).map(|n| {
        let store = store.clone();
        let tenant = tenants[n % 2];
        tokio::spawn(async move {
            if n % 3 == 0 {
                let tx = begin_role(&store, tenant, &format!("role {n}")).await.unwrap();
                tx.scope().emit(event("role/one"));
                tx.scope().emit(event("role/two"));
                tx.commit().await
            } else {
                store.append(tenant, &full_cause(), vec![event("role/one"), event(&format!("role/{n}"))]).await
            }
        })
    });
    for appended in join_all(writers).await {
        let positions: Vec<_> = appended.unwrap().unwrap().iter().map(|event| event.position.unwrap()).collect();
        assert!(positions.is_sorted(), "{positions:?}");
    }
    let path = store.sqlite_path().unwrap();
    assert_eq!(chain::read(path).len(), 200);
    assert_eq!(chain::first_break(path), None);
    chain::assert_no_gaps(store).await;
}

/// Every field that the hash covers is there.
fn full_cause() -> Cause {
    let world = plinth_core::World::system();
    let user: UserId = world.mint();
    Cause {
        actor: Actor::User(user),
        impersonator: Some(world.mint()),
        correlation: "req_1".into(),
        origin: Some("203.0.113.7".into()),
    }
}

#[tokio::test]
async fn whatever_is_changed_in_the_log_shows() {
    let database = sqlite().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    for n in 0..5 {
        store.append(tenant, &full_cause(), vec![event(&format!("order/{n}"))]).await.unwrap();
    }
    let path = store.sqlite_path().unwrap();
    assert_eq!(chain::first_break(path), None);
    let file = rusqlite::Connection::open(path).unwrap();
    let changes = [
        ("update events set data = replace(data, 'of', 'on') where position = 3", 3),
        ("update events set actor = 'system' where position = 3", 3),
        ("update events set impersonator = null where position = 3", 3),
        ("update events set origin = null where position = 3", 3),
        ("update events set time = time + 1 where position = 3", 3),
        ("update events set subject = 'order/9' where position = 3", 3),
        ("delete from events where position = 3", 4),
        ("delete from events where position = 5", -1),
    ];
    for (change, breaks_at) in changes {
        file.execute_batch("savepoint tampering").unwrap();
        assert_eq!(file.execute(change, []).unwrap(), 1);
        file.execute_batch("release tampering").unwrap();
        assert_eq!(chain::first_break(path), Some(breaks_at), "{change}");
        restore(&file, path, tenant, store).await;
    }
}

/// Begins the log anew, with the same five events.
async fn restore(
    file: &rusqlite::Connection,
    path: &std::path::Path,
    tenant: plinth_core::TenantId,
    store: &plinth_store::Store,
) {
    file.execute_batch("delete from events; delete from sqlite_sequence").unwrap();
    for n in 0..5 {
        // As changes: the appender remembers the end of the chain that is gone.
        let tx = store.change(tenant, full_cause()).await.unwrap();
        tx.scope().emit(event(&format!("order/{n}")));
        tx.commit().await.unwrap();
    }
    assert_eq!(chain::first_break(path), None);
}

#[tokio::test]
async fn positions_ascend_in_the_order_of_commits() {
    let database = sqlite().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    let early = begin_role(store, tenant, "early").await.unwrap();
    early.scope().emit(event("role/early"));
    drop(early);
    let mut last = 0;
    for n in 0..20 {
        let position = if n % 2 == 0 {
            let tx = store.change(tenant, cause()).await.unwrap();
            tx.scope().emit(event("role/x"));
            tx.commit().await.unwrap()[0].position.unwrap()
        } else {
            store.append(tenant, &cause(), vec![event("role/x")]).await.unwrap()[0].position.unwrap()
        };
        assert!(position > last, "{position} after {last}");
        last = position;
    }
}

#[tokio::test]
async fn of_two_changes_of_one_subject_one_is_told_of_the_conflict() {
    let database = postgres().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    for round in 0..20 {
        let (one, two) = (store.change(tenant, cause()).await.unwrap(), store.change(tenant, cause()).await.unwrap());
        for tx in [&one, &two] {
            tx.scope().emit(event(&format!("order/{round}")).expecting(0));
        }
        let results = [tokio::spawn(one.commit()), tokio::spawn(two.commit())];
        let results: Vec<_> = join_all(results).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let conflict = |result: &&Result<_, Error>| matches!(result, Err(Error::VersionConflict { .. }));
        assert_eq!(results.iter().filter(conflict).count(), 1, "{results:?}");
        assert_eq!(event_count(store).await, round + 1);
    }
    chain::assert_no_gaps(store).await;
}

#[tokio::test]
async fn changes_of_one_subject_that_expect_nothing_follow_each_other() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let changes = (0..30).map(|_| async {
            let tx = store.change(tenant, cause()).await.unwrap();
            tx.scope().emit(event("user/one"));
            tx.scope().emit(event("user/two"));
            tx.commit().await.unwrap()
        });
        join_all(changes).await;
        assert_eq!(event_count(store).await, 60);
        chain::assert_no_gaps(store).await;
    }
}

/// A bare append has decided nothing: whatever version comes to be the next, it is content with.
#[tokio::test]
async fn an_append_goes_behind_a_change_of_the_same_subject() {
    let database = postgres().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    let url = database.postgres_url().unwrap();
    let mut change = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("begin").execute(&mut change).await.unwrap();
    sqlx::query(
        "insert into events (id, tenant, subject, version, kind, time, actor, data) \
         values (gen_random_uuid(), $1, 'sample/1', 1, 'sample.taken', 1, 'system', '{}')",
    )
    .bind(tenant.uuid())
    .execute(&mut change)
    .await
    .unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(tenant, &cause(), vec![event("sample/1"), event("sample/2")]).await }
    });
    let mut watch = PgConnection::connect(url).await.unwrap();
    let waits = "select exists (select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    until(Duration::from_secs(10), async || sqlx::query_scalar(waits).fetch_one(&mut watch).await.unwrap()).await;
    sqlx::raw_sql("commit").execute(&mut change).await.unwrap();
    let versions: Vec<u64> = soon(appending).await.unwrap().unwrap().iter().map(|event| event.version).collect();
    assert_eq!(versions, [2, 1]);
    chain::assert_no_gaps(store).await;
}

#[tokio::test]
async fn a_request_cannot_rewrite_the_log() {
    let database = postgres().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    store.append(tenant, &cause(), vec![event("order/1")]).await.unwrap();
    for statement in ["update events set actor = 'nobody'", "delete from events", "truncate events"] {
        let tx = store.change(tenant, cause()).await.unwrap();
        let error = tx.scope().execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
    assert_eq!(event_count(store).await, 1);
}

#[tokio::test]
async fn an_event_is_kept_as_it_was_told() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let data = serde_json::json!({ "text": "zoë\n\u{1F680}", "n": 1.5, "none": null });
        let told = NewEvent::new("order.created", "order/ord_1", &data);
        let cause = full_cause();
        let appended = store.append(tenant, &cause, vec![told]).await.unwrap()[0];
        assert_eq!(appended.version, 1);
        assert_eq!(appended.position.is_some(), database.kind == Kind::Sqlite);
        let tx = store.read_system(cause.clone()).await.unwrap();
        let query = "select id, kind, subject, actor, impersonator, correlation, origin, data, time from events";
        let row = tx.query_one_raw(sql(&tx, query, [])).await.unwrap().unwrap();
        assert_eq!(row.try_get_by::<uuid::Uuid, _>(0).unwrap(), appended.id.uuid());
        assert_eq!(row.try_get_by::<String, _>(1).unwrap(), "order.created");
        assert_eq!(row.try_get_by::<String, _>(2).unwrap(), "order/ord_1");
        assert_eq!(row.try_get_by::<String, _>(3).unwrap(), cause.actor.to_string());
        assert_eq!(row.try_get_by::<Option<uuid::Uuid>, _>(4).unwrap(), cause.impersonator.map(plinth_core::Id::uuid));
        assert_eq!(row.try_get_by::<Option<String>, _>(5).unwrap().as_deref(), Some("req_1"));
        assert_eq!(row.try_get_by::<Option<String>, _>(6).unwrap().as_deref(), Some("203.0.113.7"));
        let stored: serde_json::Value = serde_json::from_str(&row.try_get_by::<String, _>(7).unwrap()).unwrap();
        assert_eq!(stored, data);
        assert!(row.try_get_by::<i64, _>(8).unwrap() <= store.world().now().millis());
    }
}
