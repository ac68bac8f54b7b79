//! Roles: sets of permissions under a name. Every tenant has the system roles, which nobody can change, and defines its own.
//!
//! Members, service accounts and invitations carry a role by its key: the name of a system role, or the id of an own one.
//! Nobody puts more into a role, or hands on a role with more in it, than they hold themselves.

mod patterns;
mod window;

use plinth_core::{
    Fault, FieldError, NewEvent, Principal, RoleId, Timestamp,
    api::{
        Patch,
        roles::{CreateRole, Role, UpdateRole},
        tenants::Limits,
    },
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, Query},
};
use serde_json::json;

pub use patterns::{check_patterns, visible};
pub use window::{Placed, window};

use crate::{
    Identity,
    entities::{invitations, memberships, roles, service_accounts, tenants},
    fields::Checks,
    permissions::{SYSTEM_ROLES, SystemRole, system_role},
    sessions::role_permissions,
    view,
};

/// Own roles of a tenant, at most.
pub const MOST_ROLES: u64 = 200;
const MOST_ROLES_HELD: usize = 50;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such role")]
    NotFound,
    #[error("system roles cannot be changed; define a role of your own")]
    SystemRole,
    #[error("{0} members, service accounts or pending invitations hold this role; give them another one first")]
    InUse(u64),
    #[error("another role has this name; choose another")]
    NameTaken,
    #[error("a tenant may have {MOST_ROLES} roles of its own; delete one that nobody needs")]
    LimitReached,
    #[error("you cannot give what you do not have: the permissions go beyond your own")]
    BeyondOwn,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::SystemRole => Conflict "system_role",
    Self::InUse(_) => Conflict "role_in_use",
    Self::NameTaken => Conflict "name_taken",
    Self::LimitReached => Conflict "limit_reached",
    Self::BeyondOwn => Forbidden "beyond_own_permissions",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

impl Error {
    pub fn invalid_filter(name: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(name, "invalid_value", message)])
    }
}

fn show_system(role: &SystemRole) -> Role {
    Role {
        key: role.key.into(),
        id: None,
        name: role.name.into(),
        description: Some(role.description.into()),
        permissions: role.patterns.iter().map(|&pattern| pattern.into()).collect(),
        system: true,
        created_at: None,
    }
}

pub fn show(row: &roles::Model) -> Result<Role, Fault> {
    let id = RoleId::from_uuid(row.id);
    Ok(Role {
        key: id.to_string(),
        id: Some(id),
        name: row.name.clone(),
        description: row.description.clone(),
        permissions: view::words("roles.permissions", &row.permissions)?,
        system: false,
        created_at: Some(Timestamp::from_millis(row.created_at)),
    })
}

/// All roles of the tenant, system roles first.
pub async fn all(scope: Scope<'_>) -> Result<Vec<Role>, Error> {
    let own = scope.find::<roles::Entity>().all(&scope).await.map_err(StoreError::from)?;
    let mut all: Vec<Role> = SYSTEM_ROLES.iter().map(show_system).collect();
    for row in &own {
        all.push(show(row)?);
    }
    Ok(all)
}

