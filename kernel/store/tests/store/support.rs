//! What the tests of all themes use.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use plinth_core::{Cause, NewEvent, TenantId};
use plinth_store::{Store, TenantOwned, TenantTx, keyring::MasterKeys};
use plinth_testkit::{Kind, TestDatabase, databases};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Statement, Value};
use uuid::Uuid;

/// An existing table of a tenant's rows.
pub mod roles {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "roles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub tenant: Uuid,
        pub name: String,
        pub description: Option<String>,
        pub permissions: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TenantOwned for roles::Entity {
    fn tenant_column() -> roles::Column {
        roles::Column::Tenant
    }
}

pub fn cause() -> Cause {
    Cause::system("a test")
}

pub async fn postgres() -> TestDatabase {
    databases().await.into_iter().find(|database| database.kind == Kind::Postgres).unwrap()
}

pub fn keys() -> MasterKeys {
    MasterKeys::generate(plinth_core::World::system().random()).unwrap()
}

pub fn sql(connection: &impl ConnectionTrait, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), text, values)
}

pub async fn make_tenant(store: &Store) -> TenantId {
    let tenant: TenantId = store.world().mint();
    let tx = store.change_system(cause()).await.unwrap();
    let insert = sql(
        &tx,
        "insert into tenants (id, slug, name, state, created_at) values ($1, $2, 'A tenant', 'active', 1)",
        [tenant.uuid().into(), tenant.uuid().to_string().into()],
    );
    tx.execute_raw(insert).await.unwrap();
    tx.commit().await.unwrap();
    tenant
}

pub fn role(store: &Store, name: &str) -> roles::Model {
    roles::Model {
        id: store.world().mint_uuid(),
        tenant: Uuid::nil(),
        name: name.into(),
        description: None,
        permissions: "[]".into(),
        created_at: 1,
    }
}

/// Opens a change and adds a role to it.
pub async fn begin_role(store: &Store, tenant: TenantId, name: &str) -> Result<TenantTx, plinth_store::Error> {
    let tx = store.change(tenant, cause()).await?;
    tx.scope().insert(role(store, name)).await?;
    Ok(tx)
}

/// A change of one role and the event that tells of it.
pub async fn add_role(store: &Store, tenant: TenantId, name: &str) -> Result<(), plinth_store::Error> {
    let tx = begin_role(store, tenant, name).await?;
    tx.scope().emit(event(&format!("role/{name}")));
    tx.commit().await.map(drop)
}

pub fn event(subject: &str) -> NewEvent {
    NewEvent::new("role.created", subject, &serde_json::json!({ "of": subject }))
}

pub async fn roles_named(store: &Store, tenant: TenantId, name: &str) -> u64 {
    let tx = store.read(tenant, cause()).await.unwrap();
    tx.scope().find::<roles::Entity>().filter(roles::Column::Name.eq(name)).count(&tx.scope()).await.unwrap()
}

pub async fn role_count(store: &Store) -> u64 {
    let tx = store.read_system(cause()).await.unwrap();
    tx.find::<roles::Entity>().count(&tx).await.unwrap()
}

/// Names of all rows, in no order.
pub async fn role_names(store: &Store) -> Vec<String> {
    let tx = store.read_system(cause()).await.unwrap();
    let rows: Vec<roles::Model> = tx.find::<roles::Entity>().all(&tx).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

pub async fn event_count(store: &Store) -> i64 {
    number(store, "select count(*) from events").await
}

pub async fn number(store: &Store, query: &str) -> i64 {
    let tx = store.read_system(cause()).await.unwrap();
    tx.query_one_raw(sql(&tx, query, [])).await.unwrap().unwrap().try_get_by(0).unwrap()
}

/// Polls a future `times` times and gives it up; says whether it had ended by then.
pub async fn give_up_after<T>(times: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        let mut ready = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                ready = Some(value);
            }
            Poll::Ready(())
        })
        .await;
        if ready.is_some() {
            return ready;
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Fails the test when something that has to end does not.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("this ends soon")
}

/// Waits for something that another task or process does in its own time.
pub async fn until(limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(limit, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it comes to hold in time");
}

/// Lets every task that was spawned come as far as it can without the database.
pub async fn let_others_queue() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test looks at rows whosever they are")]
pub fn any_role(id: Uuid) -> sea_orm::Select<roles::Entity> {
    roles::Entity::find().filter(roles::Column::Id.eq(id))
}
