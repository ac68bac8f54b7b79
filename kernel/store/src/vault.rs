//! Secrets at rest: sealed under a data key of the tenant they belong to, which is wrapped by a master key.
//!
//! Rotating the master key re-wraps data keys and touches nothing that they sealed. A ciphertext is bound to its place by
//! a context (`"api_keys.signing_secret"` and the row's id), so it cannot be moved to another row.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use plinth_core::TenantId;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;

use crate::{
    Error, Invalidation, SystemTx,
    entities::data_keys::{ActiveModel, Column, Entity, Model},
    keyring::{DataKey, KeyError, MasterKeys, WrappedKey, key_id_of},
    tx::Work,
};

pub struct Vault {
    masters: RwLock<Arc<MasterKeys>>,
    known: RwLock<Known>,
}

/// Keys that are on disk for certain.
#[derive(Default)]
struct Known {
    keys: HashMap<Uuid, (Owner, DataKeyRef)>,
    /// What an owner seals with.
    current: HashMap<Owner, Uuid>,
    /// Ascends when something is forgotten, so that what was read before is not remembered after.
    generation: u64,
}

/// The tenant, or none for the platform.
type Owner = Option<TenantId>;
type DataKeyRef = Arc<DataKey>;

impl Vault {
    pub(crate) fn new(masters: MasterKeys) -> Self {
        Self { masters: RwLock::new(Arc::new(masters)), known: RwLock::default() }
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

    /// Opens what was sealed in the same context. A tenant opens its own only; the platform opens everybody's.
    pub async fn open(&self, work: &impl Work, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let id = key_id_of(sealed).ok_or_else(|| Error::Inconsistent(format!("{context} holds no sealed value")))?;
        let known = self.known().keys.get(&id).cloned();
        let (owner, key) = match known {
            Some(known) => known,
            None => self.load(work, id).await?,
        };
        if work.owner().is_some() && work.owner() != owner {
            return Err(KeyError::UnknownKey(id).into());
        }
        Ok(key.open(context.as_bytes(), sealed)?)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn current_key(&self, work: &impl Work) -> Result<Option<DataKeyRef>, Error> {
        let generation = {
            let known = self.known();
            if let Some((_, key)) = known.current.get(&work.owner()).and_then(|id| known.keys.get(id)) {
                return Ok(Some(key.clone()));
            }
            known.generation
        };
        let mine = match work.owner() {
            Some(tenant) => Column::Tenant.eq(tenant.uuid()),
            None => Column::Tenant.is_null(),
        };
        let newest = all().filter(mine).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).one(work).await?;
        let Some(row) = newest else { return Ok(None) };
        let key = self.unwrap(&row)?;
        remember(work, generation, work.owner(), &key, true);
        Ok(Some(key))
    }

    async fn make_key(&self, work: &impl Work) -> Result<DataKeyRef, Error> {
        let world = work.store().world();
        let masters = self.masters();
        let key = DataKey::generate(world.random())?;
        let row = ActiveModel {
            id: Set(key.id()),
            tenant: Set(work.owner().map(plinth_core::Id::uuid)),
            wrapped: Set(key.wrap(&masters, world.random())?.into_bytes()),
            master_key: Set(masters.active_id()),
            created_at: Set(world.now().millis()),
        };
        let generation = self.known().generation;
        insert(work, row).await?;
        let key = Arc::new(key);
        remember(work, generation, work.owner(), &key, true);
        Ok(key)
    }

    async fn load(&self, work: &impl Work, id: Uuid) -> Result<(Owner, DataKeyRef), Error> {
        let generation = self.known().generation;
        let row = all().filter(Column::Id.eq(id)).one(work).await?;
        let row = row.ok_or(KeyError::UnknownKey(id))?;
        let owner = row.tenant.map(TenantId::from_uuid);
        let key = self.unwrap(&row)?;
        remember(work, generation, owner, &key, false);
        Ok((owner, key))
    }

    /// Takes note that keys may be gone: those of an erased tenant, or any when messages were missed.
    pub(crate) fn forget(&self, invalidation: Invalidation) {
        match invalidation {
            Invalidation::Everything => {
                let mut known = self.known_mut();
                *known = Known { generation: known.generation + 1, ..Known::default() };
            }
            Invalidation::Tenant(tenant) => {
                let mut known = self.known_mut();
                known.generation += 1;
                known.current.remove(&Some(tenant));
                known.keys.retain(|_, (owner, _)| *owner != Some(tenant));
            }
            _ => {}
        }
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

/// Remembers a key once it cannot be rolled back any more: a key of a transaction that is not kept was never there.
fn remember(work: &impl Work, generation: u64, owner: Owner, key: &DataKeyRef, current: bool) {
    let key = key.clone();
    work.when_certain(Box::new(move |store| {
        let mut known = store.vault().known_mut();
        if known.generation == generation {
            if current {
                known.current.insert(owner, key.id());
            }
            known.keys.insert(key.id(), (owner, key));
        }
    }));
}

#[expect(
    clippy::disallowed_methods,
    reason = "data keys are found by owner and by id; both are filtered by the caller"
)]
fn all() -> sea_orm::Select<Entity> {
    Entity::find()
}

#[expect(clippy::disallowed_methods, reason = "the owner is set by the caller")]
async fn insert(connection: &impl ConnectionTrait, row: ActiveModel) -> Result<(), Error> {
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}
