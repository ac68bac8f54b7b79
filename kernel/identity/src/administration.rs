//! What an administrator does from the command line: the system tenant, operators and tenants. The same functions serve
//! a stopped kernel's data and, through the control socket, a running kernel.

use plinth_core::{
    Cause, Fault, FieldError, NewEvent, Problem, SYSTEM_TENANT, TenantId, Timestamp, UserId,
    api::auth::{NewTenant, Register, SignedIn},
};
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Identity,
    accounts::register::{self, create_user, join},
    entities::{memberships, tenants, users},
    fields::{Checks, email_key},
    password::check_rules,
    permissions::OWNER,
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    #[error("{}", .0.iter().map(|field| format!("{}: {}", field.pointer.trim_start_matches('/'), field.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    #[error("an account with this address exists; make it an operator with: plinth operator grant --email {0}")]
    EmailTaken(String),
    #[error("no account has the address {0}")]
    NoSuchUser(String),
    #[error("{0} is the last operator; create another one first")]
    LastOperator(String),
    #[error("no tenant has the slug or id {0}")]
    NoSuchTenant(String),
    #[error("the tenant {0} is {1} and cannot become {2}")]
    State(String, String, &'static str),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl AdministrationError {
    /// Trying again later may help.
    pub fn is_weather(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.kind() == plinth_core::Kind::Unavailable)
    }
}

