//! Lists by key set, over many rows that are equal in what the list is ordered by.

use plinth_core::{
    TenantId,
    page::{Cursor, Direction, Start},
};
use plinth_store::{Error, Keyset, Slice, Store, list};
use plinth_testkit::databases;
use uuid::Uuid;

use crate::support::*;

const ROWS: usize = 1_000;

async fn fill(store: &Store, tenant: TenantId) -> Vec<roles::Model> {
    let mut rows = Vec::with_capacity(ROWS);
    let tx = store.change(tenant, cause()).await.unwrap();
    for n in 0..ROWS {
        let mut id = [0; 16];
        store.world().fill(&mut id);
        // Five values for a thousand rows, and ids in no order of their making.
        let value = i64::try_from(n % 5).unwrap();
        let row = roles::Model { id: Uuid::from_bytes(id), created_at: value, ..role(store, &format!("role {n}")) };
        tx.scope().insert(row.clone()).await.unwrap();
        rows.push(row);
    }
    tx.commit().await.unwrap();
    rows
}

fn order(direction: Direction) -> Keyset<roles::Column> {
    Keyset { by: roles::Column::CreatedAt, id: roles::Column::Id, direction }
}

async fn page(
    store: &Store,
    tenant: TenantId,
    order: Keyset<roles::Column>,
    start: &Start,
    limit: u32,
) -> Slice<roles::Model> {
    let tx = store.read(tenant, cause()).await.unwrap();
    let scope = tx.scope();
    list(&scope, scope.find::<roles::Entity>(), order, start, limit).await.unwrap()
}

/// As it goes to a client and comes back.
fn through_text(cursor: &Cursor) -> Cursor {
    Cursor::from_text(&cursor.to_text("created_at"), "created_at").unwrap()
}

async fn forward(store: &Store, tenant: TenantId, order: Keyset<roles::Column>, limit: u32) -> Vec<Uuid> {
    let mut ids = Vec::new();
    let mut start = Start::First;
    loop {
        let slice = page(store, tenant, order, &start, limit).await;
        assert_eq!(slice.prev.is_none(), start == Start::First);
        assert_eq!(slice.next.is_some(), slice.has_more);
        ids.extend(slice.rows.iter().map(|row| row.id));
        match slice.next {
            Some(next) => start = Start::After(through_text(&next)),
            None => return ids,
        }
    }
}

async fn backward(store: &Store, tenant: TenantId, order: Keyset<roles::Column>, limit: u32) -> Vec<Uuid> {
    let mut ids = Vec::new();
    let mut start = Start::Last;
    loop {
        let slice = page(store, tenant, order, &start, limit).await;
        assert_eq!(slice.prev.is_some(), slice.has_more);
        assert!(slice.next.is_some());
        ids.extend(slice.rows.iter().rev().map(|row| row.id));
        match slice.prev {
            Some(prev) => start = Start::Before(through_text(&prev)),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn every_row_comes_once_in_both_directions() {
    for database in databases().await {
        let store = &database.store;
        let (tenant, other) = (make_tenant(store).await, make_tenant(store).await);
        let mut rows = fill(store, tenant).await;
        add_role(store, other, "of another tenant").await.unwrap();
        rows.sort_by_key(|row| (row.created_at, row.id));
        let ascending: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let descending: Vec<Uuid> = ascending.iter().rev().copied().collect();
        for limit in [7, 200, 1_000, 5_000] {
            let (up, down) = (order(Direction::Ascending), order(Direction::Descending));
            assert_eq!(forward(store, tenant, up, limit).await, ascending, "{:?}, pages of {limit}", database.kind);
            assert_eq!(forward(store, tenant, down, limit).await, descending);
            assert_eq!(backward(store, tenant, up, limit).await, descending);
            assert_eq!(backward(store, tenant, down, limit).await, ascending);
        }
    }
}

#[tokio::test]
async fn text_is_ordered_the_same_on_every_page() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let tx = store.change(tenant, cause()).await.unwrap();
        let names =
            ["a", "B", "b", "ä", "A b", "a-b", "a_b", "Z", "z", "é", "e", "10", "9", "ß", "ss", " ", "\u{1F680}"];
        for name in names {
            tx.scope().insert(role(store, name)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let by_name = Keyset { by: roles::Column::Name, id: roles::Column::Id, direction: Direction::Ascending };
        let whole = forward(store, tenant, by_name, 200).await;
        assert_eq!(whole.len(), names.len());
        for limit in [1, 2, 3] {
            assert_eq!(forward(store, tenant, by_name, limit).await, whole, "{:?}, pages of {limit}", database.kind);
            assert!(backward(store, tenant, by_name, limit).await.iter().eq(whole.iter().rev()));
        }
    }
}

#[tokio::test]
async fn inserts_between_pages_neither_skip_nor_repeat() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        let rows = fill(store, tenant).await;
        let mut seen = Vec::new();
        let mut start = Start::First;
        for n in 0.. {
            let slice = page(store, tenant, order(Direction::Ascending), &start, 40).await;
            seen.extend(slice.rows.iter().map(|row| row.id));
            let Some(next) = slice.next else { break };
            // One row far behind, one in the middle of what is equal, one far ahead.
            let tx = store.change(tenant, cause()).await.unwrap();
            for value in [-1, 2, 9] {
                let new = roles::Model { created_at: value, ..role(store, &format!("new {n} {value}")) };
                tx.scope().insert(new).await.unwrap();
            }
            tx.commit().await.unwrap();
            start = Start::After(next);
        }
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), seen.len(), "{:?}: a row came twice", database.kind);
        assert!(rows.iter().all(|row| unique.binary_search(&row.id).is_ok()), "a row was skipped");
    }
}

#[tokio::test]
async fn a_page_goes_back_to_where_it_came_from() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        fill(store, tenant).await;
        let order = order(Direction::Descending);
        let first = page(store, tenant, order, &Start::First, 30).await;
        let second = page(store, tenant, order, &Start::After(first.next.clone().unwrap()), 30).await;
        let back = page(store, tenant, order, &Start::Before(second.prev.clone().unwrap()), 30).await;
        assert_eq!(back.rows, first.rows);
        assert!(!back.has_more);
        assert_eq!((back.next, back.prev), (first.next, None));
        let last = page(store, tenant, order, &Start::Last, 30).await;
        let nothing = page(store, tenant, order, &Start::After(last.next.unwrap()), 30).await;
        assert!(nothing.rows.is_empty() && !nothing.has_more && nothing.next.is_none());
    }
}

#[tokio::test]
async fn an_empty_list_has_no_cursors() {
    for database in databases().await {
        let store = &database.store;
        let tenant = make_tenant(store).await;
        for start in [Start::First, Start::Last] {
            let slice = page(store, tenant, order(Direction::Ascending), &start, 10).await;
            assert!(slice.rows.is_empty() && !slice.has_more && slice.next.is_none() && slice.prev.is_none());
        }
    }
}

#[tokio::test]
async fn a_list_says_what_it_cannot_be_ordered_by() {
    let database = plinth_testkit::sqlite().await;
    let store = &database.store;
    let tenant = make_tenant(store).await;
    add_role(store, tenant, "one").await.unwrap();
    add_role(store, tenant, "two").await.unwrap();
    let tx = store.read(tenant, cause()).await.unwrap();
    let order = Keyset { by: roles::Column::Description, ..order(Direction::Ascending) };
    let error = list(&tx.scope(), tx.scope().find::<roles::Entity>(), order, &Start::First, 1).await.unwrap_err();
    assert!(matches!(error, Error::Inconsistent(_)), "{error:?}");
}
