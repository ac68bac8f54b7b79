//! Tenants: who sees which, and how one begins and changes. Their states are in `life`.
//!
//! A change in a tenant that counts against a limit, or that looks at who owns it, holds the tenant's row first
//! ([`own_locked`], [`locked`]): so two such changes cannot both decide on what they saw before the other.

mod export;
pub mod life;

use plinth_core::{
    Fault, FieldError, NewEvent, Principal, SYSTEM_TENANT, TenantId, UserId,
    api::{
        Patch, TenantKind,
        auth::NewTenant,
        tenants::{Limits, Tenant, TenantState, UpdateLimits, UpdateTenant},
    },
};
use plinth_gateway::{Asked, Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Keyset, Scope, Slice, SystemTx, list as page};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, FromQueryResult, Iterable, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, Query, SelectStatement},
};
use serde_json::json;

pub use export::export;

use crate::{
    accounts::{
        profile::{NotOneself, Oneself},
        register,
    },
    entities::{memberships, tenants},
    fields::Checks,
    permissions::{LimitTenants, ListTenants, OWNER},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such tenant")]
    NotFound,
    #[error("another tenant has this slug; choose another")]
    SlugTaken,
    #[error("limits are set by operators who hold tenants:limit")]
    LimitsForbidden,
    #[error("only the tenant itself changes its name and slug; as an operator act in it with Plinth-Tenant")]
    NotYourTenant,
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error("registration is closed on this platform; ask to be invited")]
    Closed,
    #[error("the tenant is erased; nothing of it can be changed")]
    Erased,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::SlugTaken => Conflict "slug_taken",
    Self::LimitsForbidden => Forbidden "permission_missing",
    Self::NotYourTenant => Forbidden "not_your_tenant",
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::Closed => Forbidden "registration_closed",
    Self::Erased => Conflict "tenant_erased",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

impl From<register::Error> for Error {
    fn from(error: register::Error) -> Self {
        match error {
            register::Error::SlugTaken => Self::SlugTaken,
            register::Error::Closed => Self::Closed,
            register::Error::Invalid(fields) => Self::Invalid(fields),
            register::Error::Fault(fault) => Self::Fault(fault),
            error @ register::Error::EmailTaken => Fault::internal("a new tenant has no address").because(error).into(),
        }
    }
}

/// The tenants that a caller may see: operators all, people their own, and a key or an impersonation the one it is for.
fn in_sight(principal: &Principal) -> Condition {
    if principal.may::<ListTenants>() {
        return Condition::all();
    }
    let own = match Oneself::of(principal) {
        Ok(oneself) => tenants::Column::Id.in_subquery(tenants_of(oneself.user)),
        Err(_) => tenants::Column::Id.is_in(principal.tenant.map(TenantId::uuid)),
    };
    Condition::all().add(own)
}

fn tenants_of(user: UserId) -> SelectStatement {
    let mut query = Query::select();
    query.column(memberships::Column::Tenant).from(memberships::Entity);
    query.and_where(memberships::Column::UserId.eq(user.uuid())).take()
}

pub async fn list(tx: &SystemTx, principal: &Principal, asked: &Asked) -> Result<(Slice<Tenant>, u64), Error> {
    let mut select = tx.find::<tenants::Entity>().filter(in_sight(principal));
    if let Some(text) = asked.filter("status") {
        let state = view::tenant_state(text).map_err(|_| {
            let message = "one of active, suspended, pending_deletion and erased";
            Error::Invalid(vec![FieldError::new("status", "unknown_value", message)])
        })?;
        select = select.filter(tenants::Column::State.eq(state.as_str()));
    }
    if let Some(slug) = asked.filter("slug") {
        select = select.filter(tenants::Column::Slug.eq(slug));
    }
    if let Some(text) = &asked.search {
        let found = view::holding(tenants::Column::Name, text).add(view::holding(tenants::Column::Slug, text));
        select = select.filter(found);
    }
    if let Some(ids) = view::asked_ids::<TenantKind>(asked) {
        select = select.filter(tenants::Column::Id.is_in(ids));
    }
    let by = match asked.sort {
        "name" => tenants::Column::Name,
        "slug" => tenants::Column::Slug,
        _ => tenants::Column::CreatedAt,
    };
    let total = select.clone().count(tx).await.map_err(StoreError::from)?;
    let order = Keyset { by, id: tenants::Column::Id, direction: asked.direction };
    let slice = page(tx, select, order, &asked.start, asked.limit).await?;
    Ok((view_slice(slice, |row| view::tenant(&row))?, total))
}

