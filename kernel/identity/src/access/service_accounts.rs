//! Service accounts: machine identities of a tenant. They hold roles as members do, and act through API keys only.

use plinth_core::{
    Actor, Fault, FieldError, NewEvent, Principal, ServiceAccountId, Timestamp,
    api::{
        Patch,
        keys::{CreateServiceAccount, ServiceAccount, UpdateServiceAccount},
    },
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use sea_orm::{ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::{api_keys, roles};
use crate::{
    entities::service_accounts::{ActiveModel, Column, Entity, Model},
    fields::Checks,
    view,
};

/// Service accounts of a tenant, at most.
pub const MOST_SERVICE_ACCOUNTS: u64 = 1000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such service account")]
    NotFound,
    #[error("another service account has this name; choose another")]
    NameTaken,
    #[error("a tenant may have {MOST_SERVICE_ACCOUNTS} service accounts; delete one that nobody needs")]
    LimitReached,
    #[error("you cannot give what you do not have: the roles go beyond your own permissions")]
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

impl From<roles::Error> for Error {
    fn from(error: roles::Error) -> Self {
        match error {
            roles::Error::BeyondOwn => Self::BeyondOwn,
            roles::Error::Invalid(fields) => Self::Invalid(fields),
            roles::Error::Fault(fault) => Self::Fault(fault),
            other => Self::Fault(Fault::internal("roles could not be looked up").because(other)),
        }
    }
}

pub fn show(row: &Model) -> Result<ServiceAccount, Fault> {
    Ok(ServiceAccount {
        id: ServiceAccountId::from_uuid(row.id),
        name: row.name.clone(),
        description: row.description.clone(),
        roles: view::words("service_accounts.roles", &row.roles)?,
        enabled: row.enabled,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

pub async fn find(scope: Scope<'_>, id: ServiceAccountId) -> Result<Model, Error> {
    let row = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).one(&scope).await;
    row.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

/// The account, to be changed. Others who would change it wait until this transaction ends.
pub async fn changeable(scope: Scope<'_>, id: ServiceAccountId) -> Result<Model, Error> {
    let row = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive().one(&scope).await;
    row.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

pub async fn create(
    scope: Scope<'_>,
    principal: &Principal,
    request: CreateServiceAccount,
) -> Result<ServiceAccount, Error> {
    let mut checks = Checks::default();
    checks.name("/name", &request.name);
    if let Some(description) = &request.description {
        checks.text("/description", description, 500);
    }
    checks.done().map_err(Error::Invalid)?;
    let roles = roles::assignable(scope, principal, "/roles", &request.roles).await?;
    roles::locked_limits(scope).await?;
    if scope.find::<Entity>().count(&scope).await.map_err(StoreError::from)? >= MOST_SERVICE_ACCOUNTS {
        return Err(Error::LimitReached);
    }
    let id: ServiceAccountId = scope.mint();
    let row = Model {
        id: id.uuid(),
        tenant: scope.tenant().uuid(),
        name: request.name.trim().to_owned(),
        description: request.description.map(|text| text.trim().to_owned()),
        roles: view::write_json(&roles)?,
        enabled: true,
        created_at: scope.now().millis(),
    };
    scope.insert(row.clone()).await.map_err(name_taken)?;
    let told = json!({ "service_account": id, "roles": roles });
    scope.emit(NewEvent::new("service_account.created", subject(id), &told));
    Ok(show(&row)?)
}

pub async fn update(
    scope: Scope<'_>,
    principal: &Principal,
    mut row: Model,
    request: UpdateServiceAccount,
) -> Result<ServiceAccount, Error> {
    let before = row.clone();
    let mut checks = Checks::default();
    match &request.name {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/name", "required", "a service account has a name")),
        Patch::Value(name) => drop(checks.name("/name", name)),
    }
    if let Patch::Value(description) = &request.description {
        checks.text("/description", description, 500);
    }
    if request.roles == Patch::Null {
        checks.refuse("/roles", "required", "a service account has at least one role");
    }
    if request.enabled == Patch::Null {
        checks.refuse("/enabled", "required", "true or false");
    }
    checks.done().map_err(Error::Invalid)?;
    if let Patch::Value(keys) = &request.roles {
        row.roles = view::write_json(&roles::assignable(scope, principal, "/roles", keys).await?)?;
    }
    if let Patch::Value(name) = &request.name {
        name.trim().clone_into(&mut row.name);
    }
    if let Patch::Value(enabled) = request.enabled {
        row.enabled = enabled;
    }
    request.description.apply(&mut row.description);
    row.description = row.description.map(|text| text.trim().to_owned());
    if row != before {
        save(scope, &row).await?;
    }
    Ok(show(&row)?)
}

async fn save(scope: Scope<'_>, row: &Model) -> Result<(), Error> {
    let change = ActiveModel {
        name: Set(row.name.clone()),
        description: Set(row.description.clone()),
        roles: Set(row.roles.clone()),
        enabled: Set(row.enabled),
        ..Default::default()
    };
    let saved = scope.update::<Entity>().set(change).filter(Column::Id.eq(row.id)).exec(&scope).await;
    saved.map_err(|error| name_taken(error.into()))?;
    let id = ServiceAccountId::from_uuid(row.id);
    let roles = view::words("service_accounts.roles", &row.roles)?;
    let told = json!({ "service_account": id, "roles": roles, "enabled": row.enabled });
    scope.emit(NewEvent::new("service_account.updated", subject(id), &told));
    scope.invalidate(Invalidation::ServiceAccount(id));
    Ok(())
}

/// The account ends, and its keys with it.
pub async fn delete(scope: Scope<'_>, row: &Model) -> Result<(), Error> {
    let id = ServiceAccountId::from_uuid(row.id);
    api_keys::revoke_all_of(scope, Actor::ServiceAccount(id)).await?;
    scope.delete::<Entity>().filter(Column::Id.eq(row.id)).exec(&scope).await.map_err(StoreError::from)?;
    scope.emit(NewEvent::new("service_account.deleted", subject(id), &json!({ "service_account": id })));
    scope.invalidate(Invalidation::ServiceAccount(id));
    Ok(())
}

fn subject(id: ServiceAccountId) -> String {
    format!("service_account/{id}")
}

fn name_taken(error: StoreError) -> Error {
    if error.is_duplicate() { Error::NameTaken } else { error.into() }
}
