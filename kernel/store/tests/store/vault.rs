//! Secrets at rest: whose they are, where they belong, and how the keys above them are exchanged.

use plinth_core::TenantId;
use plinth_store::{
    Error, Scope, Store, erase_tenant_rows,
    keyring::{KeyError, MasterKeys},
};
use plinth_testkit::databases;

use crate::support::*;

const CONTEXT: &str = "tests.secret 1";

async fn seal(store: &Store, tenant: TenantId, plain: &[u8]) -> Vec<u8> {
    let tx = store.change(tenant, cause()).await.unwrap();
    let sealed = store.vault().seal(&tx.scope(), CONTEXT, plain).await.unwrap();
    tx.commit().await.unwrap();
    sealed
}

async fn open_in(store: &Store, scope: Scope<'_>, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    store.vault().open(&scope, CONTEXT, sealed).await
}

async fn open(store: &Store, tenant: TenantId, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let tx = store.read(tenant, cause()).await.unwrap();
    open_in(store, tx.scope(), sealed).await
}

#[tokio::test]
async fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
    for mut database in databases().await {
        let (mine, other) = (make_tenant(&database.store).await, make_tenant(&database.store).await);
        let sealed = seal(&database.store, mine, b"secret").await;
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        for _ in 0..2 {
            let store = &database.store;
            // Another tenant first, before anybody has the key at hand, and again when somebody has.
            let theirs = open(store, other, &sealed).await;
            assert!(matches!(theirs, Err(Error::Sealing(KeyError::UnknownKey(_)))), "{theirs:?}");
            assert_eq!(open(store, mine, &sealed).await.unwrap(), b"secret");
            let theirs = open(store, other, &sealed).await;
            assert!(matches!(theirs, Err(Error::Sealing(KeyError::UnknownKey(_)))), "{:?}: {theirs:?}", database.kind);

            let tx = store.read_system(cause()).await.unwrap();
            assert_eq!(store.vault().open(&tx, CONTEXT, &sealed).await.unwrap(), b"secret", "the platform opens all");
            let elsewhere = store.vault().open(&tx, "tests.secret 2", &sealed).await;
            assert!(matches!(elsewhere, Err(Error::Sealing(KeyError::Tampered))), "{elsewhere:?}");
            let through = open_in(store, tx.in_tenant(other), &sealed).await;
            assert!(matches!(through, Err(Error::Sealing(KeyError::UnknownKey(_)))), "{through:?}");
            drop(tx);
            database.reopen().await;
        }
        for garbage in [&b""[..], b"plain text", &sealed[..10]] {
            open(&database.store, mine, garbage).await.unwrap_err();
        }
        let mut flipped = sealed.clone();
        *flipped.last_mut().unwrap() ^= 1;
        open(&database.store, mine, &flipped).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_tenant_has_one_key() {
    for mut database in databases().await {
        let tenant = make_tenant(&database.store).await;
        for n in 0..3_u8 {
            seal(&database.store, tenant, &[n]).await;
            database.reopen().await;
            seal(&database.store, tenant, &[n]).await;
        }
        assert_eq!(number(&database.store, "select count(*) from data_keys").await, 1);
    }
}

#[tokio::test]
async fn a_key_of_a_change_that_was_not_kept_is_never_used_again() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        for _ in 0..2 {
            let lost = store.change(tenant, cause()).await.unwrap();
            store.vault().seal(&lost.scope(), CONTEXT, b"lost").await.unwrap();
            // Nor does the passing of time make it true.
            database.world.advance(std::time::Duration::from_hours(1));
            store.vault().seal(&lost.scope(), CONTEXT, b"lost too").await.unwrap();
            drop(lost);
        }
        let sealed = seal(store, tenant, b"kept").await;
        assert_eq!(open(store, tenant, &sealed).await.unwrap(), b"kept");
        assert_eq!(number(store, "select count(*) from data_keys").await, 1, "{:?}", database.kind);
        let fresh = Store::open(database.config.clone(), database.world.clone(), master_copy(store)).await.unwrap();
        assert_eq!(open(&fresh, tenant, &sealed).await.unwrap(), b"kept");
        fresh.close().await;
    }
}