/// The own role with this key, to be changed. Others who would change it wait until this transaction ends.
pub async fn changeable(scope: Scope<'_>, key: &str) -> Result<roles::Model, Error> {
    if system_role(key).is_some() {
        return Err(Error::SystemRole);
    }
    let id: RoleId = key.parse().map_err(|_| Error::NotFound)?;
    let row = scope.find::<roles::Entity>().filter(roles::Column::Id.eq(id.uuid())).lock_exclusive().one(&scope).await;
    row.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

pub async fn get(scope: Scope<'_>, key: &str) -> Result<Role, Error> {
    if let Some(role) = system_role(key) {
        return Ok(show_system(role));
    }
    let id: RoleId = key.parse().map_err(|_| Error::NotFound)?;
    let row = scope.find::<roles::Entity>().filter(roles::Column::Id.eq(id.uuid())).one(&scope).await;
    Ok(show(&row.map_err(StoreError::from)?.ok_or(Error::NotFound)?)?)
}

pub async fn create(
    identity: &Identity,
    scope: Scope<'_>,
    principal: &Principal,
    request: CreateRole,
) -> Result<Role, Error> {
    let mut checks = Checks::default();
    check_name(&mut checks, &request.name);
    if let Some(description) = &request.description {
        checks.text("/description", description, 500);
    }
    let permissions =
        check_patterns(&mut checks, "/permissions", &request.permissions, identity.vocabulary(), scope.tenant());
    checks.done().map_err(Error::Invalid)?;
    if !principal.may_give(&permissions) {
        return Err(Error::BeyondOwn);
    }
    check_free(&request.name)?;
    locked_limits(scope).await?;
    if scope.find::<roles::Entity>().count(&scope).await.map_err(StoreError::from)? >= MOST_ROLES {
        return Err(Error::LimitReached);
    }
    let id: RoleId = scope.mint();
    let row = roles::Model {
        id: id.uuid(),
        tenant: scope.tenant().uuid(),
        name: request.name.trim().to_owned(),
        description: request.description.map(|text| text.trim().to_owned()),
        permissions: view::write_json(&permissions.patterns().collect::<Vec<_>>())?,
        created_at: scope.now().millis(),
    };
    scope.insert(row.clone()).await.map_err(name_taken)?;
    let told = json!({ "role": id, "permissions": permissions.patterns().collect::<Vec<_>>() });
    scope.emit(NewEvent::new("role.created", format!("role/{id}"), &told));
    Ok(show(&row)?)
}

pub async fn update(
    identity: &Identity,
    scope: Scope<'_>,
    principal: &Principal,
    mut row: roles::Model,
    request: UpdateRole,
) -> Result<Role, Error> {
    let before = row.clone();
    let mut checks = Checks::default();
    match &request.name {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/name", "required", "a role has a name")),
        Patch::Value(name) => check_name(&mut checks, name),
    }
    if let Patch::Value(description) = &request.description {
        checks.text("/description", description, 500);
    }
    let permissions = match &request.permissions {
        Patch::Absent => None,
        Patch::Null => {
            checks.refuse("/permissions", "required", "a role has at least one permission");
            None
        }
        Patch::Value(patterns) => {
            Some(check_patterns(&mut checks, "/permissions", patterns, identity.vocabulary(), scope.tenant()))
        }
    };
    checks.done().map_err(Error::Invalid)?;
    if let Some(permissions) = permissions {
        if !principal.may_give(&permissions) {
            return Err(Error::BeyondOwn);
        }
        row.permissions = view::write_json(&permissions.patterns().collect::<Vec<_>>())?;
    }
    if let Patch::Value(name) = request.name {
        check_free(&name)?;
        name.trim().clone_into(&mut row.name);
    }
    request.description.apply(&mut row.description);
    row.description = row.description.map(|text| text.trim().to_owned());
    if row != before {
        save(scope, &before, &row).await?;
    }
    Ok(show(&row)?)
}

async fn save(scope: Scope<'_>, before: &roles::Model, row: &roles::Model) -> Result<(), Error> {
    let change = roles::ActiveModel {
        name: Set(row.name.clone()),
        description: Set(row.description.clone()),
        permissions: Set(row.permissions.clone()),
        ..Default::default()
    };
    let saved = scope.update::<roles::Entity>().set(change).filter(roles::Column::Id.eq(row.id)).exec(&scope).await;
    saved.map_err(|error| name_taken(error.into()))?;
    let id = RoleId::from_uuid(row.id);
    let told = json!({ "role": id, "permissions": view::words("roles.permissions", &row.permissions)? });
    scope.emit(NewEvent::new("role.updated", format!("role/{id}"), &told));
    if before.permissions != row.permissions {
        scope.invalidate(Invalidation::Tenant(scope.tenant()));
    }
    Ok(())
}

pub async fn delete(scope: Scope<'_>, row: &roles::Model) -> Result<(), Error> {
    let id = RoleId::from_uuid(row.id);
    let holders = holders(scope, id).await?;
    if holders > 0 {
        return Err(Error::InUse(holders));
    }
    scope
        .delete::<roles::Entity>()
        .filter(roles::Column::Id.eq(row.id))
        .exec(&scope)
        .await
        .map_err(StoreError::from)?;
    scope.emit(NewEvent::new("role.deleted", format!("role/{id}"), &json!({ "role": id })));
    scope.invalidate(Invalidation::Tenant(scope.tenant()));
    Ok(())
}

/// How many members, service accounts and pending invitations carry a role.
async fn holders(scope: Scope<'_>, role: RoleId) -> Result<u64, StoreError> {
    // Roles are a JSON array of keys; a key stands in it between quotes.
    let written = format!("\"{role}\"");
    let members = scope.find::<memberships::Entity>().filter(view::holding(memberships::Column::Roles, &written));
    let machines =
        scope.find::<service_accounts::Entity>().filter(view::holding(service_accounts::Column::Roles, &written));
    let invited = scope
        .find::<invitations::Entity>()
        .filter(view::holding(invitations::Column::Roles, &written))
        .filter(invitations::Column::AcceptedAt.is_null())
        .filter(invitations::Column::RevokedAt.is_null())
        .filter(invitations::Column::ExpiresAt.gt(scope.now().millis()));
    Ok(members.count(&scope).await? + machines.count(&scope).await? + invited.count(&scope).await?)
}

/// A list of roles that somebody is to be given: each must exist, and be within what the giver holds. Says it once each.
pub async fn assignable(
    scope: Scope<'_>,
    principal: &Principal,
    pointer: &str,
    keys: &[String],
) -> Result<Vec<String>, Error> {
    let mut checks = Checks::default();
    if keys.is_empty() || keys.len() > MOST_ROLES_HELD {
        checks.refuse(pointer, "invalid_length", format!("1 to {MOST_ROLES_HELD} roles"));
    }
    let ids = keys.iter().filter_map(|key| key.parse::<RoleId>().ok()).map(RoleId::uuid);
    let own = scope.find::<roles::Entity>().filter(roles::Column::Id.is_in(ids)).all(&scope).await;
    let own: Vec<String> =
        own.map_err(StoreError::from)?.iter().map(|row| RoleId::from_uuid(row.id).to_string()).collect();
    for (index, key) in keys.iter().enumerate() {
        if system_role(key).is_none() && !own.contains(key) {
            checks.refuse(
                &format!("{pointer}/{index}"),
                "unknown_role",
                "the key of a role; GET /api/v1/roles lists them",
            );
        }
    }
    checks.done().map_err(Error::Invalid)?;
    if !principal.may_give(&role_permissions(scope, keys).await?) {
        return Err(Error::BeyondOwn);
    }
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// What the tenant may have. Whoever counts against it next waits until this transaction ends, so that two requests do
/// not both take the last place.
pub async fn locked_limits(scope: Scope<'_>) -> Result<Limits, Fault> {
    let query = Query::select()
        .column(tenants::Column::Limits)
        .from(tenants::Entity)
        .and_where(tenants::Column::Id.eq(scope.tenant().uuid()))
        .lock(LockType::NoKeyUpdate)
        .to_owned();
    let row = scope.query_one(&query).await.map_err(StoreError::from)?;
    let row = row.ok_or_else(|| Fault::internal("the tenant of a transaction is not there"))?;
    let text: String = row.try_get("", "limits").map_err(StoreError::from)?;
    view::read_json("tenants.limits", &text)
}

fn check_name(checks: &mut Checks, name: &str) {
    checks.name("/name", name);
}

/// The names of system roles stay theirs: two roles of one name could not be told apart.
fn check_free(name: &str) -> Result<(), Error> {
    let name = name.trim();
    let taken =
        SYSTEM_ROLES.iter().any(|role| role.key.eq_ignore_ascii_case(name) || role.name.eq_ignore_ascii_case(name));
    if taken { Err(Error::NameTaken) } else { Ok(()) }
}

fn name_taken(error: StoreError) -> Error {
    if error.is_duplicate() { Error::NameTaken } else { error.into() }
}
