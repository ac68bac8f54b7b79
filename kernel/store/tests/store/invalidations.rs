//! "What you remember of this is old": told after the commit and never without it, on every node.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use plinth_core::TenantId;
use plinth_store::{Invalidation, Store};
use plinth_testkit::{TestDatabase, databases};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::*;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Invalidation>>>);

impl Heard {
    fn by(store: &Store) -> Self {
        let heard = Self::default();
        let list = heard.clone();
        store.on_invalidation(move |what| list.0.lock().unwrap().push(what));
        heard
    }

    fn has(&self, what: Invalidation) -> bool {
        self.0.lock().unwrap().contains(&what)
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

async fn tell(store: &Store, tenant: TenantId) {
    let tx = store.change(tenant, cause()).await.unwrap();
    tx.scope().invalidate(Invalidation::Tenant(tenant));
    tx.commit().await.unwrap();
}

async fn second_node(database: &TestDatabase) -> Store {
    Store::open(database.config.clone(), database.world.clone(), keys()).await.unwrap()
}

/// Ends every connection to the database but the one that asks for it.
async fn end_connections(database: &TestDatabase) {
    let url = database.postgres_url().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut owner = PgConnection::connect(url).await.unwrap();
    let query = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()"
    );
    sqlx::query(AssertSqlSafe(query)).execute(&mut owner).await.unwrap();
}

#[tokio::test]
async fn told_before_the_commit_returns_and_not_without_one() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let heard = Heard::by(store);
        let tx = begin_role(store, tenant, "lost").await.unwrap();
        tx.scope().invalidate(Invalidation::Tenant(tenant));
        assert!(heard.0.lock().unwrap().is_empty(), "told before the commit");
        drop(tx);
        let refused = begin_role(store, tenant, "lost").await.unwrap();
        refused.scope().invalidate(Invalidation::Tenant(tenant));
        refused.scope().emit(event("role/1").expecting(7));
        refused.commit().await.unwrap_err();
        tell(store, store.world().mint()).await;
        assert!(!heard.has(Invalidation::Tenant(tenant)), "{:?}: told without a commit", database.kind);
        let tx = store.change_system(cause()).await.unwrap();
        tx.invalidate(Invalidation::Tenant(tenant));
        tx.in_tenant(tenant).invalidate(Invalidation::SigningKeys);
        tx.commit().await.unwrap();
        assert!(heard.has(Invalidation::Tenant(tenant)) && heard.has(Invalidation::SigningKeys));
    }
}

#[tokio::test]
async fn whoever_hears_sees_the_change() {
    for database in databases().await {
        let store = database.store.clone();
        let tenant = make_tenant(&store).await;
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        store.on_invalidation(move |_| told.send(()).unwrap());
        let seen = tokio::spawn({
            let store = store.clone();
            async move {
                heard.recv().await.unwrap();
                role_count(&store).await
            }
        });
        let tx = begin_role(&store, tenant, "new").await.unwrap();
        tx.scope().invalidate(Invalidation::Tenant(tenant));
        tx.commit().await.unwrap();
        assert_eq!(soon(seen).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_listener_that_panics_spoils_nothing() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        store.on_invalidation(|_| panic!("as the test wants it"));
        let heard = Heard::by(store);
        tell(store, tenant).await;
        assert!(heard.has(Invalidation::Tenant(tenant)));
    }
}

#[tokio::test]
async fn another_node_hears_within_a_second() {
    let database = postgres().await;
    let other = second_node(&database).await;
    let heard = Heard::by(&other);
    let tenant = make_tenant(&database.store).await;
    for _ in 0..20 {
        heard.clear();
        tell(&database.store, tenant).await;
        let told = Instant::now();
        until(Duration::from_secs(5), async || heard.has(Invalidation::Tenant(tenant))).await;
        assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    }
    assert!(!heard.has(Invalidation::Everything), "nothing was missed");
    let tx = begin_role(&database.store, tenant, "lost").await.unwrap();
    tx.scope().invalidate(Invalidation::SigningKeys);
    drop(tx);
    tell(&database.store, tenant).await;
    assert!(!heard.has(Invalidation::SigningKeys));
    other.close().await;
}

#[tokio::test]
async fn a_node_that_lost_its_connection_forgets_everything_and_hears_again() {
    let database = postgres().await;
    let other = second_node(&database).await;
    let heard = Heard::by(&other);
    let tenant = make_tenant(&database.store).await;
    for _ in 0..3 {
        heard.clear();
        end_connections(&database).await;
        until(Duration::from_secs(10), async || heard.has(Invalidation::Everything)).await;
        // Told to forget when it listens again, so from here on nothing is missed.
        tell(&database.store, tenant).await;
        until(Duration::from_secs(1), async || heard.has(Invalidation::Tenant(tenant))).await;
    }
    other.close().await;
}

#[tokio::test]
async fn a_store_that_is_gone_hears_nothing_and_holds_no_connection() {
    let database = postgres().await;
    let url = database.postgres_url().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let connections =
        format!("select count(*) from pg_stat_activity where datname = '{name}' and application_name = 'plinth'");
    let mut owner = PgConnection::connect(url).await.unwrap();
    let mut count =
        async || sqlx::query_scalar::<_, i64>(AssertSqlSafe(connections.clone())).fetch_one(&mut owner).await.unwrap();
    let before = count().await;
    let closed = second_node(&database).await;
    assert!(count().await > before);
    soon(closed.close()).await;
    drop(second_node(&database).await);
    until(Duration::from_secs(10), async || count().await <= before).await;
}
