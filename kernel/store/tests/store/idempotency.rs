//! Requests under an Idempotency-Key.

use std::time::Duration;

use plinth_core::TenantId;
use plinth_store::{
    Error, Store,
    idempotency::{Answer, Claim, Request, Ticket, claim, clean_up, complete, complete_alone, release},
};
use plinth_testkit::databases;

use crate::support::*;

const DAY: Duration = Duration::from_hours(24);
/// Longer than a lease lasts.
const LATER: Duration = Duration::from_mins(2);

fn request(tenant: Option<TenantId>, key: u8) -> Request {
    Request { scope: [key; 32], tenant, hash: [1; 32], keep: DAY }
}

fn answer() -> Answer {
    Answer {
        status: 201,
        headers: vec![("etag".into(), "\"a\"".into()), ("x-two".into(), "1".into()), ("x-two".into(), "2".into())],
        body: b"{\"secret\":\"pk_live\"}".to_vec(),
    }
}

async fn granted(store: &Store, request: Request) -> Ticket {
    match claim(store, request, &cause()).await.unwrap() {
        Claim::Granted(ticket) => ticket,
        other => panic!("not granted: {other:?}"),
    }
}

#[tokio::test]
async fn the_first_answer_is_given_again() {
    for mut database in databases().await {
        let tenant = make_tenant(&database.store).await;
        for owner in [Some(tenant), None] {
            let store = &database.store;
            let asked = request(owner, u8::from(owner.is_some()));
            let ticket = granted(store, asked).await;
            assert!(matches!(claim(store, asked, &cause()).await.unwrap(), Claim::Running));
            let other = Request { hash: [2; 32], ..asked };
            assert!(matches!(claim(store, other, &cause()).await.unwrap(), Claim::Mismatch), "while it runs");
            match owner {
                Some(tenant) => {
                    let tx = begin_role(store, tenant, "effect").await.unwrap();
                    complete(&tx.scope(), ticket, &answer()).await.unwrap();
                    tx.commit().await.unwrap();
                }
                None => complete_alone(store, ticket, &answer(), &cause()).await.unwrap(),
            }
            database.reopen().await;
            let store = &database.store;
            match claim(store, asked, &cause()).await.unwrap() {
                Claim::Done(kept) => assert_eq!(kept, answer()),
                other => panic!("{other:?}"),
            }
            assert!(matches!(claim(store, other, &cause()).await.unwrap(), Claim::Mismatch), "when it is done");
        }
        assert_eq!(role_count(&database.store).await, 1);
    }
}

#[tokio::test]
async fn an_answer_is_kept_with_its_effect_or_not_at_all() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let asked = request(Some(tenant), 1);
        let ticket = granted(store, asked).await;
        let tx = begin_role(store, tenant, "effect").await.unwrap();
        complete(&tx.scope(), ticket, &answer()).await.unwrap();
        drop(tx);
        assert!(matches!(claim(store, asked, &cause()).await.unwrap(), Claim::Running));
        assert_eq!(role_count(store).await, 0);
    }
}

#[tokio::test]
async fn who_comes_too_late_loses_the_effect() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let asked = request(Some(tenant), 1);
        let late = granted(store, asked).await;
        let tx = begin_role(store, tenant, "late").await.unwrap();
        // Its lease ran out while it worked, and another has taken the work over.
        database.world.advance(LATER);
        drop(tx);
        let ticket = granted(store, asked).await;
        let tx = begin_role(store, tenant, "late").await.unwrap();
        let refused = complete(&tx.scope(), late, &answer()).await;
        assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
        drop(tx);
        assert!(matches!(complete_alone(store, late, &answer(), &cause()).await, Err(Error::Stale)));
        release(store, late, &cause()).await.unwrap();
        let tx = begin_role(store, tenant, "in time").await.unwrap();
        complete(&tx.scope(), ticket, &answer()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(role_names(store).await, ["in time"]);
    }
}

#[tokio::test]
async fn an_answer_is_forgotten_after_its_time() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let asked = request(Some(tenant), 1);
        complete_alone(store, granted(store, asked).await, &answer(), &cause()).await.unwrap();
        let kept = granted(store, request(Some(tenant), 2)).await;
        database.world.advance(DAY);
        let other = Request { hash: [2; 32], ..asked };
        let ticket = granted(store, other).await;
        complete_alone(store, ticket, &Answer { body: b"new".to_vec(), ..answer() }, &cause()).await.unwrap();
        match claim(store, other, &cause()).await.unwrap() {
            Claim::Done(kept) => assert_eq!(kept.body, b"new"),
            other => panic!("{other:?}"),
        }
        let tx = store.change_system(cause()).await.unwrap();
        assert_eq!(clean_up(&tx).await.unwrap(), 1, "the second, which nobody completed");
        tx.commit().await.unwrap();
        assert!(matches!(complete_alone(store, kept, &answer(), &cause()).await, Err(Error::Stale)));
        assert!(matches!(claim(store, other, &cause()).await.unwrap(), Claim::Done(_)));
    }
}

/// An answer that is kept for less than a request may take does not let a second one in.
#[tokio::test]
async fn a_running_request_is_not_overtaken_when_its_answer_would_be_old() {
    for database in databases().await {
        let store = &database.store;
        let asked = Request { keep: Duration::from_secs(1), ..request(None, 1) };
        let ticket = granted(store, asked).await;
        database.world.advance(Duration::from_secs(10));
        assert!(matches!(claim(store, asked, &cause()).await.unwrap(), Claim::Running));
        let tx = store.change_system(cause()).await.unwrap();
        assert_eq!(clean_up(&tx).await.unwrap(), 0);
        tx.commit().await.unwrap();
        complete_alone(store, ticket, &answer(), &cause()).await.unwrap();
    }
}

#[tokio::test]
async fn a_released_key_may_be_used_at_once() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let asked = request(Some(tenant), 1);
        release(store, granted(store, asked).await, &cause()).await.unwrap();
        let other = Request { hash: [2; 32], ..asked };
        granted(store, other).await;
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_granted() {
    for mut database in databases().await {
        database.config.acquire_timeout = Duration::from_mins(1);
        database.reopen().await;
        let store = &database.store;
        let tenant = make_tenant(store).await;
        for round in 0..4 {
            // The second half takes over a lease that ran out.
            if round == 2 {
                database.world.advance(LATER);
            }
            let claims: Vec<_> = (0..16)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(
                        async move { claim(&store, request(Some(tenant), round % 2), &cause()).await.unwrap() },
                    )
                })
                .collect();
            let mut granted = 0;
            for claim in claims {
                match claim.await.unwrap() {
                    Claim::Granted(_) => granted += 1,
                    Claim::Running => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(granted, 1, "{:?}, round {round}", database.kind);
        }
    }
}

#[tokio::test]
async fn another_tenant_does_not_complete_a_claim() {
    for database in databases().await {
        let store = &database.store;
        let (mine, other) = (make_tenant(store).await, make_tenant(store).await);
        let ticket = granted(store, request(Some(mine), 1)).await;
        let tx = store.change(other, cause()).await.unwrap();
        let refused = complete(&tx.scope(), ticket, &answer()).await;
        assert!(matches!(refused, Err(Error::Inconsistent(_))), "{refused:?}");
        drop(tx);
        let tx = store.change_system(cause()).await.unwrap();
        complete(&tx, ticket, &answer()).await.unwrap_err();
        complete(&tx.in_tenant(mine), ticket, &answer()).await.unwrap();
    }
}
