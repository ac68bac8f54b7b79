//! From a session or key in the database to a principal.

use plinth_core::{
    Actor, Fault, KeyId, PermissionSet, Principal, Profile, SYSTEM_TENANT, ServiceAccountId, SessionId, SigningSecret,
    TenantId, Timestamp, UserId,
    api::{tenants::TenantState, users::Me},
    ports::AuthenticationError,
};
use plinth_store::{Error, Scope, SystemTx};
use sea_orm::{ColumnTrait, ExprTrait, QueryFilter};

use crate::{
    Identity,
    entities::{api_keys, memberships, roles, service_accounts, sessions, tenants, users},
    permissions::{OWNER, system_role},
    tokens::TokenHash,
    view,
};

/// What is common to all ways in: the person or machine, where, and with which roles.
struct Standing {
    actor: Actor,
    user: Option<users::Model>,
    service_account: Option<ServiceAccountId>,
    tenant: Option<tenants::Model>,
    roles: Vec<String>,
    grants: PermissionSet,
}

fn failed(error: impl Into<Error>) -> AuthenticationError {
    AuthenticationError::Fault(Fault::from(error.into()))
}

/// The principal behind a session that a verified token names.
pub async fn session(
    identity: &Identity,
    tx: &SystemTx,
    id: SessionId,
    tenant: Option<TenantId>,
    act_in: Option<TenantId>,
) -> Result<Principal, AuthenticationError> {
    let row = tx.find::<sessions::Entity>().filter(sessions::Column::Id.eq(id.uuid())).one(tx).await.map_err(failed)?;
    let session = row.ok_or(AuthenticationError::Revoked)?;
    if session.revoked_at.is_some() || session.expires_at <= tx.now().millis() {
        return Err(AuthenticationError::Revoked);
    }
    // The session has moved to another tenant since: what another tab still holds must not write there by mistake.
    if session.tenant.map(TenantId::from_uuid) != tenant {
        return Err(AuthenticationError::Expired);
    }
    if let Some(operator) = session.impersonator
        && !is_operator(tx, operator).await?
    {
        return Err(AuthenticationError::Revoked);
    }
    let user = person(tx, session.user_id).await?.ok_or(AuthenticationError::Revoked)?;
    let standing = standing_of_person(tx, user, session.tenant.map(TenantId::from_uuid)).await?;
    let impersonator = session.impersonator.map(UserId::from_uuid);
    let mut principal = principal(identity, tx, standing, act_in, impersonator.is_some()).await?;
    principal.session = Some(id);
    principal.impersonator = impersonator;
    principal.profile.change(|me| me.impersonator = impersonator);
    Ok(principal)
}

/// The principal behind an API key, found by its hash.
pub async fn key(
    identity: &Identity,
    tx: &SystemTx,
    hash: TokenHash,
    act_in: Option<TenantId>,
) -> Result<(Principal, api_keys::Model), AuthenticationError> {
    use api_keys::Column;
    let now = tx.now().millis();
    let bytes = hash.as_bytes().to_vec();
    let row = tx
        .find::<api_keys::Entity>()
        .filter(Column::Hash.eq(bytes.clone()).or(Column::PreviousHash.eq(bytes.clone())))
        .one(tx)
        .await
        .map_err(failed)?
        .ok_or(AuthenticationError::Invalid)?;
    let previous = row.hash != bytes;
    if row.revoked_at.is_some() || (previous && row.previous_expires_at.is_none_or(|until| until <= now)) {
        return Err(AuthenticationError::Revoked);
    }
    let end = if previous { row.previous_expires_at } else { row.expires_at };
    let end = [end, row.expires_at].into_iter().flatten().min();
    if end.is_some_and(|end| end <= now) {
        return Err(AuthenticationError::Expired);
    }
    let tenant = TenantId::from_uuid(row.tenant);
    let standing = match (row.user_id, row.service_account) {
        (Some(user), _) => {
            let user = person(tx, user).await?.ok_or(AuthenticationError::Revoked)?;
            // A key is for one tenant: without its owner's membership there it is for nothing.
            let standing = standing_of_person(tx, user, Some(tenant)).await?;
            if standing.tenant.is_none() {
                return Err(AuthenticationError::Revoked);
            }
            standing
        }
        (None, Some(account)) => standing_of_machine(tx, ServiceAccountId::from_uuid(account), tenant).await?,
        (None, None) => return Err(AuthenticationError::Revoked),
    };
    let mut principal = principal(identity, tx, standing, act_in, true).await?;
    principal.key = Some(KeyId::from_uuid(row.id));
    principal.scopes = Some(view::words("api_keys.scopes", &row.scopes)?.iter().collect());
    principal.expires_at = end.map(Timestamp::from_millis);
    principal.signing = signing_secret(tx, &row).await.map_err(failed)?;
    let (id, scopes) = (principal.key, principal.scopes.clone().unwrap_or_default());
    principal.profile.change(|me| {
        me.api_key = id;
        me.permissions.retain(|word| scopes.allows(word));
    });
    Ok((principal, row))
}

