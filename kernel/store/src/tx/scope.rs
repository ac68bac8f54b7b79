//! Whose rows a query sees: the tenant is in the constructor of every one.

use std::fmt;

use plinth_core::{Cause, Id, IdKind, NewEvent, TenantId, Timestamp};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, IntoActiveModel, QueryFilter, Select,
    UpdateMany, Value,
};

use super::{Tx, WhenCertain};
use crate::{
    Error, Invalidation, Store,
    log::{Appended, Row},
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

    pub(super) fn tx(&self) -> &Tx {
        &self.tx
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
    pub(super) fn tx(&self) -> &Tx {
        self.tx
    }

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

/// A unit of work: a transaction and whose it is, for services that serve tenants and the platform alike.
pub trait Work: ConnectionTrait {
    /// The tenant, or none for the platform's own.
    fn owner(&self) -> Option<TenantId>;
    fn store(&self) -> &Store;
    /// Runs `action` when what this unit of work sees cannot be taken back any more: after the commit of a change, before
    /// [`TenantTx::commit`] returns; at once in a read. Never, when the change is not kept.
    fn when_certain(&self, action: WhenCertain);
}

impl Work for SystemTx {
    fn owner(&self) -> Option<TenantId> {
        None
    }
    fn store(&self) -> &Store {
        &self.tx.store
    }
    fn when_certain(&self, action: WhenCertain) {
        self.tx.when_certain(action);
    }
}

impl Work for Scope<'_> {
    fn owner(&self) -> Option<TenantId> {
        Some(self.tenant)
    }
    fn store(&self) -> &Store {
        &self.tx.store
    }
    fn when_certain(&self, action: WhenCertain) {
        self.tx.when_certain(action);
    }
}
