//! Taking an invitation up. The token was sent to one address, so whoever presents it reads the mail of that address: a new
//! account starts with it verified, and an existing one must be signed in and have it.

use std::borrow::Cow;

use plinth_core::{
    Fault, FieldError, InvitationId, NewEvent, OrganizationId, SessionId, TenantId, UserId,
    api::{
        auth::SignedIn,
        tenants::{AcceptInvitation, InvitationStatus, OrganizationRole, TenantState},
    },
};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, Invalidation, Scope, SystemTx};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{Column, Entity, Model, status, subject};
use crate::{
    Identity,
    accounts::register,
    accounts::{
        profile::{NotOneself, Oneself},
        register::{create_user, join},
        verify::mark_verified,
    },
    entities::{memberships, roles, sessions, tenants, users},
    fields::Checks,
    password::check_rules,
    permissions::system_role,
    sessions::{self as signing_in, Device},
    tenancy::{organizations, tenants as tenancy},
    tokens::{Secret, TokenKind},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the invitation was used, revoked, sent again or is too old; ask for another one")]
    TokenInvalid,
    #[error("an account with this address exists; sign in and accept again")]
    SignInFirst,
    #[error("the invitation was sent to another address than that of your account; sign in with that one")]
    OtherAddress,
    #[error("you belong to this tenant already")]
    AlreadyMember,
    #[error("the tenant has as many people as it may; ask whoever invited you")]
    LimitReached,
    #[error("the tenant takes nobody in at the moment; ask whoever invited you")]
    TenantClosed,
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::TokenInvalid => Invalid "one_time_token_invalid",
    Self::SignInFirst => Conflict "sign_in_first",
    Self::OtherAddress => Conflict "other_address",
    Self::AlreadyMember => Conflict "already_member",
    Self::LimitReached => Conflict "limit_reached",
    Self::TenantClosed => Conflict "tenant_closed",
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
} with fields);

/// Who takes it up.
pub enum Guest {
    /// Somebody with an account, in a session of their own.
    Known(Oneself),
    /// Somebody who gets an account with it.
    New { name: String, password: String },
}

/// An invitation that was found, and a guest with the password hashed. Made before a transaction is open for changes.
pub struct Prepared {
    tenant: TenantId,
    invitation: InvitationId,
    hash: Vec<u8>,
    guest: Guest,
}

pub async fn prepare(
    identity: &Identity,
    tx: SystemTx,
    request: AcceptInvitation,
    oneself: Option<Oneself>,
) -> Result<Prepared, Error> {
    let presented = Secret::parse(&request.token).map_err(|_| Error::TokenInvalid)?;
    if presented.kind() != TokenKind::Invitation {
        return Err(Error::TokenInvalid);
    }
    let hash = presented.hash().as_bytes().to_vec();
    let found =
        tx.find::<Entity>().filter(Column::TokenHash.eq(hash.clone())).one(&tx).await.map_err(StoreError::from)?;
    let row = found.filter(|row| status(row, tx.now()) == InvitationStatus::Pending).ok_or(Error::TokenInvalid)?;
    let holder = by_key(&tx, &row.email_key).await?;
    drop(tx);
    let guest = match (oneself, holder) {
        (Some(oneself), Some(holder)) if holder.id == oneself.user.uuid() => {
            refuse_profile(&request)?;
            Guest::Known(oneself)
        }
        (Some(_), _) => return Err(Error::OtherAddress),
        (None, Some(_)) => return Err(Error::SignInFirst),
        (None, None) => newcomer(identity, &row.email, request.name, request.password).await?,
    };
    let (tenant, invitation) = (TenantId::from_uuid(row.tenant), InvitationId::from_uuid(row.id));
    Ok(Prepared { tenant, invitation, hash, guest })
}

async fn by_key(tx: &SystemTx, key: &str) -> Result<Option<users::Model>, StoreError> {
    Ok(tx.find::<users::Entity>().filter(users::Column::EmailKey.eq(key)).one(tx).await?)
}

/// Somebody who has a name and a password is not given others by the way.
fn refuse_profile(request: &AcceptInvitation) -> Result<(), Error> {
    let mut checks = Checks::default();
    for (pointer, sent) in [("/name", request.name.is_some()), ("/password", request.password.is_some())] {
        if sent {
            checks.refuse(pointer, "not_expected", "leave it out: you are signed in and have one");
        }
    }
    checks.done().map_err(Error::Invalid)
}

async fn newcomer(
    identity: &Identity,
    email: &str,
    name: Option<String>,
    password: Option<String>,
) -> Result<Guest, Error> {
    let mut checks = Checks::default();
    match &name {
        Some(name) => drop(checks.name("/name", name)),
        None => drop(checks.refuse("/name", "required", "no account has this address yet: send a name for it")),
    }
    match password.as_deref().map(|password| check_rules(password, email, identity.config().password_min_length)) {
        Some(Ok(())) => {}
        Some(Err(rule)) => drop(checks.refuse("/password", rule.code(), rule.to_string())),
        None => drop(checks.refuse("/password", "required", "no account has this address yet: send a password for it")),
    }
    checks.done().map_err(Error::Invalid)?;
    let hash = identity.hasher().hash(identity.world().random(), password.unwrap_or_default()).await;
    let password = hash.map_err(|error| Fault::internal("a password could not be hashed").because(error))?;
    Ok(Guest::New { name: name.unwrap_or_default(), password })
}