/// Turns rows into what the API shows; the first that cannot be read ends it.
pub fn view_slice<M, T>(slice: Slice<M>, convert: impl FnMut(M) -> Result<T, Fault>) -> Result<Slice<T>, Fault> {
    let Slice { rows, has_more, next, prev } = slice;
    let rows = rows.into_iter().map(convert).collect::<Result<_, _>>()?;
    Ok(Slice { rows, has_more, next, prev })
}

pub async fn find(tx: &SystemTx, principal: &Principal, id: TenantId) -> Result<Tenant, Error> {
    let select = tx.find::<tenants::Entity>().filter(in_sight(principal)).filter(tenants::Column::Id.eq(id.uuid()));
    let row = select.one(tx).await.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    Ok(view::tenant(&row)?)
}

/// The row of a tenant, held until the transaction ends. SQLite has one writer, so there it is held anyway.
pub async fn locked(tx: &SystemTx, id: TenantId) -> Result<Option<tenants::Model>, StoreError> {
    let select = tx.find::<tenants::Entity>().filter(tenants::Column::Id.eq(id.uuid()));
    Ok(select.lock(LockType::NoKeyUpdate).one(tx).await?)
}

/// The row of the scope's own tenant.
pub async fn own(scope: Scope<'_>) -> Result<tenants::Model, Fault> {
    read_own(scope, Query::select().take()).await
}

/// The same, held until the transaction ends.
pub async fn own_locked(scope: Scope<'_>) -> Result<tenants::Model, Fault> {
    read_own(scope, Query::select().lock(LockType::NoKeyUpdate).take()).await
}

async fn read_own(scope: Scope<'_>, mut query: SelectStatement) -> Result<tenants::Model, Fault> {
    query.columns(tenants::Column::iter()).from(tenants::Entity);
    query.and_where(tenants::Column::Id.eq(scope.tenant().uuid()));
    let row = scope.query_one(&query).await.map_err(StoreError::from)?;
    let row = row.ok_or_else(|| Fault::internal("the tenant of a transaction is not there"))?;
    Ok(tenants::Model::from_query_result(&row, "").map_err(StoreError::from)?)
}

/// A further tenant of somebody who is here already, and who becomes its owner.
pub async fn create(tx: &SystemTx, owner: UserId, new: &NewTenant) -> Result<Tenant, Error> {
    let mut checks = Checks::default();
    checks.name("/name", &new.name).slug("/slug", &new.slug);
    checks.done().map_err(Error::Invalid)?;
    let (id, row) = register::create_tenant(tx, new).await?;
    register::join(tx, id, owner, &[OWNER.to_owned()]).await?;
    Ok(view::tenant(&row)?)
}

/// Whether this caller may make this change to the tenant `id`; `here` is the tenant that the request acts in.
pub fn may_update(principal: &Principal, here: TenantId, id: TenantId, change: &UpdateTenant) -> Result<(), Error> {
    let limits = principal.may::<LimitTenants>();
    if id != here {
        let renames = !change.name.is_absent() || !change.slug.is_absent();
        return if !limits {
            Err(Error::NotFound)
        } else if renames {
            Err(Error::NotYourTenant)
        } else {
            Ok(())
        };
    }
    if change.limits.is_absent() || limits { Ok(()) } else { Err(Error::LimitsForbidden) }
}

