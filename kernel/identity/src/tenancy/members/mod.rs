//! Who belongs to a tenant, and with which roles.
//!
//! Nobody gives roles that allow more than they may do themselves, and nobody changes somebody who may do more. A tenant
//! always has an owner: what could take the last one away holds the tenant's row before it counts.

mod remove;

use std::collections::BTreeMap;

use plinth_core::{
    Fault, FieldError, NewEvent, OrganizationId, Principal, Timestamp, UserId,
    api::{
        UserKind,
        users::{Member, UpdateMember},
    },
};
use plinth_gateway::{Asked, Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Keyset, Scope, Slice, list as page};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, FromQueryResult, Iterable, PaginatorTrait, QueryFilter,
    sea_query::{Expr, Query, SelectStatement},
};
use serde_json::json;
use uuid::Uuid;

pub use remove::{leave, remove, require_may_remove};

use super::tenants::{holding_role, owners, view_slice};
use crate::{
    access::roles,
    accounts::profile::NotOneself,
    entities::{memberships, organization_members, users},
    permissions::{OWNER, system_role},
    sessions::role_permissions,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nobody of this tenant has this id")]
    NotFound,
    #[error("you cannot give what you do not have: the roles go beyond your own permissions")]
    BeyondOwn,
    #[error("this person may do more than you; somebody with as many permissions must do this")]
    HoldsMore,
    #[error("a tenant always has an owner; make somebody else an owner first")]
    LastOwner,
    #[error("this needs members:write")]
    PermissionMissing,
    #[error("this tenant asks its members for an authenticator app: set it up with POST /api/v1/auth/mfa/totp")]
    EnrolmentRequired,
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::BeyondOwn => Forbidden "beyond_own_permissions",
    Self::HoldsMore => Forbidden "holds_more",
    Self::LastOwner => Conflict "last_owner",
    Self::PermissionMissing => Forbidden "permission_missing",
    Self::EnrolmentRequired => Forbidden "mfa_enrolment_required",
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

impl From<roles::Error> for Error {
    fn from(error: roles::Error) -> Self {
        match error {
            roles::Error::BeyondOwn => Self::BeyondOwn,
            roles::Error::Invalid(fields) => Self::Invalid(fields),
            roles::Error::Fault(fault) => Self::Fault(fault),
            other => Fault::internal("roles cannot be given").because(other).into(),
        }
    }
}

fn unknown(name: &str, message: &str) -> Error {
    Error::Invalid(vec![FieldError::new(name, "unknown_value", message)])
}

pub async fn list(scope: Scope<'_>, asked: &Asked) -> Result<(Slice<Member>, u64), Error> {
    let mut select = scope.find::<memberships::Entity>();
    if let Some(role) = asked.filter("role") {
        if system_role(role).is_none() && role.parse::<plinth_core::RoleId>().is_err() {
            return Err(unknown("role", "the key of a role; GET /api/v1/roles lists them"));
        }
        select = select.filter(holding_role(role));
    }
    if let Some(text) = asked.filter("organization") {
        let organization = text.parse().map_err(|_| unknown("organization", "the id of an organisation"))?;
        select = select.filter(memberships::Column::UserId.in_subquery(belonging_to(scope, organization)));
    }
    if let Some(text) = &asked.search {
        select = select.filter(memberships::Column::UserId.in_subquery(people_called(text)));
    }
    if let Some(ids) = view::asked_ids::<UserKind>(asked) {
        select = select.filter(memberships::Column::UserId.is_in(ids));
    }
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let order = Keyset { by: memberships::Column::JoinedAt, id: memberships::Column::Id, direction: asked.direction };
    let slice = page(&scope, select, order, &asked.start, asked.limit).await?;
    let ids: Vec<Uuid> = slice.rows.iter().map(|row| row.user_id).collect();
    let people = people(scope, Some(&ids)).await?;
    let teams = teams(scope, &ids).await?;
    Ok((view_slice(slice, |row| show(&row, &people, &teams))?, total))
}

fn belonging_to(scope: Scope<'_>, organization: OrganizationId) -> SelectStatement {
    use organization_members::Column;
    let mut query = Query::select();
    query.column(Column::UserId).from(organization_members::Entity);
    query.and_where(Column::Tenant.eq(scope.tenant().uuid()));
    query.and_where(Column::Organization.eq(organization.uuid())).take()
}

/// The memberships around this narrow it to the tenant.
pub fn people_called(text: &str) -> SelectStatement {
    let mut query = Query::select();
    query.column(users::Column::Id).from(users::Entity);
    query.cond_where(view::holding(users::Column::Name, text).add(view::holding(users::Column::Email, text))).take()
}

/// People of the tenant: all, or those with these ids.
pub async fn people(scope: Scope<'_>, only: Option<&[Uuid]>) -> Result<BTreeMap<Uuid, users::Model>, StoreError> {
    let mut here = Query::select();
    here.column(memberships::Column::UserId).from(memberships::Entity);
    here.and_where(memberships::Column::Tenant.eq(scope.tenant().uuid()));
    let mut query = Query::select();
    query.columns(users::Column::iter()).from(users::Entity);
    query.and_where(users::Column::Id.in_subquery(here.take()));
    if let Some(ids) = only {
        query.and_where(users::Column::Id.is_in(ids.iter().copied()));
    }
    let rows = scope.query_all(&query).await?;
    rows.iter().map(|row| Ok(users::Model::from_query_result(row, "").map(|user| (user.id, user))?)).collect()
}

/// The organisations of people, by person.
async fn teams(scope: Scope<'_>, people: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<OrganizationId>>, StoreError> {
    let select = scope.find::<organization_members::Entity>();
    let rows = select.filter(organization_members::Column::UserId.is_in(people.iter().copied())).all(&scope).await?;
    let mut teams = BTreeMap::<Uuid, Vec<OrganizationId>>::new();
    for row in rows {
        teams.entry(row.user_id).or_default().push(OrganizationId::from_uuid(row.organization));
    }
    for organizations in teams.values_mut() {
        organizations.sort_unstable();
    }
    Ok(teams)
}

fn show(
    row: &memberships::Model,
    people: &BTreeMap<Uuid, users::Model>,
    teams: &BTreeMap<Uuid, Vec<OrganizationId>>,
) -> Result<Member, Fault> {
    let user = people.get(&row.user_id).ok_or_else(|| Fault::internal("a membership is of nobody"))?;
    Ok(Member {
        user: view::user(user),
        roles: view::words("memberships.roles", &row.roles)?,
        organizations: teams.get(&row.user_id).cloned().unwrap_or_default(),
        joined_at: Timestamp::from_millis(row.joined_at),
    })
}

/// A member as a row.
pub async fn membership(scope: Scope<'_>, user: UserId) -> Result<Option<memberships::Model>, StoreError> {
    let select = scope.find::<memberships::Entity>().filter(of(user));
    Ok(select.one(&scope).await?)
}

fn of(user: UserId) -> Condition {
    Condition::all().add(memberships::Column::UserId.eq(user.uuid()))
}

pub async fn find(scope: Scope<'_>, user: UserId) -> Result<Member, Error> {
    let row = membership(scope, user).await?.ok_or(Error::NotFound)?;
    let ids = [row.user_id];
    Ok(show(&row, &people(scope, Some(&ids)).await?, &teams(scope, &ids).await?)?)
}

/// Gives a member other roles. The caller holds the tenant's row.
pub async fn update(
    scope: Scope<'_>,
    principal: &Principal,
    user: UserId,
    member: Member,
    change: UpdateMember,
) -> Result<Member, Error> {
    require_as_many(scope, principal, &member.roles).await?;
    let roles = roles::assignable(scope, principal, "/roles", &change.roles).await?;
    let owned = |roles: &[String]| roles.iter().any(|role| role == OWNER);
    if owned(&member.roles) && !owned(&roles) {
        require_another_owner(scope, user).await?;
    }
    if roles == member.roles {
        return Ok(member);
    }
    let text = view::write_json(&roles)?;
    let change = scope.update::<memberships::Entity>().col_expr(memberships::Column::Roles, Expr::value(text));
    change.filter(of(user)).exec(&scope).await.map_err(StoreError::from)?;
    let told = json!({ "user": user, "roles": roles, "before": member.roles });
    scope.emit(NewEvent::new("member.roles_changed", format!("user/{user}"), &told));
    scope.invalidate(Invalidation::User(user));
    Ok(Member { roles, ..member })
}

/// Refuses when these roles allow what the caller may not do.
pub async fn require_as_many(scope: Scope<'_>, principal: &Principal, roles: &[String]) -> Result<(), Error> {
    let held = role_permissions(scope, roles).await?;
    if principal.may_give(&held) { Ok(()) } else { Err(Error::HoldsMore) }
}

async fn require_another_owner(scope: Scope<'_>, user: UserId) -> Result<(), Error> {
    let another = owners(scope).await?.into_iter().any(|owner| owner != user);
    if another { Ok(()) } else { Err(Error::LastOwner) }
}
