//! Secrets at rest: sealed under a data key of the tenant they belong to, which is wrapped by a master key.
//!
//! Rotating the master key re-wraps data keys and touches nothing that they sealed. A ciphertext is bound to its place by
//! a context (`"api_keys.signing_secret"` and the row's id), so it cannot be moved to another row.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use plinth_core::{TenantId, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;

use crate::{
    Error, SystemTx,
    entities::data_keys::{ActiveModel, Column, Entity, Model},
    keyring::{DataKey, MasterKeys, WrappedKey, key_id_of},
    tx::Work,
};

/// No transaction is open for this long.
const SETTLED: Duration = Duration::from_secs(120);

pub struct Vault {
    masters: RwLock<Arc<MasterKeys>>,
    /// Keys that are committed for certain, by id and by owner.
    known: RwLock<HashMap<Uuid, Arc<DataKey>>>,
    current: RwLock<HashMap<Option<TenantId>, Uuid>>,
}

impl Vault {
    pub(crate) fn new(masters: MasterKeys) -> Self {
        Self { masters: RwLock::new(Arc::new(masters)), known: RwLock::default(), current: RwLock::default() }
    }

    pub fn masters(&self) -> Arc<MasterKeys> {
        self.masters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Works with another set of master keys from now on, after a rotation.
    pub fn replace_masters(&self, masters: MasterKeys) {
        *self.masters.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(masters);
    }

    /// Seals bytes for the owner of the transaction: its tenant, or the platform.
    pub async fn seal(&self, work: &impl Work, context: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let key = match self.current_key(work).await? {
            Some(key) => key,
            None => self.make_key(work).await?,
        };
        Ok(key.seal(work.store().world().random(), context.as_bytes(), plain)?)
    }

    pub async fn open(&self, work: &impl Work, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let id = key_id_of(sealed).ok_or_else(|| Error::Inconsistent(format!("{context} holds no sealed value")))?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let key = match known {
            Some(key) => key,
            None => self.load(work, id).await?,
        };
        Ok(key.open(context.as_bytes(), sealed)?)
    }

    async fn current_key(&self, work: &impl Work) -> Result<Option<Arc<DataKey>>, Error> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).get(&work.owner()).copied();
        if let Some(key) = current.and_then(|id| self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()) {
            return Ok(Some(key));
        }
        let mine = match work.owner() {
            Some(tenant) => Column::Tenant.eq(tenant.uuid()),
            None => Column::Tenant.is_null(),
        };
        let newest = all().filter(mine).order_by_desc(Column::CreatedAt).one(work).await?;
        newest.map(|row| self.learn(work, &row)).transpose()
    }

    async fn make_key(&self, work: &impl Work) -> Result<DataKeyRef, Error> {
        let world = work.store().world();
        let masters = self.masters();
        let key = DataKey::generate(world.random())?;
        let row = ActiveModel {
            id: Set(key.id()),
            tenant: Set(work.owner().map(|tenant| tenant.uuid())),
            wrapped: Set(key.wrap(&masters, world.random())?.into_bytes()),
            master_key: Set(masters.active_id()),
            created_at: Set(world.now().millis()),
        };
        insert(work, row).await?;
        Ok(Arc::new(key))
    }

    async fn load(&self, work: &impl Work, id: Uuid) -> Result<DataKeyRef, Error> {
        let row = all().filter(Column::Id.eq(id)).one(work).await?;
        let row = row.ok_or(crate::keyring::KeyError::UnknownKey(id))?;
        self.learn(work, &row)
    }

    /// Remembers a key that cannot be rolled back any more: one that is older than every transaction now open.
    fn learn(&self, work: &impl Work, row: &Model) -> Result<DataKeyRef, Error> {
        let key = self.unwrap(row)?;
        let settled = work.store().world().now().since(Timestamp::from_millis(row.created_at)) > SETTLED;
        if settled {
            let owner = row.tenant.map(TenantId::from_uuid);
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.id(), key.clone());
            self.current.write().unwrap_or_else(PoisonError::into_inner).insert(owner, key.id());
        }
        Ok(key)
    }

    fn unwrap(&self, row: &Model) -> Result<DataKeyRef, Error> {
        Ok(Arc::new(DataKey::unwrap(&WrappedKey::from_bytes(row.wrapped.clone())?, &self.masters())?))
    }

    /// Wraps every data key with the active master key; says how many had to be.
    pub async fn rewrap(&self, tx: &SystemTx) -> Result<u64, Error> {
        let masters = self.masters();
        let mut count = 0;
        for row in all().filter(Column::MasterKey.ne(masters.active_id())).all(tx).await? {
            let old = WrappedKey::from_bytes(row.wrapped)?;
            if let Some(new) = old.rewrap(&masters, tx.store().world().random())? {
                tx.update::<Entity>()
                    .col_expr(Column::Wrapped, new.into_bytes().into())
                    .col_expr(Column::MasterKey, masters.active_id().into())
                    .filter(Column::Id.eq(row.id))
                    .exec(tx)
                    .await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// How many data keys a master key still wraps.
    pub async fn wrapped_by(&self, tx: &SystemTx, master: Uuid) -> Result<u64, Error> {
        Ok(tx.find::<Entity>().filter(Column::MasterKey.eq(master)).count(tx).await?)
    }

    /// Every data key can be opened with the master keys at hand; the ids of those that cannot.
    pub async fn unreadable(&self, tx: &SystemTx) -> Result<Vec<Uuid>, Error> {
        let rows = tx.find::<Entity>().all(tx).await?;
        Ok(rows.iter().filter(|row| self.unwrap(row).is_err()).map(|row| row.id).collect())
    }
}

type DataKeyRef = Arc<DataKey>;

#[expect(clippy::disallowed_methods, reason = "data keys are found by owner and by id; both are filtered by the caller")]
fn all() -> sea_orm::Select<Entity> {
    Entity::find()
}

#[expect(clippy::disallowed_methods, reason = "the owner is set by the caller")]
async fn insert(connection: &impl ConnectionTrait, row: ActiveModel) -> Result<(), Error> {
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}