async fn signing_secret(tx: &SystemTx, row: &api_keys::Model) -> Result<Option<SigningSecret>, Error> {
    let Some(sealed) = &row.signing_secret else { return Ok(None) };
    let scope = tx.in_tenant(TenantId::from_uuid(row.tenant));
    let context = signing_context(KeyId::from_uuid(row.id));
    let secret = tx.store().vault().open(&scope, &context, sealed).await?;
    Ok(Some(SigningSecret(secret.into())))
}

/// Where the signing secret of a key is at home.
pub fn signing_context(key: KeyId) -> String {
    format!("api_keys.signing_secret {key}")
}

/// Acting as somebody ends with the rights that allowed it.
async fn is_operator(tx: &SystemTx, user: uuid::Uuid) -> Result<bool, AuthenticationError> {
    let members = tx.in_tenant(SYSTEM_TENANT).find::<memberships::Entity>();
    let found = members.filter(memberships::Column::UserId.eq(user)).one(tx).await.map_err(failed)?;
    Ok(found.is_some())
}

async fn person(tx: &SystemTx, id: uuid::Uuid) -> Result<Option<users::Model>, AuthenticationError> {
    tx.find::<users::Entity>().filter(users::Column::Id.eq(id)).one(tx).await.map_err(failed)
}

async fn tenant_row(tx: &SystemTx, id: TenantId) -> Result<Option<tenants::Model>, AuthenticationError> {
    tx.find::<tenants::Entity>().filter(tenants::Column::Id.eq(id.uuid())).one(tx).await.map_err(failed)
}

async fn standing_of_person(
    tx: &SystemTx,
    user: users::Model,
    tenant: Option<TenantId>,
) -> Result<Standing, AuthenticationError> {
    let actor = Actor::User(UserId::from_uuid(user.id));
    let nowhere = Standing {
        actor,
        user: Some(user.clone()),
        service_account: None,
        tenant: None,
        roles: Vec::new(),
        grants: PermissionSet::default(),
    };
    let Some(tenant) = tenant else { return Ok(nowhere) };
    let scope = tx.in_tenant(tenant);
    let membership = scope
        .find::<memberships::Entity>()
        .filter(memberships::Column::UserId.eq(user.id))
        .one(tx)
        .await
        .map_err(failed)?;
    // Removed from the tenant since the token was issued: still this person, but nowhere.
    let Some(membership) = membership else { return Ok(nowhere) };
    let roles = view::words("memberships.roles", &membership.roles)?;
    let grants = role_permissions(scope, &roles).await.map_err(AuthenticationError::Fault)?;
    Ok(Standing { tenant: tenant_row(tx, tenant).await?, roles, grants, ..nowhere })
}

async fn standing_of_machine(
    tx: &SystemTx,
    id: ServiceAccountId,
    tenant: TenantId,
) -> Result<Standing, AuthenticationError> {
    let scope = tx.in_tenant(tenant);
    let account = scope
        .find::<service_accounts::Entity>()
        .filter(service_accounts::Column::Id.eq(id.uuid()))
        .one(tx)
        .await
        .map_err(failed)?
        .filter(|account| account.enabled)
        .ok_or(AuthenticationError::Revoked)?;
    let roles = view::words("service_accounts.roles", &account.roles)?;
    let grants = role_permissions(scope, &roles).await.map_err(AuthenticationError::Fault)?;
    Ok(Standing {
        actor: Actor::ServiceAccount(id),
        user: None,
        service_account: Some(id),
        tenant: tenant_row(tx, tenant).await?,
        roles,
        grants,
    })
}

