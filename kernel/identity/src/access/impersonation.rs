//! Operators who act as a person, to see what that person sees.
//!
//! An impersonation is a session of the person with the operator's name on it: short, without a refresh token, and told to
//! the tenant it enters with its reason. Every event that is made in it names the operator. Operators cannot be
//! impersonated, or the rights of one would be the rights of all.

use plinth_core::{
    Actor, Fault, FieldError, NewEvent, Principal, SYSTEM_TENANT, SessionId, TenantId, Timestamp, UserId,
    api::{
        auth::{Impersonate, Impersonation, ImpersonationStarted, TokenType},
        tenants::TenantState,
    },
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::json;

use crate::{
    Identity,
    entities::{memberships, sessions, tenants},
    fields::Checks,
    permissions,
    sessions::{Device, access_token, revoke},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such person belongs to a tenant with this id")]
    NoSuchMember,
    #[error("no impersonation with this id is yours to end")]
    NotFound,
    #[error("operators cannot be impersonated")]
    Operator,
    #[error("only a person can act as another; sign in instead of using a service account")]
    PersonNeeded,
    #[error("the tenant is suspended, so nobody can act in it; resume it first")]
    TenantSuspended,
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NoSuchMember | Self::NotFound => NotFound "not_found",
    Self::Operator => Forbidden "operator_protected",
    Self::PersonNeeded => Forbidden "person_needed",
    Self::TenantSuspended => Conflict "tenant_suspended",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

/// A session as the impersonation it is; none for one that a person opened.
pub fn view(row: &sessions::Model) -> Option<Impersonation> {
    Some(Impersonation {
        session: SessionId::from_uuid(row.id),
        user: UserId::from_uuid(row.user_id),
        tenant: TenantId::from_uuid(row.tenant?),
        operator: UserId::from_uuid(row.impersonator?),
        reason: row.reason.clone().unwrap_or_default(),
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        ended_at: row.revoked_at.map(Timestamp::from_millis),
    })
}

pub async fn start(
    identity: &Identity,
    tx: &SystemTx,
    operator: &Principal,
    request: Impersonate,
    device: Device,
) -> Result<ImpersonationStarted, Error> {
    let mut checks = Checks::default();
    checks.text("/reason", &request.reason, 500);
    checks.done().map_err(Error::Invalid)?;
    let Actor::User(operator) = operator.actor else { return Err(Error::PersonNeeded) };
    let Impersonate { user, tenant, reason } = request;
    check_target(tx, user, tenant).await?;
    let (now, lifetime) = (tx.now(), identity.config().impersonation);
    let session: SessionId = tx.mint();
    let row = sessions::Model {
        id: session.uuid(),
        user_id: user.uuid(),
        tenant: Some(tenant.uuid()),
        created_at: now.millis(),
        last_seen_at: now.millis(),
        expires_at: (now + lifetime).millis(),
        revoked_at: None,
        revoked_why: None,
        user_agent: device.user_agent,
        address: device.address,
        methods: "impersonation".into(),
        impersonator: Some(operator.uuid()),
        reason: Some(reason.trim().to_owned()),
    };
    let impersonation = view(&row).ok_or_else(|| Fault::internal("an impersonation without an operator"))?;
    tx.insert(sessions::ActiveModel { id: Set(row.id), ..row.into() }).await?;
    let told = json!({
        "session": session, "user": user, "operator": operator, "reason": impersonation.reason,
        "expires_at": impersonation.expires_at,
    });
    tx.in_tenant(tenant).emit(NewEvent::new("impersonation.started", subject(session), &told));
    Ok(ImpersonationStarted {
        impersonation,
        access_token: access_token(identity, now, session, user, Some(tenant), Some((operator, lifetime))),
        token_type: TokenType::Bearer,
        expires_in: lifetime.as_secs(),
    })
}

fn subject(session: SessionId) -> String {
    format!("impersonation/{session}")
}

async fn check_target(tx: &SystemTx, user: UserId, tenant: TenantId) -> Result<(), Error> {
    let places = tx.find::<memberships::Entity>().filter(memberships::Column::UserId.eq(user.uuid())).all(tx).await;
    let places = places.map_err(StoreError::from)?;
    let belongs = |tenant: TenantId| places.iter().any(|place| place.tenant == tenant.uuid());
    if belongs(SYSTEM_TENANT) {
        return Err(Error::Operator);
    }
    if !belongs(tenant) {
        return Err(Error::NoSuchMember);
    }
    let row = tx.find::<tenants::Entity>().filter(tenants::Column::Id.eq(tenant.uuid())).one(tx).await;
    match view::tenant_state(&row.map_err(StoreError::from)?.ok_or(Error::NoSuchMember)?.state)? {
        TenantState::Active | TenantState::PendingDeletion => Ok(()),
        TenantState::Suspended => Err(Error::TenantSuspended),
        TenantState::Erased => Err(Error::NoSuchMember),
    }
}

/// An impersonation that `who` may end: by the operator who began it, also from inside, and by whoever could begin one.
pub async fn find(
    tx: &SystemTx,
    who: &Principal,
    session: SessionId,
) -> Result<(sessions::Model, Impersonation), Error> {
    let row = tx.find::<sessions::Entity>().filter(sessions::Column::Id.eq(session.uuid())).one(tx).await;
    let row = row.map_err(StoreError::from)?.ok_or(Error::NotFound)?;
    let shown = view(&row).ok_or(Error::NotFound)?;
    let own = who.actor == Actor::User(shown.operator) || who.impersonator == Some(shown.operator);
    let may = who.may::<permissions::Impersonate>() && !who.must_enrol_mfa;
    if own || may { Ok((row, shown)) } else { Err(Error::NotFound) }
}

/// Ends an impersonation. One that has ended already stays as it is.
pub async fn end(tx: &SystemTx, row: &sessions::Model, shown: &Impersonation) -> Result<(), Error> {
    if row.revoked_at.is_some() || row.expires_at <= tx.now().millis() {
        return Ok(());
    }
    revoke(tx, row, "the impersonation was ended").await?;
    let told = json!({ "session": shown.session, "user": shown.user, "operator": shown.operator });
    tx.in_tenant(shown.tenant).emit(NewEvent::new("impersonation.ended", subject(shown.session), &told));
    Ok(())
}