pub async fn accept(identity: &Identity, tx: &SystemTx, prepared: Prepared, device: Device) -> Result<SignedIn, Error> {
    let Prepared { tenant, invitation, hash, guest } = prepared;
    let scope = tx.in_tenant(tenant);
    let home = tenancy::locked(tx, tenant).await?.ok_or(Error::TokenInvalid)?;
    let row = take(scope, invitation, &hash).await?;
    require_room(scope, &home).await?;
    let (user, methods) = match guest {
        Guest::Known(oneself) => (known(tx, scope, oneself, &row).await?, methods_of(tx, oneself.session).await?),
        Guest::New { name, password } => (open_account(tx, &row.email, &name, password).await?, "password".into()),
    };
    let id = UserId::from_uuid(user.id);
    mark_verified(tx, &user).await?;
    let roles = still_there(scope, view::words("invitations.roles", &row.roles)?).await?;
    join(tx, tenant, id, &roles).await.map_err(unexpected)?;
    enter_organization(scope, row.organization.map(OrganizationId::from_uuid), id).await?;
    scope.emit(NewEvent::new(
        "invitation.accepted",
        subject(invitation),
        &json!({ "invitation": invitation, "user": id }),
    ));
    tx.invalidate(Invalidation::User(id));
    let methods: Vec<&str> = methods.split_whitespace().collect();
    let opened = signing_in::open(identity, tx, id, Some(tenant), &methods, device).await?;
    let user = users::Model { email_verified_at: user.email_verified_at.or(Some(tx.now().millis())), ..user };
    Ok(SignedIn { user: view::user(&user), tenant: Some(view::tenant(&home)?), tokens: opened.tokens })
}

/// Uses the invitation up, unless somebody was faster.
async fn take(scope: Scope<'_>, id: InvitationId, hash: &[u8]) -> Result<Model, Error> {
    let now = scope.now();
    let found = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).filter(Column::TokenHash.eq(hash.to_vec()));
    let row = found.one(&scope).await.map_err(StoreError::from)?;
    let row = row.filter(|row| status(row, now) == InvitationStatus::Pending).ok_or(Error::TokenInvalid)?;
    let used = scope
        .update::<Entity>()
        .col_expr(Column::AcceptedAt, Expr::value(Some(now.millis())))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::TokenHash.eq(hash.to_vec()))
        .filter(Column::AcceptedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .exec(&scope)
        .await
        .map_err(StoreError::from)?;
    if used.rows_affected == 1 { Ok(row) } else { Err(Error::TokenInvalid) }
}

/// The invitation has kept a place free, unless the limit was lowered since.
async fn require_room(scope: Scope<'_>, home: &tenants::Model) -> Result<(), Error> {
    if view::tenant_state(&home.state)? != TenantState::Active {
        return Err(Error::TenantClosed);
    }
    let Some(most) = view::limits(home)?.users else { return Ok(()) };
    let members = scope.find::<memberships::Entity>().count(&scope).await.map_err(StoreError::from)?;
    if members < u64::from(most) { Ok(()) } else { Err(Error::LimitReached) }
}

async fn known(tx: &SystemTx, scope: Scope<'_>, oneself: Oneself, row: &Model) -> Result<users::Model, Error> {
    let user =
        by_key(tx, &row.email_key).await?.filter(|user| user.id == oneself.user.uuid()).ok_or(Error::OtherAddress)?;
    let place = scope.find::<memberships::Entity>().filter(memberships::Column::UserId.eq(user.id)).count(tx).await;
    if place.map_err(StoreError::from)? > 0 { Err(Error::AlreadyMember) } else { Ok(user) }
}

/// The new session is as strong as the one that asks for it.
async fn methods_of(tx: &SystemTx, session: SessionId) -> Result<Cow<'static, str>, StoreError> {
    let row = tx.find::<sessions::Entity>().filter(sessions::Column::Id.eq(session.uuid())).one(tx).await?;
    Ok(row.map(|row| row.methods).unwrap_or_default().into())
}

async fn open_account(tx: &SystemTx, email: &str, name: &str, password: String) -> Result<users::Model, Error> {
    match create_user(tx, email, name, Some(password)).await {
        Ok((_, row)) => Ok(row),
        Err(register::Error::EmailTaken) => Err(Error::SignInFirst),
        Err(other) => Err(unexpected(other)),
    }
}

fn unexpected(error: register::Error) -> Error {
    match error {
        register::Error::Fault(fault) => fault.into(),
        other => Fault::internal("an invited person cannot join").because(other).into(),
    }
}

/// A role may have been deleted since; nobody joins with none at all.
async fn still_there(scope: Scope<'_>, keys: Vec<String>) -> Result<Vec<String>, StoreError> {
    let ids = keys.iter().filter_map(|key| key.parse::<plinth_core::RoleId>().ok()).map(plinth_core::RoleId::uuid);
    let own = scope.find::<roles::Entity>().filter(roles::Column::Id.is_in(ids)).all(&scope).await?;
    let own: Vec<String> = own.iter().map(|row| plinth_core::RoleId::from_uuid(row.id).to_string()).collect();
    let mut there: Vec<String> =
        keys.into_iter().filter(|key| system_role(key).is_some() || own.contains(key)).collect();
    if there.is_empty() {
        there.push("member".into());
    }
    Ok(there)
}

async fn enter_organization(scope: Scope<'_>, organization: Option<OrganizationId>, user: UserId) -> Result<(), Error> {
    let Some(organization) = organization else { return Ok(()) };
    match organizations::find(scope, organization).await {
        Ok(_) => Ok(organizations::members::add(scope, organization, user, OrganizationRole::Member).await?),
        // Deleted since the invitation was sent.
        Err(organizations::Error::NotFound) => Ok(()),
        Err(organizations::Error::Fault(fault)) => Err(fault.into()),
        Err(other) => Err(Fault::internal("an organisation cannot be looked up").because(other).into()),
    }
}
