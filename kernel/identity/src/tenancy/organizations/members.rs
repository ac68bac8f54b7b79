//! Who belongs to an organisation. Whoever may write organisations decides, and so does a manager for their own; anybody
//! may leave.

use plinth_core::{
    Fault, FieldError, NewEvent, OrganizationId, Permission, Principal, Timestamp, UserId,
    api::{
        UserKind,
        tenants::{OrganizationMember, OrganizationRole, TenantState},
    },
};
use plinth_gateway::Asked;
use plinth_store::{Error as StoreError, Keyset, Scope, Slice, list as page};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::json;

use super::{Error, subject};
use crate::{
    accounts::profile::Oneself,
    entities::{organization_members, users},
    permissions::WriteOrganizations,
    tenancy::{
        members::{membership, people, people_called},
        tenants::view_slice,
    },
    view,
};

fn role_name(role: OrganizationRole) -> &'static str {
    match role {
        OrganizationRole::Manager => "manager",
        OrganizationRole::Member => "member",
    }
}

fn role_of(text: &str) -> Result<OrganizationRole, Fault> {
    match text {
        "manager" => Ok(OrganizationRole::Manager),
        "member" => Ok(OrganizationRole::Member),
        other => Err(Fault::internal(format!("organization_members.role holds {other:?}"))),
    }
}

fn show(row: &organization_members::Model, user: &users::Model) -> Result<OrganizationMember, Fault> {
    Ok(OrganizationMember {
        user: view::user(user),
        role: role_of(&row.role)?,
        joined_at: Timestamp::from_millis(row.joined_at),
    })
}

pub async fn list(
    scope: Scope<'_>,
    organization: OrganizationId,
    asked: &Asked,
) -> Result<(Slice<OrganizationMember>, u64), Error> {
    use organization_members::Column;
    super::find(scope, organization).await?;
    let mut select = scope.find::<organization_members::Entity>().filter(Column::Organization.eq(organization.uuid()));
    if let Some(role) = asked.filter("role") {
        let refused = |_| Error::Invalid(vec![FieldError::new("role", "unknown_value", "manager or member")]);
        select = select.filter(Column::Role.eq(role_of(role).map(role_name).map_err(refused)?));
    }
    if let Some(text) = &asked.search {
        select = select.filter(Column::UserId.in_subquery(people_called(text)));
    }
    if let Some(ids) = view::asked_ids::<UserKind>(asked) {
        select = select.filter(Column::UserId.is_in(ids));
    }
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let order = Keyset { by: Column::JoinedAt, id: Column::UserId, direction: asked.direction };
    let slice = page(&scope, select, order, &asked.start, asked.limit).await?;
    let ids: Vec<_> = slice.rows.iter().map(|row| row.user_id).collect();
    let people = people(scope, Some(&ids)).await?;
    let slice = view_slice(slice, |row| {
        let user =
            people.get(&row.user_id).ok_or_else(|| Fault::internal("an organisation has a member from outside"))?;
        show(&row, user)
    })?;
    Ok((slice, total))
}

fn place(organization: OrganizationId, user: UserId) -> Condition {
    Condition::all()
        .add(organization_members::Column::Organization.eq(organization.uuid()))
        .add(organization_members::Column::UserId.eq(user.uuid()))
}

async fn row(
    scope: Scope<'_>,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<organization_members::Model>, StoreError> {
    Ok(scope
        .find::<organization_members::Entity>()
        .filter(place(organization, user))
        .lock_exclusive()
        .one(&scope)
        .await?)
}

/// Whether the caller decides who belongs to the organisation.
async fn decides(scope: Scope<'_>, principal: &Principal, organization: OrganizationId) -> Result<bool, StoreError> {
    if principal.may::<WriteOrganizations>() {
        return Ok(true);
    }
    // Being a manager is no permission, so what else bounds a caller is asked here: the scopes of a key, and whether
    // anything may be changed in the tenant at all.
    let within_scopes = principal.scopes.as_ref().is_none_or(|scopes| scopes.allows(WriteOrganizations::NAME));
    let active = principal.profile.tenant.as_ref().is_some_and(|tenant| tenant.state == TenantState::Active);
    let plinth_core::Actor::User(user) = principal.actor else { return Ok(false) };
    if !within_scopes || !active {
        return Ok(false);
    }
    Ok(row(scope, organization, user).await?.is_some_and(|row| row.role == role_name(OrganizationRole::Manager)))
}

/// What is there before a change, for a caller who says what they have seen.
pub async fn find(
    scope: Scope<'_>,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<OrganizationMember>, Error> {
    let Some(row) = row(scope, organization, user).await? else { return Ok(None) };
    let people = people(scope, Some(&[row.user_id])).await?;
    Ok(people.get(&row.user_id).map(|user| show(&row, user)).transpose()?)
}

/// Adds a member of the tenant, or changes their role. The organisation's row is held.
pub async fn set(
    scope: Scope<'_>,
    principal: &Principal,
    organization: OrganizationId,
    user: UserId,
    role: OrganizationRole,
) -> Result<OrganizationMember, Error> {
    if !decides(scope, principal, organization).await? {
        return Err(Error::PermissionMissing);
    }
    if membership(scope, user).await?.is_none() {
        return Err(Error::NotFound);
    }
    match row(scope, organization, user).await? {
        None => add(scope, organization, user, role).await?,
        Some(row) if row.role == role_name(role) => {}
        Some(_) => {
            let change = scope
                .update::<organization_members::Entity>()
                .col_expr(organization_members::Column::Role, Expr::value(role_name(role)));
            change.filter(place(organization, user)).exec(&scope).await.map_err(StoreError::from)?;
            tell(scope, "organization_member.role_changed", organization, user, Some(role));
        }
    }
    find(scope, organization, user).await?.ok_or(Error::NotFound)
}

/// A new place, for somebody who has none in this organisation.
pub async fn add(
    scope: Scope<'_>,
    organization: OrganizationId,
    user: UserId,
    role: OrganizationRole,
) -> Result<(), StoreError> {
    let row = organization_members::ActiveModel {
        tenant: Set(scope.tenant().uuid()),
        organization: Set(organization.uuid()),
        user_id: Set(user.uuid()),
        role: Set(role_name(role).into()),
        joined_at: Set(scope.now().millis()),
    };
    scope.insert(row).await?;
    tell(scope, "organization_member.added", organization, user, Some(role));
    Ok(())
}

fn tell(
    scope: Scope<'_>,
    event: &'static str,
    organization: OrganizationId,
    user: UserId,
    role: Option<OrganizationRole>,
) {
    let told = json!({ "organization": organization, "user": user, "role": role });
    scope.emit(NewEvent::new(event, subject(organization), &told));
}

/// Takes somebody out of the organisation; anybody may take themselves out.
pub async fn remove(
    scope: Scope<'_>,
    principal: &Principal,
    organization: OrganizationId,
    user: UserId,
) -> Result<(), Error> {
    let leaves = Oneself::of(principal).is_ok_and(|oneself| oneself.user == user);
    if !leaves && !decides(scope, principal, organization).await? {
        return Err(Error::PermissionMissing);
    }
    let gone = scope.delete::<organization_members::Entity>().filter(place(organization, user));
    if gone.exec(&scope).await.map_err(StoreError::from)?.rows_affected == 0 {
        return Err(Error::NotFound);
    }
    tell(scope, "organization_member.removed", organization, user, None);
    Ok(())
}
