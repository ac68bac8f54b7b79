//! The life of a tenant: active ↔ suspended, and from both into pending deletion, out of which it is restored to where it
//! was until its grace has ended.
//!
//! While deletion is pending `state_reason` still says why the tenant was suspended before, if it was: that is how a
//! restored tenant finds back. Why the erasure was asked for is in the log.

use std::time::Duration;

use plinth_core::{
    Fault, FieldError, NewEvent, Principal, TenantId, Timestamp,
    api::tenants::{ErasurePlan, Tenant, TenantState},
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::{Value, json};

use super::{is_system, locked, owners};
use crate::{
    accounts::profile::notify,
    entities::{tenants, users},
    fields::Checks,
    permissions::EraseTenants,
    tenancy::erasure,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such tenant")]
    NotFound,
    #[error("the tenant is {is}; only a tenant that is {wanted} can be {becomes}", is = .0.is, wanted = .0.wanted, becomes = .0.becomes)]
    State(Refused),
    #[error("the tenant of the operators can neither be suspended nor erased")]
    SystemTenant,
    #[error("an impersonation does not end a tenant; its owner does, or an operator who holds tenants:erase")]
    Impersonated,
    #[error("to erase the tenant of others you need tenants:erase")]
    PermissionMissing,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::State(_) => Conflict "tenant_state",
    Self::SystemTenant => Conflict "system_tenant",
    Self::Impersonated => Forbidden "not_while_impersonating",
    Self::PermissionMissing => Forbidden "permission_missing",
} with fields);

/// A step that the state of the tenant does not allow.
#[derive(Debug)]
pub struct Refused {
    is: &'static str,
    wanted: &'static str,
    becomes: &'static str,
}

/// A step of a tenant's life.
struct Step {
    from: &'static [TenantState],
    wanted: &'static str,
    becomes: &'static str,
}

const SUSPEND: Step = Step { from: &[TenantState::Active], wanted: "active", becomes: "suspended" };
const RESUME: Step = Step { from: &[TenantState::Suspended], wanted: "suspended", becomes: "resumed" };
const ERASE: Step =
    Step { from: &[TenantState::Active, TenantState::Suspended], wanted: "active or suspended", becomes: "erased" };
const RESTORE: Step = Step { from: &[TenantState::PendingDeletion], wanted: "pending_deletion", becomes: "restored" };

/// The tenant, held, when its state allows the step.
async fn take(tx: &SystemTx, id: TenantId, step: &Step) -> Result<tenants::Model, Error> {
    let row = locked(tx, id).await?.ok_or(Error::NotFound)?;
    if is_system(&row) {
        return Err(Error::SystemTenant);
    }
    let is = view::tenant_state(&row.state)?;
    if step.from.contains(&is) {
        Ok(row)
    } else {
        Err(Error::State(Refused { is: is.as_str(), wanted: step.wanted, becomes: step.becomes }))
    }
}

/// Who may ask for the erasure of this tenant, or call it off: its own people, and operators who may erase any. An
/// operator who visits a tenant is not one of its own people.
pub fn may_erase(principal: &Principal, here: TenantId, id: TenantId) -> Result<(), Error> {
    let any = principal.may::<EraseTenants>();
    if principal.impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    match (id == here, principal.operator) {
        (true, false) => Ok(()),
        (_, true) if any => Ok(()),
        (true, true) => Err(Error::PermissionMissing),
        (false, _) => Err(Error::NotFound),
    }
}

pub fn check_reason(reason: &str) -> Result<(), Error> {
    let mut checks = Checks::default();
    checks.text("/reason", reason, 500);
    checks.done().map_err(Error::Invalid)
}

pub async fn suspend(tx: &SystemTx, id: TenantId, reason: &str) -> Result<Tenant, Error> {
    check_reason(reason)?;
    let mut row = take(tx, id, &SUSPEND).await?;
    row.state = TenantState::Suspended.as_str().into();
    row.state_reason = Some(reason.trim().to_owned());
    save(tx, &row, "tenant.suspended", json!({ "reason": row.state_reason })).await?;
    let text = format!(
        "The tenant {} is suspended: nobody can work in it until it is resumed. Its data is kept.\n\nReason: {}\n",
        row.name,
        reason.trim()
    );
    tell_owners(tx, id, "Your tenant is suspended", "tenant_suspended", &text).await?;
    Ok(view::tenant(&row)?)
}

