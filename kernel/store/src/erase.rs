//! The end of what the store itself keeps of a tenant: kept answers, mail that waits, and data keys.
//!
//! Without its data key a sealed value is noise. So whatever a tenant sealed is gone with the key, also where a copy of the
//! sealed bytes lies elsewhere.

use plinth_core::TenantId;
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};

use crate::{
    Error, Invalidation, SystemTx,
    entities::{data_keys, idempotency, mails},
};

/// Deletes every row of the store's own tables that belongs to the tenant. The event log stays: it is history, and holds no
/// personal data.
pub async fn erase_tenant_rows(tx: &SystemTx, tenant: TenantId) -> Result<(), Error> {
    let id = tenant.uuid();
    tx.delete::<idempotency::Entity>().filter(idempotency::Column::Tenant.eq(id)).exec(tx).await?;
    tx.delete::<mails::Entity>().filter(mails::Column::Tenant.eq(id)).exec(tx).await?;
    tx.delete::<data_keys::Entity>().filter(data_keys::Column::Tenant.eq(id)).exec(tx).await?;
    // Nodes remember keys that they have used.
    tx.invalidate(Invalidation::Tenant(tenant));
    Ok(())
}

/// How many rows [`erase_tenant_rows`] would delete, by kind.
pub async fn count_tenant_rows(tx: &SystemTx, tenant: TenantId) -> Result<[(&'static str, u64); 3], Error> {
    let id = tenant.uuid();
    let answers = tx.find::<idempotency::Entity>().filter(idempotency::Column::Tenant.eq(id)).count(tx).await?;
    let waiting = tx.find::<mails::Entity>().filter(mails::Column::Tenant.eq(id)).count(tx).await?;
    let keys = tx.find::<data_keys::Entity>().filter(data_keys::Column::Tenant.eq(id)).count(tx).await?;
    Ok([("kept_answers", answers), ("mails", waiting), ("data_keys", keys)])
}