/// What a list of roles allows together. A role that was deleted meanwhile allows nothing.
pub async fn role_permissions(scope: Scope<'_>, keys: &[String]) -> Result<PermissionSet, Fault> {
    let mut all = PermissionSet::default();
    let mut own = Vec::new();
    for key in keys {
        match (system_role(key), key.parse::<plinth_core::RoleId>()) {
            (Some(role), _) => all.extend(&role.permissions()),
            (None, Ok(id)) => own.push(id.uuid()),
            (None, Err(_)) => {}
        }
    }
    if own.is_empty() {
        return Ok(all);
    }
    let rows =
        scope.find::<roles::Entity>().filter(roles::Column::Id.is_in(own)).all(&scope).await.map_err(Error::from)?;
    for row in rows {
        all.extend(&view::words("roles.permissions", &row.permissions)?.iter().collect());
    }
    Ok(all)
}

/// What owners may still do in a tenant that waits for its erasure: look, take everything along, and call it off.
const UNTIL_ERASURE: &[&str] = &["*:read", "tenant:export", "tenant:erase"];

async fn principal(
    identity: &Identity,
    tx: &SystemTx,
    mut standing: Standing,
    act_in: Option<TenantId>,
    second_factor_settled: bool,
) -> Result<Principal, AuthenticationError> {
    let home = standing.tenant.as_ref().map(|tenant| TenantId::from_uuid(tenant.id));
    let operator = home == Some(SYSTEM_TENANT);
    let tenant = match act_in {
        Some(wanted) if Some(wanted) != home => {
            let visited = if operator { tenant_row(tx, wanted).await? } else { None };
            Some(visited.ok_or(AuthenticationError::NoSuchTenant)?)
        }
        _ => standing.tenant,
    };
    let mut must_enrol_mfa = false;
    let mut tenant_rate = None;
    if let Some(tenant) = &tenant {
        let state = view::tenant_state(&tenant.state)?;
        match state {
            TenantState::Active => {}
            // Nothing is left of it to act in, for operators neither.
            TenantState::Erased => return Err(AuthenticationError::NoSuchTenant),
            TenantState::Suspended | TenantState::PendingDeletion if operator => {}
            TenantState::PendingDeletion if standing.roles.iter().any(|role| role == OWNER) => {
                standing.grants = UNTIL_ERASURE.iter().collect();
            }
            TenantState::Suspended | TenantState::PendingDeletion => return Err(AuthenticationError::TenantSuspended),
        }
        let enrolled = standing.user.as_ref().is_none_or(|user| user.totp_confirmed_at.is_some());
        let asked = view::settings(tenant)?.require_mfa == Some(true);
        must_enrol_mfa = asked && !enrolled && !second_factor_settled && !operator;
        tenant_rate = view::limits(tenant)?.requests_per_minute;
    }
    let permissions = identity
        .vocabulary()
        .iter()
        .filter(|word| (operator || !word.operator) && standing.grants.allows(word.name))
        .map(|word| word.name.to_owned())
        .collect();
    let me = Me {
        user: standing.user.as_ref().map(view::user),
        tenant: tenant.as_ref().map(view::tenant).transpose()?,
        roles: standing.roles,
        permissions,
        api_key: None,
        service_account: standing.service_account,
        impersonator: None,
    };
    Ok(Principal {
        actor: standing.actor,
        tenant: tenant.map(|tenant| TenantId::from_uuid(tenant.id)),
        operator,
        session: None,
        key: None,
        impersonator: None,
        grants: standing.grants,
        scopes: None,
        must_enrol_mfa,
        tenant_rate,
        signing: None,
        expires_at: None,
        profile: Profile::new(me),
    })
}
