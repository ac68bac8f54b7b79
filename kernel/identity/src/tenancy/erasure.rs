//! The end of a tenant: once its grace is over everything of it is destroyed, and its data keys with it.
//!
//! What stays is its event log, which holds no personal data, and the row that the log hangs on, without name and slug.
//! People belong to no tenant: whoever belonged to this one alone stays, with nowhere to be.

use std::collections::BTreeMap;

use plinth_core::{Cause, Fault, NewEvent, TenantId, api::tenants::TenantState};
use plinth_store::{
    Error as StoreError, Invalidation, Scope, SystemTx, TenantOwned, count_tenant_rows, erase_tenant_rows,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Query};
use serde_json::json;

use super::tenants::locked;
use crate::{
    Identity,
    entities::{
        api_keys, invitations, key_usage, memberships, organization_members, organizations, refresh_tokens, roles,
        service_accounts, sessions, tenants,
    },
};

/// Erases every tenant whose grace has ended; says how many there were. One that cannot be erased does not keep the others
/// waiting: it is tried again at the next call, and this one fails.
pub async fn erase_due(identity: &Identity) -> Result<u64, Fault> {
    let mut erased = 0;
    let mut failed = None;
    for tenant in due(identity).await? {
        match erase(identity, tenant).await {
            Ok(true) => erased += 1,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%tenant, %error, "a tenant could not be erased");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(erased), |error| Err(error.into()))
}

fn cause() -> Cause {
    Cause::system("erasure")
}

async fn due(identity: &Identity) -> Result<Vec<TenantId>, StoreError> {
    let tx = identity.store().read_system(cause()).await?;
    let rows = tx
        .find::<tenants::Entity>()
        .filter(tenants::Column::State.eq(TenantState::PendingDeletion.as_str()))
        .filter(tenants::Column::EraseAt.lte(tx.now().millis()))
        .order_by_asc(tenants::Column::EraseAt)
        .all(&tx)
        .await?;
    Ok(rows.into_iter().map(|row| TenantId::from_uuid(row.id)).collect())
}

/// False when the tenant was restored, or erased by another node, meanwhile.
async fn erase(identity: &Identity, id: TenantId) -> Result<bool, StoreError> {
    let tx = identity.store().change_system(cause()).await?;
    let Some(row) = locked(&tx, id).await? else { return Ok(false) };
    let pending = row.state == TenantState::PendingDeletion.as_str();
    if !pending || row.erase_at.is_none_or(|at| at > tx.now().millis()) {
        return Ok(false);
    }
    let counts = counts(&tx, id).await?;
    destroy(&tx, id).await?;
    erase_tenant_rows(&tx, id).await?;
    anonymise(&tx, id).await?;
    let told = json!({ "tenant": id, "counts": counts });
    tx.in_tenant(id).emit(NewEvent::new("tenant.erased", format!("tenant/{id}"), &told));
    tx.invalidate(Invalidation::Tenant(id));
    tx.commit().await?;
    Ok(true)
}

/// How many rows of each kind an erasure destroys.
pub async fn counts(tx: &SystemTx, id: TenantId) -> Result<BTreeMap<String, u64>, StoreError> {
    let scope = tx.in_tenant(id);
    let signed_in = tx.find::<sessions::Entity>().filter(sessions::Column::Tenant.eq(id.uuid())).count(tx).await?;
    let mut counts = vec![
        ("members", count::<memberships::Entity>(scope).await?),
        ("roles", count::<roles::Entity>(scope).await?),
        ("organizations", count::<organizations::Entity>(scope).await?),
        ("organization_members", count::<organization_members::Entity>(scope).await?),
        ("invitations", count::<invitations::Entity>(scope).await?),
        ("service_accounts", count::<service_accounts::Entity>(scope).await?),
        ("api_keys", count::<api_keys::Entity>(scope).await?),
        ("key_usage", count::<key_usage::Entity>(scope).await?),
        ("sessions", signed_in),
    ];
    counts.extend(count_tenant_rows(tx, id).await?);
    Ok(counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect())
}

async fn count<E: TenantOwned>(scope: Scope<'_>) -> Result<u64, StoreError>
where
    E::Model: Send + Sync,
{
    Ok(scope.find::<E>().count(&scope).await?)
}

/// Children before parents.
async fn destroy(tx: &SystemTx, id: TenantId) -> Result<(), StoreError> {
    let scope = tx.in_tenant(id);
    scope.delete::<key_usage::Entity>().exec(tx).await?;
    scope.delete::<api_keys::Entity>().exec(tx).await?;
    scope.delete::<service_accounts::Entity>().exec(tx).await?;
    scope.delete::<invitations::Entity>().exec(tx).await?;
    scope.delete::<organization_members::Entity>().exec(tx).await?;
    scope.delete::<organizations::Entity>().exec(tx).await?;
    scope.delete::<memberships::Entity>().exec(tx).await?;
    scope.delete::<roles::Entity>().exec(tx).await?;
    let mut here = Query::select();
    here.column(sessions::Column::Id).from(sessions::Entity).and_where(sessions::Column::Tenant.eq(id.uuid()));
    tx.delete::<refresh_tokens::Entity>()
        .filter(refresh_tokens::Column::Session.in_subquery(here.take()))
        .exec(tx)
        .await?;
    tx.delete::<sessions::Entity>().filter(sessions::Column::Tenant.eq(id.uuid())).exec(tx).await?;
    Ok(())
}

async fn anonymise(tx: &SystemTx, id: TenantId) -> Result<(), StoreError> {
    let text = id.to_string();
    let nobody = format!("erased-{}", text.split_once('_').map_or(&*text, |(_, digits)| digits));
    let change = tenants::ActiveModel {
        name: Set(nobody.clone()),
        slug: Set(nobody),
        state: Set(TenantState::Erased.as_str().into()),
        state_reason: Set(None),
        erase_at: Set(None),
        limits: Set("{}".into()),
        settings: Set("{}".into()),
        ..Default::default()
    };
    tx.update::<tenants::Entity>().set(change).filter(tenants::Column::Id.eq(id.uuid())).exec(tx).await?;
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use plinth_core::TenantId;
    use plinth_store::SystemTx;
    use sea_orm::{ConnectionTrait, Statement};

    /// What the log says happened to a tenant.
    pub async fn events(tx: &SystemTx, tenant: TenantId) -> Vec<String> {
        let sql = "select kind from events where tenant = $1 order by time, id";
        let query = Statement::from_sql_and_values(tx.get_database_backend(), sql, [tenant.uuid().into()]);
        let rows = tx.query_all_raw(query).await.expect("events");
        rows.iter().map(|row| row.try_get("", "kind").expect("a kind")).collect()
    }
}