impl From<StoreError> for AdministrationError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<register::Error> for AdministrationError {
    fn from(error: register::Error) -> Self {
        match error {
            register::Error::Invalid(fields) => Self::Invalid(fields),
            register::Error::Fault(fault) => Self::Fault(fault),
            other => Self::Invalid(vec![FieldError::new("", "refused", other.to_string())]),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSummary {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub state: String,
    pub members: u64,
    pub created_at: Timestamp,
}

fn operator_of(row: &users::Model) -> Operator {
    Operator {
        id: UserId::from_uuid(row.id),
        email: row.email.clone(),
        name: row.name.clone(),
        created_at: Timestamp::from_millis(row.created_at),
    }
}

/// The tenant that operators belong to exists from the first start on.
pub async fn ensure_system_tenant(identity: &Identity) -> Result<(), AdministrationError> {
    let tx = identity.store().change_system(cause()).await?;
    let known = tx
        .find::<tenants::Entity>()
        .filter(tenants::Column::Id.eq(SYSTEM_TENANT.uuid()))
        .one(&tx)
        .await
        .map_err(StoreError::from)?;
    if known.is_some() {
        return Ok(());
    }
    let row = tenants::Model {
        id: SYSTEM_TENANT.uuid(),
        slug: "system".into(),
        name: "Operators".into(),
        state: "active".into(),
        state_reason: None,
        erase_at: None,
        limits: "{}".into(),
        settings: "{}".into(),
        created_at: tx.now().millis(),
    };
    match tx.insert(row).await {
        // Another node was first.
        Err(error) if error.is_duplicate() => return Ok(()),
        result => result?,
    }
    tx.commit().await?;
    Ok(())
}

fn cause() -> Cause {
    Cause { origin: Some("cli".into()), ..Cause::system("administration") }
}

pub async fn create_operator(
    identity: &Identity,
    email: &str,
    name: &str,
    password: String,
) -> Result<Operator, AdministrationError> {
    let mut checks = Checks::default();
    checks.email("/email", email).name("/name", name);
    if let Err(rule) = check_rules(&password, email, identity.config().password_min_length) {
        checks.refuse("/password", rule.code(), rule.to_string());
    }
    checks.done().map_err(AdministrationError::Invalid)?;
    let hash = identity.hasher().hash(identity.world().random(), password).await;
    let hash = hash.map_err(|error| Fault::internal("a password could not be hashed").because(error))?;
    ensure_system_tenant(identity).await?;
    let tx = identity.store().change_system(cause()).await?;
    let (id, row) = create_user(&tx, email, name, Some(hash)).await.map_err(|error| match error {
        register::Error::EmailTaken => AdministrationError::EmailTaken(email.to_owned()),
        other => other.into(),
    })?;
    // Whoever can run commands on this machine vouches for the address.
    tx.update::<users::Entity>()
        .col_expr(users::Column::EmailVerifiedAt, Expr::value(Some(tx.now().millis())))
        .filter(users::Column::Id.eq(id.uuid()))
        .exec(&tx)
        .await
        .map_err(StoreError::from)?;
    join(&tx, SYSTEM_TENANT, id, &[OWNER.to_owned()]).await?;
    tx.commit().await?;
    Ok(operator_of(&row))
}

async fn by_email(tx: &SystemTx, email: &str) -> Result<users::Model, AdministrationError> {
    let found = tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(email_key(email))).one(tx).await;
    found.map_err(StoreError::from)?.ok_or_else(|| AdministrationError::NoSuchUser(email.to_owned()))
}

/// Makes an existing account an operator.
pub async fn grant_operator(identity: &Identity, email: &str) -> Result<Operator, AdministrationError> {
    ensure_system_tenant(identity).await?;
    let tx = identity.store().change_system(cause()).await?;
    let user = by_email(&tx, email).await?;
    let id = UserId::from_uuid(user.id);
    let members = tx.in_tenant(SYSTEM_TENANT).find::<memberships::Entity>();
    let already = members.filter(memberships::Column::UserId.eq(user.id)).one(&tx).await.map_err(StoreError::from)?;
    if already.is_none() {
        join(&tx, SYSTEM_TENANT, id, &[OWNER.to_owned()]).await?;
        tx.invalidate(Invalidation::User(id));
        tx.commit().await?;
    }
    Ok(operator_of(&user))
}

/// Takes the operator's rights away; the account stays.
pub async fn revoke_operator(identity: &Identity, email: &str) -> Result<Operator, AdministrationError> {
    let tx = identity.store().change_system(cause()).await?;
    let user = by_email(&tx, email).await?;
    let id = UserId::from_uuid(user.id);
    let scope = tx.in_tenant(SYSTEM_TENANT);
    let all = scope.find::<memberships::Entity>().all(&tx).await.map_err(StoreError::from)?;
    if all.len() == 1 && all[0].user_id == user.id {
        return Err(AdministrationError::LastOperator(user.email));
    }
    scope
        .delete::<memberships::Entity>()
        .filter(memberships::Column::UserId.eq(user.id))
        .exec(&tx)
        .await
        .map_err(StoreError::from)?;
    scope.emit(NewEvent::new("member.removed", format!("user/{id}"), &json!({ "user": id })));
    tx.invalidate(Invalidation::User(id));
    tx.commit().await?;
    Ok(operator_of(&user))
}

pub async fn operators(identity: &Identity) -> Result<Vec<Operator>, AdministrationError> {
    let tx = identity.store().read_system(cause()).await?;
    let members = tx.in_tenant(SYSTEM_TENANT).find::<memberships::Entity>().all(&tx).await.map_err(StoreError::from)?;
    let ids = members.iter().map(|member| member.user_id);
    let rows = tx
        .find::<users::Entity>()
        .filter(users::Column::Id.is_in(ids))
        .order_by_asc(users::Column::CreatedAt)
        .all(&tx)
        .await;
    Ok(rows.map_err(StoreError::from)?.iter().map(operator_of).collect())
}

/// A tenant with its owner, for a first look around.
pub async fn create_tenant(
    identity: &Identity,
    tenant: NewTenant,
    email: &str,
    name: &str,
    password: String,
) -> Result<SignedIn, AdministrationError> {
    let request = Register { email: email.into(), password, name: name.into(), tenant };
    let prepared = register::prepare_unasked(identity, request).await?;
    let tx = identity.store().change_system(cause()).await?;
    let signed_in = register::register(identity, &tx, prepared, crate::sessions::Device::default()).await?;
    tx.commit().await?;
    Ok(signed_in)
}

pub async fn tenants(identity: &Identity) -> Result<Vec<TenantSummary>, AdministrationError> {
    let tx = identity.store().read_system(cause()).await?;
    let rows = tx
        .find::<tenants::Entity>()
        .order_by_asc(tenants::Column::CreatedAt)
        .all(&tx)
        .await
        .map_err(StoreError::from)?;
    let mut summaries = Vec::with_capacity(rows.len());
    for row in rows {
        summaries.push(summary(&tx, &row).await?);
    }
    Ok(summaries)
}

async fn summary(tx: &SystemTx, row: &tenants::Model) -> Result<TenantSummary, AdministrationError> {
    use sea_orm::PaginatorTrait;
    let id = TenantId::from_uuid(row.id);
    let members = tx.in_tenant(id).find::<memberships::Entity>().count(tx).await.map_err(StoreError::from)?;
    Ok(TenantSummary {
        id,
        slug: row.slug.clone(),
        name: row.name.clone(),
        state: view::tenant_state(&row.state)?.as_str().into(),
        members,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

/// Finds a tenant by slug or id, for a change of its state.
async fn find_tenant(tx: &SystemTx, name: &str) -> Result<tenants::Model, AdministrationError> {
    let wanted = match name.parse::<TenantId>() {
        Ok(id) => tenants::Column::Id.eq(id.uuid()),
        Err(_) => tenants::Column::Slug.eq(name),
    };
    let found = tx.find::<tenants::Entity>().filter(wanted).one(tx).await.map_err(StoreError::from)?;
    found.ok_or_else(|| AdministrationError::NoSuchTenant(name.to_owned()))
}

pub async fn suspend(identity: &Identity, tenant: &str, reason: &str) -> Result<TenantSummary, AdministrationError> {
    change_state(identity, tenant, ("active", "suspended", "tenant.suspended"), Some(reason)).await
}

pub async fn resume(identity: &Identity, tenant: &str) -> Result<TenantSummary, AdministrationError> {
    change_state(identity, tenant, ("suspended", "active", "tenant.resumed"), None).await
}

async fn change_state(
    identity: &Identity,
    tenant: &str,
    (from, to, event): (&str, &'static str, &'static str),
    reason: Option<&str>,
) -> Result<TenantSummary, AdministrationError> {
    let tx = identity.store().change_system(cause()).await?;
    let row = find_tenant(&tx, tenant).await?;
    let id = TenantId::from_uuid(row.id);
    if row.state != from || id == SYSTEM_TENANT {
        return Err(AdministrationError::State(row.slug, row.state, to));
    }
    tx.update::<tenants::Entity>()
        .col_expr(tenants::Column::State, Expr::value(to))
        .col_expr(tenants::Column::StateReason, Expr::value(reason.map(str::to_owned)))
        .filter(tenants::Column::Id.eq(row.id))
        .exec(&tx)
        .await
        .map_err(StoreError::from)?;
    tx.in_tenant(id).emit(NewEvent::new(event, format!("tenant/{id}"), &json!({ "reason": reason })));
    tx.invalidate(Invalidation::Tenant(id));
    let changed = summary(&tx, &tenants::Model { state: to.into(), ..row }).await?;
    tx.commit().await?;
    Ok(changed)
}
