//! All that a tenant has, to take along. What is secret, or the hash of a secret, stays here.

use std::collections::BTreeMap;

use plinth_core::{
    EventId, Fault, KeyId, RoleId, ServiceAccountId, TenantId, Timestamp, UserId, api::tenants::TenantExport,
};
use plinth_store::{Error as StoreError, Scope};
use sea_orm::{
    ConnectionTrait, ExprTrait, QueryOrder, QueryResult,
    sea_query::{Alias, Expr, Func, Order, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::own;
use crate::{
    entities::{api_keys, invitations, memberships, organization_members, organizations, roles, service_accounts},
    tenancy::{invitations as invitation, members::people},
    view,
};

/// Events of the log in one export, at most: an export is one document, and a log has no end.
const MOST_EVENTS: u64 = 50_000;

pub async fn export(scope: Scope<'_>) -> Result<TenantExport, Fault> {
    let tenant = own(scope).await?;
    let mut data = BTreeMap::new();
    data.insert("settings".to_owned(), vec![json!(view::settings(&tenant)?)]);
    data.insert("members".to_owned(), members(scope).await?);
    data.insert("roles".to_owned(), own_roles(scope).await?);
    data.insert("organizations".to_owned(), teams(scope).await?);
    data.insert("invitations".to_owned(), invited(scope).await?);
    data.insert("service_accounts".to_owned(), machines(scope).await?);
    data.insert("api_keys".to_owned(), keys(scope).await?);
    data.insert("events".to_owned(), events(scope, MOST_EVENTS).await?);
    let total = count_events(scope).await?;
    if total > MOST_EVENTS {
        // Nothing is left out silently.
        data.insert("truncated".to_owned(), vec![json!({ "kind": "events", "newest": MOST_EVENTS, "total": total })]);
    }
    Ok(TenantExport { tenant: view::tenant(&tenant)?, exported_at: scope.now(), data })
}

async fn members(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let found = scope.find::<memberships::Entity>().order_by_asc(memberships::Column::JoinedAt).all(&scope).await;
    let rows = found.map_err(StoreError::from)?;
    let people = people(scope, None).await?;
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        let user = people.get(&row.user_id).map(view::user);
        let roles = view::words("memberships.roles", &row.roles)?;
        members.push(json!({ "user": user, "roles": roles, "joined_at": Timestamp::from_millis(row.joined_at) }));
    }
    Ok(members)
}

async fn own_roles(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let rows = scope
        .find::<roles::Entity>()
        .order_by_asc(roles::Column::CreatedAt)
        .all(&scope)
        .await
        .map_err(StoreError::from)?;
    rows.iter()
        .map(|row| {
            Ok(json!({
                "id": RoleId::from_uuid(row.id), "name": row.name, "description": row.description,
                "permissions": view::words("roles.permissions", &row.permissions)?,
                "created_at": Timestamp::from_millis(row.created_at),
            }))
        })
        .collect()
}

async fn teams(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let found = scope.find::<organizations::Entity>().order_by_asc(organizations::Column::CreatedAt).all(&scope).await;
    let rows = found.map_err(StoreError::from)?;
    let belonging = scope.find::<organization_members::Entity>().all(&scope).await.map_err(StoreError::from)?;
    let members = |organization: Uuid| -> Vec<Value> {
        let of = belonging.iter().filter(|member| member.organization == organization);
        of.map(|member| {
            let joined_at = Timestamp::from_millis(member.joined_at);
            json!({ "user": UserId::from_uuid(member.user_id), "role": member.role, "joined_at": joined_at })
        })
        .collect()
    };
    Ok(rows.iter().map(|row| json!({ "organization": view::organization(row), "members": members(row.id) })).collect())
}

async fn invited(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let found = scope.find::<invitations::Entity>().order_by_asc(invitations::Column::CreatedAt).all(&scope).await;
    let rows = found.map_err(StoreError::from)?;
    rows.iter().map(|row| Ok(json!(invitation::show(row, scope.now())?))).collect()
}

async fn machines(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let found =
        scope.find::<service_accounts::Entity>().order_by_asc(service_accounts::Column::CreatedAt).all(&scope).await;
    let rows = found.map_err(StoreError::from)?;
    rows.iter()
        .map(|row| {
            Ok(json!({
                "id": ServiceAccountId::from_uuid(row.id), "name": row.name, "description": row.description,
                "roles": view::words("service_accounts.roles", &row.roles)?, "enabled": row.enabled,
                "created_at": Timestamp::from_millis(row.created_at),
            }))
        })
        .collect()
}

async fn keys(scope: Scope<'_>) -> Result<Vec<Value>, Fault> {
    let found = scope.find::<api_keys::Entity>().order_by_asc(api_keys::Column::CreatedAt).all(&scope).await;
    let rows = found.map_err(StoreError::from)?;
    rows.iter()
        .map(|row| {
            Ok(json!({
                "id": KeyId::from_uuid(row.id), "name": row.name, "prefix": row.prefix,
                "user": row.user_id.map(UserId::from_uuid),
                "service_account": row.service_account.map(ServiceAccountId::from_uuid),
                "scopes": view::words("api_keys.scopes", &row.scopes)?,
                "signed_requests": row.signing_secret.is_some(),
                "created_at": Timestamp::from_millis(row.created_at),
                "expires_at": row.expires_at.map(Timestamp::from_millis),
                "last_used_at": row.last_used_at.map(Timestamp::from_millis),
                "revoked_at": row.revoked_at.map(Timestamp::from_millis),
            }))
        })
        .collect()
}

const EVENT_COLUMNS: [&str; 11] =
    ["id", "position", "subject", "version", "kind", "time", "actor", "impersonator", "correlation", "origin", "data"];

/// The newest events, the oldest of them first.
async fn events(scope: Scope<'_>, most: u64) -> Result<Vec<Value>, Fault> {
    let mut query = Query::select();
    query.columns(EVENT_COLUMNS.map(Alias::new)).from(Alias::new("events")).and_where(of(scope.tenant()));
    query.order_by(Alias::new("time"), Order::Desc).order_by(Alias::new("id"), Order::Desc).limit(most);
    let rows = scope.query_all(&query).await.map_err(StoreError::from)?;
    rows.iter().rev().map(event).collect()
}

async fn count_events(scope: Scope<'_>) -> Result<u64, StoreError> {
    let mut query = Query::select();
    query.expr_as(Func::count(Expr::col(Alias::new("id"))), Alias::new("total"));
    query.from(Alias::new("events")).and_where(of(scope.tenant()));
    let row = scope.query_one(&query).await?;
    let total: i64 = row.map(|row| row.try_get("", "total")).transpose()?.unwrap_or_default();
    Ok(total as u64)
}

fn of(tenant: TenantId) -> Expr {
    Expr::col(Alias::new("tenant")).eq(tenant.uuid())
}

fn event(row: &QueryResult) -> Result<Value, Fault> {
    let text = |column: &str| row.try_get::<String>("", column).map_err(StoreError::from);
    let perhaps = |column: &str| row.try_get::<Option<String>>("", column).map_err(StoreError::from);
    let id: Uuid = row.try_get("", "id").map_err(StoreError::from)?;
    let impersonator: Option<Uuid> = row.try_get("", "impersonator").map_err(StoreError::from)?;
    let time: i64 = row.try_get("", "time").map_err(StoreError::from)?;
    let data: Value = view::read_json("events.data", &text("data")?)?;
    Ok(json!({
        "id": EventId::from_uuid(id),
        "position": row.try_get::<Option<i64>>("", "position").map_err(StoreError::from)?,
        "type": text("kind")?,
        "subject": text("subject")?,
        "version": row.try_get::<i64>("", "version").map_err(StoreError::from)?,
        "time": Timestamp::from_millis(time),
        "actor": text("actor")?,
        "impersonator": impersonator.map(UserId::from_uuid),
        "correlation": perhaps("correlation")?,
        "origin": perhaps("origin")?,
        "data": data,
    }))
}