/// On SQLite a neighbour in the group sees the key before it is on disk; it may use it, and not remember it.
#[tokio::test]
async fn keys_are_remembered_when_they_are_on_disk() {
    let database = plinth_testkit::sqlite().await;
    let store = database.store.clone();
    let tenant = make_tenant(&store).await;
    let first = store.change(tenant, cause()).await.unwrap();
    store.vault().seal(&first.scope(), CONTEXT, b"first").await.unwrap();
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            let tx = store.change(tenant, cause()).await.unwrap();
            store.vault().seal(&tx.scope(), CONTEXT, b"second").await.unwrap();
            drop(tx);
        }
    });
    let_others_queue().await;
    let committing = tokio::spawn(first.commit());
    second.await.unwrap();
    committing.await.unwrap().unwrap();
    let sealed = seal(&store, tenant, b"third").await;
    assert_eq!(open(&store, tenant, &sealed).await.unwrap(), b"third");
    assert_eq!(number(&store, "select count(*) from data_keys").await, 1);
}

fn master_copy(store: &Store) -> MasterKeys {
    MasterKeys::from_text(&store.vault().masters().to_text(), "a test").unwrap()
}

#[tokio::test]
async fn master_keys_are_exchanged_without_touching_a_value() {
    for database in databases().await {
        let store = &database.store;
        let tenants = [make_tenant(store).await, make_tenant(store).await];
        let sealed = [seal(store, tenants[0], b"one").await, seal(store, tenants[1], b"two").await];
        let old = store.vault().masters().active_id();

        let mut masters = master_copy(store);
        let new = masters.rotate(store.world().random()).unwrap();
        store.vault().replace_masters(masters);
        let tx = store.change_system(cause()).await.unwrap();
        assert_eq!(store.vault().wrapped_by(&tx, old).await.unwrap(), 2);
        assert!(matches!(master_copy(store).retire(old, 2), Err(KeyError::StillInUse { wrapped: 2, .. })));
        assert_eq!(store.vault().rewrap(&tx).await.unwrap(), 2);
        assert_eq!(store.vault().rewrap(&tx).await.unwrap(), 0, "nothing is left to wrap");
        assert_eq!(store.vault().wrapped_by(&tx, old).await.unwrap(), 0);
        assert_eq!(store.vault().wrapped_by(&tx, new).await.unwrap(), 2);
        tx.commit().await.unwrap();

        let mut masters = master_copy(store);
        masters.retire(old, 0).unwrap();
        // A process that never saw the old key, and remembers nothing.
        let fresh = Store::open(database.config.clone(), database.world.clone(), masters).await.unwrap();
        for (tenant, (sealed, plain)) in tenants.iter().zip(sealed.iter().zip([b"one", b"two"])) {
            assert_eq!(open(&fresh, *tenant, sealed).await.unwrap(), plain);
        }
        let tx = fresh.read_system(cause()).await.unwrap();
        assert!(fresh.vault().unreadable(&tx).await.unwrap().is_empty());
        drop(tx);
        fresh.close().await;

        let stranger = Store::open(database.config.clone(), database.world.clone(), keys()).await.unwrap();
        let tx = stranger.read_system(cause()).await.unwrap();
        assert_eq!(stranger.vault().unreadable(&tx).await.unwrap().len(), 2, "{:?}", database.kind);
        drop(tx);
        let missing = open(&stranger, tenants[0], &sealed[0]).await;
        assert!(matches!(missing, Err(Error::Sealing(KeyError::UnknownKey(id))) if id == new), "{missing:?}");
        stranger.close().await;
    }
}

#[tokio::test]
async fn an_erased_key_is_forgotten_with_the_change_that_erases_it() {
    for database in databases().await {
        let store = &database.store;
        let (gone, stays) = (make_tenant(store).await, make_tenant(store).await);
        let sealed = [seal(store, gone, b"gone").await, seal(store, stays, b"stays").await];
        assert_eq!(open(store, gone, &sealed[0]).await.unwrap(), b"gone");
        let tx = store.change_system(cause()).await.unwrap();
        erase_tenant_rows(&tx, gone).await.unwrap();
        tx.commit().await.unwrap();
        let erased = open(store, gone, &sealed[0]).await;
        assert!(matches!(erased, Err(Error::Sealing(KeyError::UnknownKey(_)))), "{:?}: {erased:?}", database.kind);
        assert_eq!(open(store, stays, &sealed[1]).await.unwrap(), b"stays");
        let again = seal(store, gone, b"anew").await;
        assert_eq!(open(store, gone, &again).await.unwrap(), b"anew");
    }
}
