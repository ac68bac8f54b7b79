//! Organisations: the teams inside a tenant. Who belongs to one is in `members`.

pub mod members;

use plinth_core::{
    Fault, FieldError, NewEvent, OrganizationId,
    api::{
        OrganizationKind, Patch,
        tenants::{CreateOrganization, Organization, UpdateOrganization},
    },
};
use plinth_gateway::{Asked, Stale, refuses};
use plinth_store::{Error as StoreError, Keyset, Scope, Slice, list as page};
use sea_orm::{ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter, QuerySelect, sea_query::Query};
use serde_json::json;

use super::tenants::own_locked;
use crate::{
    entities::{organization_members, organizations},
    fields::Checks,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such organisation, or nobody of the tenant has this id")]
    NotFound,
    #[error("another organisation of the tenant has this slug; choose another")]
    SlugTaken,
    #[error("the tenant may have {0} organisations; delete one, or ask for a higher limit")]
    LimitReached(u32),
    #[error("this needs organizations:write, or being a manager of the organisation")]
    PermissionMissing,
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
    Self::LimitReached(_) => Conflict "limit_reached",
    Self::PermissionMissing => Forbidden "permission_missing",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

fn slug_taken(error: StoreError) -> Error {
    if error.is_duplicate() { Error::SlugTaken } else { error.into() }
}

pub async fn list(scope: Scope<'_>, asked: &Asked) -> Result<(Slice<Organization>, u64), Error> {
    let mut select = scope.find::<organizations::Entity>();
    if let Some(slug) = asked.filter("slug") {
        select = select.filter(organizations::Column::Slug.eq(slug));
    }
    if let Some(text) = asked.filter("user") {
        let user = text
            .parse::<plinth_core::UserId>()
            .map_err(|_| Error::Invalid(vec![FieldError::new("user", "unknown_value", "the id of a member")]))?;
        let mut theirs = Query::select();
        theirs.column(organization_members::Column::Organization).from(organization_members::Entity);
        theirs.and_where(organization_members::Column::Tenant.eq(scope.tenant().uuid()));
        theirs.and_where(organization_members::Column::UserId.eq(user.uuid()));
        select = select.filter(organizations::Column::Id.in_subquery(theirs.take()));
    }
    if let Some(text) = &asked.search {
        let found =
            view::holding(organizations::Column::Name, text).add(view::holding(organizations::Column::Slug, text));
        select = select.filter(found);
    }
    if let Some(ids) = view::asked_ids::<OrganizationKind>(asked) {
        select = select.filter(organizations::Column::Id.is_in(ids));
    }
    let by = match asked.sort {
        "name" => organizations::Column::Name,
        "slug" => organizations::Column::Slug,
        _ => organizations::Column::CreatedAt,
    };
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let order = Keyset { by, id: organizations::Column::Id, direction: asked.direction };
    let slice = page(&scope, select, order, &asked.start, asked.limit).await?;
    Ok((slice.map(|row| view::organization(&row)), total))
}

pub async fn find(scope: Scope<'_>, id: OrganizationId) -> Result<organizations::Model, Error> {
    let select = scope.find::<organizations::Entity>().filter(organizations::Column::Id.eq(id.uuid()));
    select.one(&scope).await.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

/// The same, held until the transaction ends.
pub async fn find_locked(scope: Scope<'_>, id: OrganizationId) -> Result<organizations::Model, Error> {
    let select = scope.find::<organizations::Entity>().filter(organizations::Column::Id.eq(id.uuid()));
    select.lock_exclusive().one(&scope).await.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

pub async fn create(scope: Scope<'_>, request: CreateOrganization) -> Result<Organization, Error> {
    let mut checks = Checks::default();
    checks.name("/name", &request.name).slug("/slug", &request.slug);
    checks.done().map_err(Error::Invalid)?;
    let tenant = own_locked(scope).await?;
    if let Some(most) = view::limits(&tenant)?.organizations {
        let present = scope.find::<organizations::Entity>().count(&scope).await.map_err(StoreError::from)?;
        if present >= u64::from(most) {
            return Err(Error::LimitReached(most));
        }
    }
    let id: OrganizationId = scope.mint();
    let row = organizations::Model {
        id: id.uuid(),
        tenant: tenant.id,
        name: request.name.trim().to_owned(),
        slug: request.slug,
        created_at: scope.now().millis(),
    };
    scope.insert(row.clone()).await.map_err(slug_taken)?;
    scope.emit(NewEvent::new("organization.created", subject(id), &json!({ "organization": id })));
    Ok(view::organization(&row))
}

fn subject(id: OrganizationId) -> String {
    format!("organization/{id}")
}

pub async fn update(
    scope: Scope<'_>,
    mut row: organizations::Model,
    change: UpdateOrganization,
) -> Result<Organization, Error> {
    let before = row.clone();
    let mut checks = Checks::default();
    match &change.name {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/name", "required", "an organisation has a name")),
        Patch::Value(name) => drop(checks.name("/name", name)),
    }
    match &change.slug {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/slug", "required", "an organisation has a slug")),
        Patch::Value(slug) => drop(checks.slug("/slug", slug)),
    }
    checks.done().map_err(Error::Invalid)?;
    if let Patch::Value(name) = change.name {
        name.trim().clone_into(&mut row.name);
    }
    if let Patch::Value(slug) = change.slug {
        row.slug = slug;
    }
    if row == before {
        return Ok(view::organization(&row));
    }
    let change =
        organizations::ActiveModel { name: Set(row.name.clone()), slug: Set(row.slug.clone()), ..Default::default() };
    let saved = scope.update::<organizations::Entity>().set(change).filter(organizations::Column::Id.eq(row.id));
    saved.exec(&scope).await.map_err(|error| slug_taken(error.into()))?;
    let id = OrganizationId::from_uuid(row.id);
    scope.emit(NewEvent::new("organization.updated", subject(id), &json!({ "organization": id })));
    Ok(view::organization(&row))
}

/// Its people stay in the tenant.
pub async fn delete(scope: Scope<'_>, row: &organizations::Model) -> Result<(), StoreError> {
    let people = scope.delete::<organization_members::Entity>();
    people.filter(organization_members::Column::Organization.eq(row.id)).exec(&scope).await?;
    scope.delete::<organizations::Entity>().filter(organizations::Column::Id.eq(row.id)).exec(&scope).await?;
    let id = OrganizationId::from_uuid(row.id);
    scope.emit(NewEvent::new("organization.deleted", subject(id), &json!({ "organization": id })));
    Ok(())
}