pub async fn update(tx: &SystemTx, mut row: tenants::Model, change: UpdateTenant) -> Result<Tenant, Error> {
    if row.state == TenantState::Erased.as_str() {
        return Err(Error::Erased);
    }
    let before = row.clone();
    let mut checks = Checks::default();
    match &change.name {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/name", "required", "a tenant has a name")),
        Patch::Value(name) => drop(checks.name("/name", name)),
    }
    match &change.slug {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/slug", "required", "a tenant has a slug")),
        Patch::Value(slug) => drop(checks.slug("/slug", slug)),
    }
    let mut limits = view::limits(&row)?;
    match change.limits {
        Patch::Absent => {}
        Patch::Null => limits = Limits::default(),
        Patch::Value(change) => set_limits(&mut checks, &mut limits, &change),
    }
    checks.done().map_err(Error::Invalid)?;
    if let Patch::Value(name) = change.name {
        name.trim().clone_into(&mut row.name);
    }
    if let Patch::Value(slug) = change.slug {
        row.slug = slug;
    }
    if limits != view::limits(&before)? {
        row.limits = view::write_json(&limits)?;
    }
    if row != before {
        save(tx, &before, &row).await?;
    }
    Ok(view::tenant(&row)?)
}

fn set_limits(checks: &mut Checks, limits: &mut Limits, change: &UpdateLimits) {
    for (pointer, limit) in
        [("/limits/users", change.users), ("/limits/requests_per_minute", change.requests_per_minute)]
    {
        if limit == Patch::Value(0) {
            checks.refuse(pointer, "invalid_value", "at least 1; to shut a tenant out, suspend it");
        }
    }
    change.users.apply(&mut limits.users);
    change.organizations.apply(&mut limits.organizations);
    change.api_keys.apply(&mut limits.api_keys);
    change.requests_per_minute.apply(&mut limits.requests_per_minute);
}

async fn save(tx: &SystemTx, before: &tenants::Model, row: &tenants::Model) -> Result<(), Error> {
    let change = tenants::ActiveModel {
        name: Set(row.name.clone()),
        slug: Set(row.slug.clone()),
        limits: Set(row.limits.clone()),
        ..Default::default()
    };
    let saved = tx.update::<tenants::Entity>().set(change).filter(tenants::Column::Id.eq(row.id)).exec(tx).await;
    saved.map_err(|error| match StoreError::from(error) {
        error if error.is_duplicate() => Error::SlugTaken,
        error => error.into(),
    })?;
    let mut fields = Vec::new();
    for (name, changed) in
        [("name", row.name != before.name), ("slug", row.slug != before.slug), ("limits", row.limits != before.limits)]
    {
        fields.extend(changed.then_some(name));
    }
    let id = TenantId::from_uuid(row.id);
    let mut told = json!({ "fields": fields });
    if row.limits != before.limits {
        told["limits"] = json!(view::limits(row)?);
    }
    tx.in_tenant(id).emit(NewEvent::new("tenant.updated", format!("tenant/{id}"), &told));
    tx.invalidate(Invalidation::Tenant(id));
    Ok(())
}

/// The members of a tenant who own it.
pub async fn owners(scope: Scope<'_>) -> Result<Vec<UserId>, StoreError> {
    let select = scope.find::<memberships::Entity>().filter(holding_role(OWNER));
    Ok(select.all(&scope).await?.into_iter().map(|row| UserId::from_uuid(row.user_id)).collect())
}

/// Memberships that carry a role. Roles are a JSON array of keys; a key stands in it between quotes.
pub fn holding_role(key: &str) -> Condition {
    view::holding(memberships::Column::Roles, &format!("\"{key}\""))
}

/// The tenant that the platform's own people belong to is there for good.
pub fn is_system(row: &tenants::Model) -> bool {
    row.id == SYSTEM_TENANT.uuid()
}