pub async fn resume(tx: &SystemTx, id: TenantId) -> Result<Tenant, Error> {
    let mut row = take(tx, id, &RESUME).await?;
    row.state = TenantState::Active.as_str().into();
    row.state_reason = None;
    save(tx, &row, "tenant.resumed", json!({})).await?;
    Ok(view::tenant(&row)?)
}

/// What an erasure that is asked for now would destroy, and when.
pub async fn plan(tx: &SystemTx, id: TenantId, grace: Duration) -> Result<ErasurePlan, Error> {
    let row = take(tx, id, &ERASE).await?;
    describe(tx, &row, tx.now() + grace, true).await
}

pub async fn erase(tx: &SystemTx, id: TenantId, reason: &str, grace: Duration) -> Result<ErasurePlan, Error> {
    let mut row = take(tx, id, &ERASE).await?;
    let erase_at = tx.now() + grace;
    row.state = TenantState::PendingDeletion.as_str().into();
    row.erase_at = Some(erase_at.millis());
    save(tx, &row, "tenant.erasure_requested", json!({ "reason": reason.trim(), "erase_at": erase_at })).await?;
    let text = format!(
        "The tenant {} and all its data will be erased at {erase_at}. Until then its owners can look at it, take its data \
         along, and restore it.\n\nReason: {}\n\nAfter that moment nobody can bring it back.\n",
        row.name,
        reason.trim()
    );
    tell_owners(tx, id, "Your tenant will be erased", "tenant_erasure", &text).await?;
    describe(tx, &row, erase_at, false).await
}

async fn describe(
    tx: &SystemTx,
    row: &tenants::Model,
    erase_at: Timestamp,
    dry_run: bool,
) -> Result<ErasurePlan, Error> {
    let counts = erasure::counts(tx, TenantId::from_uuid(row.id)).await?;
    Ok(ErasurePlan { tenant: view::tenant(row)?, dry_run, erase_at, counts })
}

pub async fn restore(tx: &SystemTx, id: TenantId) -> Result<Tenant, Error> {
    let mut row = take(tx, id, &RESTORE).await?;
    let state = if row.state_reason.is_some() { TenantState::Suspended } else { TenantState::Active };
    row.state = state.as_str().into();
    row.erase_at = None;
    save(tx, &row, "tenant.restored", json!({ "state": state })).await?;
    Ok(view::tenant(&row)?)
}

async fn save(tx: &SystemTx, row: &tenants::Model, event: &'static str, told: Value) -> Result<(), StoreError> {
    let change = tenants::ActiveModel {
        state: Set(row.state.clone()),
        state_reason: Set(row.state_reason.clone()),
        erase_at: Set(row.erase_at),
        ..Default::default()
    };
    tx.update::<tenants::Entity>().set(change).filter(tenants::Column::Id.eq(row.id)).exec(tx).await?;
    let id = TenantId::from_uuid(row.id);
    tx.in_tenant(id).emit(NewEvent::new(event, format!("tenant/{id}"), &told));
    tx.invalidate(Invalidation::Tenant(id));
    Ok(())
}

/// Mail of the platform, not of the tenant: it must leave although the tenant is shut.
async fn tell_owners(
    tx: &SystemTx,
    tenant: TenantId,
    subject: &str,
    purpose: &'static str,
    text: &str,
) -> Result<(), StoreError> {
    let ids = owners(tx.in_tenant(tenant)).await?;
    let people = tx.find::<users::Entity>().filter(users::Column::Id.is_in(ids.iter().map(|id| id.uuid())));
    for person in people.all(tx).await? {
        notify(tx, &person.email, purpose, subject, text).await?;
    }
    Ok(())
}
