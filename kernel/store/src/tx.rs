//! Transactions and the scope of a tenant inside them.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use plinth_core::{Cause, Id, IdKind, NewEvent, TenantId, Timestamp};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, DeleteMany, EntityTrait, ExecResult,
    IntoActiveModel, QueryFilter, QueryResult, Select, Statement, UpdateMany, Value,
};

use crate::{
    Error, Invalidation, Store, entities,
    log::{Appended, Link, Row},
    sqlite::Lease,
    store,
};

/// A table whose rows belong to a tenant.
pub trait TenantOwned: EntityTrait {
    /// The column that says which.
    fn tenant_column() -> Self::Column;
}

/// A transaction of one tenant.
pub struct TenantTx {
    tx: Tx,
    tenant: TenantId,
}

/// A transaction that belongs to no tenant.
pub struct SystemTx {
    tx: Tx,
}

pub(crate) struct Tx {
    store: Store,
    connection: Connection,
    write: bool,
    cause: Cause,
    staged: Mutex<Staged>,
}

pub(crate) enum Connection {
    /// A turn on SQLite's one writer.
    Lease(Lease),
    Own(DatabaseTransaction),
}

/// What goes out with the commit.
#[derive(Default)]
struct Staged {
    events: Vec<Row>,
    invalidations: Vec<Invalidation>,
}

impl Tx {
    pub fn new(store: Store, connection: Connection, write: bool, cause: Cause) -> Self {
        Self { store, connection, write, cause, staged: Mutex::default() }
    }

    fn database(&self) -> &DatabaseTransaction {
        match &self.connection {
            Connection::Lease(lease) => lease.connection(),
            Connection::Own(transaction) => transaction,
        }
    }

    fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn commit(self) -> Result<Vec<Appended>, Error> {
        debug_assert!(self.write, "a read has nothing to commit");
        let Staged { events, invalidations } = std::mem::take(&mut *self.staged());
        let mut appended = Vec::with_capacity(events.len());
        for event in events {
            appended.push(self.append(event).await?);
        }
        if self.store.is_postgres() {
            for invalidation in &invalidations {
                self.database().query_one_raw(store::notification(*invalidation)).await?;
            }
        }
        match self.connection {
            Connection::Lease(lease) => lease.commit().await?,
            Connection::Own(transaction) => transaction.commit().await?,
        }
        for invalidation in invalidations {
            self.store.tell(invalidation);
        }
        Ok(appended)
    }

    async fn append(&self, row: Row) -> Result<Appended, Error> {
        let last = entities::last_version(self.database(), row.tenant, &row.subject).await?;
        if let Some(expected) = row.expected_version
            && expected != last
        {
            return Err(Error::VersionConflict { subject: row.subject, expected });
        }
        let version = last + 1;
        if self.store.is_postgres() {
            entities::insert_unsealed(self.database(), &row, version).await.map_err(|error| match error {
                // Two changes of one subject at the same moment: the later one was decided on what is no longer so.
                Error::Duplicate(_) => Error::VersionConflict { subject: row.subject.clone(), expected: last },
                other => other,
            })?;
            return Ok(Appended { id: row.id, position: None, version });
        }
        let head = entities::chain_head(self.database(), row.tenant).await?;
        let hash = row.hash(version, head.as_ref().map(|link| &link.hash));
        let position = entities::insert_sealed(self.database(), &row, version, &hash).await?;
        entities::set_chain_head(self.database(), row.tenant, &Link { position, hash }).await?;
        Ok(Appended { id: row.id, position: Some(position), version })
    }
}

impl TenantTx {
    pub(crate) fn new(tx: Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    pub fn scope(&self) -> Scope<'_> {
        Scope { tx: &self.tx, tenant: self.tenant }
    }

    /// Keeps the changes. Without this line nothing is kept. Says where the events came to stand.
    pub async fn commit(self) -> Result<Vec<Appended>, Error> {
        self.tx.commit().await
    }
}

impl SystemTx {
    pub(crate) fn new(tx: Tx) -> Self {
        Self { tx }
    }

