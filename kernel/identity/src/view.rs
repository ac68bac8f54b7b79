//! Rows as the API shows them.

use plinth_core::{
    Fault, Id, IdKind, OrganizationId, TenantId, Timestamp, UserId,
    api::{
        tenants::{Limits, Organization, Settings, Tenant, TenantState},
        users::User,
    },
};
use plinth_gateway::Asked;
use plinth_store::Slice;
use sea_orm::{
    ColumnTrait, Condition, ExprTrait,
    sea_query::{Func, LikeExpr},
};
use uuid::Uuid;

use crate::entities::{organizations, tenants, users};

pub fn user(row: &users::Model) -> User {
    User {
        id: UserId::from_uuid(row.id),
        email: row.email.clone(),
        email_verified: row.email_verified_at.is_some(),
        name: row.name.clone(),
        locale: row.locale.clone(),
        mfa_enabled: row.totp_confirmed_at.is_some(),
        created_at: Timestamp::from_millis(row.created_at),
    }
}

pub fn tenant(row: &tenants::Model) -> Result<Tenant, Fault> {
    Ok(Tenant {
        id: TenantId::from_uuid(row.id),
        name: row.name.clone(),
        slug: row.slug.clone(),
        state: tenant_state(&row.state)?,
        state_reason: row.state_reason.clone(),
        erase_at: row.erase_at.map(Timestamp::from_millis),
        limits: limits(row)?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

pub fn tenant_state(text: &str) -> Result<TenantState, Fault> {
    match text {
        "active" => Ok(TenantState::Active),
        "suspended" => Ok(TenantState::Suspended),
        "pending_deletion" => Ok(TenantState::PendingDeletion),
        "erased" => Ok(TenantState::Erased),
        other => Err(Fault::internal(format!("tenants.state holds {other:?}"))),
    }
}

pub fn limits(row: &tenants::Model) -> Result<Limits, Fault> {
    read_json("tenants.limits", &row.limits)
}

pub fn settings(row: &tenants::Model) -> Result<Settings, Fault> {
    read_json("tenants.settings", &row.settings)
}

/// Lists of words are stored as JSON arrays.
pub fn words(column: &'static str, text: &str) -> Result<Vec<String>, Fault> {
    read_json(column, text)
}

pub fn read_json<T: serde::de::DeserializeOwned>(column: &'static str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::internal(format!("{column} holds no valid JSON")).because(error))
}

pub fn write_json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::internal("a value cannot be written as JSON").because(error))
}

pub fn organization(row: &organizations::Model) -> Organization {
    Organization {
        id: OrganizationId::from_uuid(row.id),
        name: row.name.clone(),
        slug: row.slug.clone(),
        created_at: Timestamp::from_millis(row.created_at),
    }
}

/// The rows whose column holds a text, whatever the case of its letters.
pub fn holding(column: impl ColumnTrait, text: &str) -> Condition {
    let pattern = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        LikeExpr::new(format!("%{escaped}%")).escape('\\')
    };
    // SQLite turns letters of ASCII only to lower case, so the text as it was typed is looked for besides.
    Condition::any()
        .add(Func::lower(column.into_expr()).like(pattern(&text.to_lowercase())))
        .add(column.into_expr().like(pattern(text)))
}

/// The ids that a list is narrowed to. One that cannot be read is one that no row has.
pub fn asked_ids<K: IdKind>(asked: &Asked) -> Option<Vec<Uuid>> {
    let ids = asked.ids.as_ref()?;
    Some(ids.iter().filter_map(|id| id.parse::<Id<K>>().ok()).map(Id::uuid).collect())
}

/// A page of rows as the API shows them.
pub fn page<M, T>(slice: Slice<M>, show: impl Fn(&M) -> Result<T, Fault>) -> Result<Slice<T>, Fault> {
    let rows = slice.rows.iter().map(show).collect::<Result<_, _>>()?;
    Ok(Slice { rows, has_more: slice.has_more, next: slice.next, prev: slice.prev })
}
