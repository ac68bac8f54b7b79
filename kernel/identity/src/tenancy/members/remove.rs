//! The end of a membership: what the person could do in the tenant ends with it, now and on every node.

use plinth_core::{Actor, NewEvent, OrganizationId, Principal, TenantId, UserId, api::users::Member};
use plinth_store::{Error as StoreError, Invalidation, Scope, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::json;

use super::{Error, of, require_another_owner, require_as_many};
use crate::{
    access::api_keys,
    accounts::profile::Oneself,
    entities::{memberships, organization_members, sessions},
    permissions::{OWNER, WriteMembers},
    sessions::revoke,
};

/// Whether the caller may remove others at all. Asked here and not at the door, since everybody may leave.
pub fn require_may_remove(principal: &Principal) -> Result<(), Error> {
    if principal.must_enrol_mfa {
        return Err(Error::EnrolmentRequired);
    }
    if principal.may::<WriteMembers>() { Ok(()) } else { Err(Error::PermissionMissing) }
}

/// Somebody else is shown out. The caller acts in `tenant`, whose row is held.
pub async fn remove(
    tx: &SystemTx,
    principal: &Principal,
    tenant: TenantId,
    user: UserId,
    member: &Member,
) -> Result<(), Error> {
    require_may_remove(principal)?;
    require_as_many(tx.in_tenant(tenant), principal, &member.roles).await?;
    end(tx, tenant, user, member, "member.removed").await
}

/// The caller leaves, for which no permission is needed. `member` is the caller's own place; the tenant's row is held.
pub async fn leave(tx: &SystemTx, principal: &Principal, tenant: TenantId, member: &Member) -> Result<(), Error> {
    let oneself = Oneself::of(principal)?;
    end(tx, tenant, oneself.user, member, "member.left").await
}

async fn end(tx: &SystemTx, tenant: TenantId, user: UserId, member: &Member, event: &'static str) -> Result<(), Error> {
    let scope = tx.in_tenant(tenant);
    if member.roles.iter().any(|role| role == OWNER) {
        require_another_owner(scope, user).await?;
    }
    scope.delete::<memberships::Entity>().filter(of(user)).exec(tx).await.map_err(StoreError::from)?;
    scope.emit(NewEvent::new(event, format!("user/{user}"), &json!({ "user": user, "roles": member.roles })));
    end_teams(scope, user, &member.organizations).await?;
    api_keys::revoke_all_of(scope, Actor::User(user)).await?;
    end_sessions(tx, tenant, user).await?;
    tx.invalidate(Invalidation::User(user));
    Ok(())
}

async fn end_teams(scope: Scope<'_>, user: UserId, organizations: &[OrganizationId]) -> Result<(), StoreError> {
    let places = scope.delete::<organization_members::Entity>();
    places.filter(organization_members::Column::UserId.eq(user.uuid())).exec(&scope).await?;
    for organization in organizations {
        let told = json!({ "organization": organization, "user": user });
        scope.emit(NewEvent::new("organization_member.removed", format!("organization/{organization}"), &told));
    }
    Ok(())
}

async fn end_sessions(tx: &SystemTx, tenant: TenantId, user: UserId) -> Result<(), StoreError> {
    use sessions::{Column, Entity};
    let select = tx.find::<Entity>().filter(Column::Tenant.eq(tenant.uuid())).filter(Column::UserId.eq(user.uuid()));
    for session in select.filter(Column::RevokedAt.is_null()).all(tx).await? {
        revoke(tx, &session, "no longer a member").await?;
    }
    Ok(())
}