    /// The rows of one tenant.
    pub fn in_tenant(&self, tenant: TenantId) -> Scope<'_> {
        Scope { tx: &self.tx, tenant }
    }

    /// All rows of a table, whosever they are.
    #[expect(clippy::disallowed_methods, reason = "the one place for finders of the system scope")]
    pub fn find<E: EntityTrait>(&self) -> Select<E> {
        E::find()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place for changes of the system scope")]
    pub async fn insert<M, A>(&self, model: M) -> Result<(), Error>
    where
        M: IntoActiveModel<A>,
        A: ActiveModelTrait,
        A::Entity: EntityTrait<ActiveModel = A>,
    {
        A::Entity::insert(model.into_active_model()).exec_without_returning(self).await?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place for changes of the system scope")]
    pub fn update<E: EntityTrait>(&self) -> UpdateMany<E> {
        E::update_many()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place for changes of the system scope")]
    pub fn delete<E: EntityTrait>(&self) -> DeleteMany<E> {
        E::delete_many()
    }

    pub fn now(&self) -> Timestamp {
        self.tx.store.world().now()
    }

    pub fn mint<K: IdKind>(&self) -> Id<K> {
        self.tx.store.world().mint()
    }

    pub fn store(&self) -> &Store {
        &self.tx.store
    }

    pub fn cause(&self) -> &Cause {
        &self.tx.cause
    }

    /// Tells every node after the commit that what it remembers is old.
    pub fn invalidate(&self, what: Invalidation) {
        self.tx.staged().invalidations.push(what);
    }

    pub async fn commit(self) -> Result<Vec<Appended>, Error> {
        self.tx.commit().await
    }
}

/// One tenant inside a transaction. Every query that is made here has the tenant in it.
#[derive(Clone, Copy)]
pub struct Scope<'t> {
    tx: &'t Tx,
    tenant: TenantId,
}

impl<'t> Scope<'t> {
    pub fn tenant(self) -> TenantId {
        self.tenant
    }

    /// The tenant's rows of a table.
    #[expect(clippy::disallowed_methods, reason = "this is the constructor that adds the tenant")]
    pub fn find<E: TenantOwned>(self) -> Select<E> {
        E::find().filter(E::tenant_column().eq(self.tenant.uuid()))
    }

    /// Inserts a row as this tenant's, whatever tenant the model carries.
    #[expect(clippy::disallowed_methods, reason = "this is the constructor that adds the tenant")]
    pub async fn insert<M, A>(self, model: M) -> Result<(), Error>
    where
        M: IntoActiveModel<A>,
        A: ActiveModelTrait,
        A::Entity: TenantOwned + EntityTrait<ActiveModel = A>,
    {
        let mut row = model.into_active_model();
        row.set(A::Entity::tenant_column(), Value::from(self.tenant.uuid()));
        A::Entity::insert(row).exec_without_returning(&self).await?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the constructor that adds the tenant")]
    pub fn update<E: TenantOwned>(self) -> UpdateMany<E> {
        E::update_many().filter(E::tenant_column().eq(self.tenant.uuid()))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the constructor that adds the tenant")]
    pub fn delete<E: TenantOwned>(self) -> DeleteMany<E> {
        E::delete_many().filter(E::tenant_column().eq(self.tenant.uuid()))
    }

    pub fn now(self) -> Timestamp {
        self.tx.store.world().now()
    }

    pub fn mint<K: IdKind>(self) -> Id<K> {
        self.tx.store.world().mint()
    }

    pub fn store(self) -> &'t Store {
        &self.tx.store
    }

    pub fn cause(self) -> &'t Cause {
        &self.tx.cause
    }

    /// Appends an event when the transaction commits.
    pub fn emit(self, event: NewEvent) {
        let row = Row::new(self.tx.store.world(), self.tenant, &self.tx.cause, event);
        self.tx.staged().events.push(row);
    }

    /// Tells every node after the commit that what it remembers is old.
    pub fn invalidate(self, what: Invalidation) {
        self.tx.staged().invalidations.push(what);
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

macro_rules! speaks_to_the_database {
    ($type:ty) => {
        #[async_trait]
        impl ConnectionTrait for $type {
            fn get_database_backend(&self) -> DbBackend {
                self.tx.database().get_database_backend()
            }
            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                self.tx.database().execute_raw(statement).await
            }
            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.tx.database().execute_unprepared(sql).await
            }
            async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                self.tx.database().query_one_raw(statement).await
            }
            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.tx.database().query_all_raw(statement).await
            }
        }
    };
}

speaks_to_the_database!(SystemTx);
speaks_to_the_database!(Scope<'_>);

/// A unit of work: a transaction and whose it is, for services that serve tenants and the platform alike.
pub trait Work: ConnectionTrait {
    /// The tenant, or none for the platform's own.
    fn owner(&self) -> Option<TenantId>;
    fn store(&self) -> &Store;
}

impl Work for SystemTx {
    fn owner(&self) -> Option<TenantId> {
        None
    }
    fn store(&self) -> &Store {
        &self.tx.store
    }
}

impl Work for Scope<'_> {
    fn owner(&self) -> Option<TenantId> {
        Some(self.tenant)
    }
    fn store(&self) -> &Store {
        &self.tx.store
    }
}
