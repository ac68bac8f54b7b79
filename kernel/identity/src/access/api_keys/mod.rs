//! API keys: how programs call. A key acts as a person or as a service account, and its scopes are a ceiling on what they
//! may do: never more than its owner, whatever the scopes say.
//!
//! * Only a hash of the key is kept. Its text is shown once, and so is the secret that signed requests are made with.
//! * Nobody makes a key, or learns the text of one, that could do more than they can themselves. What a key makes stays
//!   under the ceiling of that key.
//! * A key of a person is renewed by that person only: whoever has the text acts as them.
//! * A revoked key stays in the list, since the log tells of it.

mod create;
mod rotate;
mod update;

use plinth_core::{
    Actor, Fault, FieldError, KeyId, NewEvent, PermissionSet, Principal, ServiceAccountId, Timestamp, UserId,
    api::keys::ApiKey,
};
use plinth_gateway::{Stale, refuses};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use ring::rand::SecureRandom;
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::json;

pub use create::create;
pub use rotate::rotate;
pub use update::update;

use super::roles;
use crate::{
    entities::api_keys::{Column, Entity, Model},
    sessions::{role_permissions, signing_context},
    tokens::{Secret, TokenKind},
    view,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such API key")]
    NotFound,
    #[error("the key was revoked; make a new one")]
    Revoked,
    #[error("the key has expired; give it a later expires_at first")]
    Expired,
    #[error("the tenant may have {0} API keys that work; revoke one that nobody needs")]
    LimitReached(u32),
    #[error("you cannot give what you do not have: the scopes go beyond your own permissions")]
    BeyondOwn,
    #[error("the key acts as another person, who alone may renew it; you may revoke it")]
    NotYours,
    #[error("you are a visitor in this tenant, so no key can act as you here; name a service_account")]
    NotAMember,
    #[error("a key would outlive the impersonation; the person must make or renew it themselves")]
    Impersonated,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the request has fields that cannot be accepted")]
    Invalid(Vec<FieldError>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotFound => NotFound "not_found",
    Self::Revoked => Conflict "key_revoked",
    Self::Expired => Conflict "key_expired",
    Self::LimitReached(_) => Conflict "limit_reached",
    Self::BeyondOwn => Forbidden "beyond_own_permissions",
    Self::NotYours => Forbidden "not_your_key",
    Self::NotAMember => Forbidden "not_a_member",
    Self::Impersonated => Forbidden "not_while_impersonating",
    Self::Stale(_) => PreconditionFailed "stale",
} with fields);

impl Error {
    pub fn invalid_filter(name: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(name, "invalid_value", message)])
    }
}

pub fn show(row: &Model) -> Result<ApiKey, Fault> {
    Ok(ApiKey {
        id: KeyId::from_uuid(row.id),
        name: row.name.clone(),
        prefix: row.prefix.clone(),
        scopes: view::words("api_keys.scopes", &row.scopes)?,
        user: row.user_id.map(UserId::from_uuid),
        service_account: row.service_account.map(ServiceAccountId::from_uuid),
        signed_requests: row.signing_secret.is_some(),
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: row.expires_at.map(Timestamp::from_millis),
        last_used_at: row.last_used_at.map(Timestamp::from_millis),
        revoked_at: row.revoked_at.map(Timestamp::from_millis),
        previous_valid_until: row.previous_expires_at.map(Timestamp::from_millis),
    })
}

/// Whether a key works, in words of the filter `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Revoked,
    Expired,
}

impl Status {
    pub fn parse(text: &str) -> Option<Self> {
        [("active", Self::Active), ("revoked", Self::Revoked), ("expired", Self::Expired)]
            .into_iter()
            .find_map(|(word, status)| (word == text).then_some(status))
    }

    pub fn condition(self, now: Timestamp) -> Condition {
        let valid = Condition::all().add(Column::RevokedAt.is_null());
        match self {
            Self::Revoked => Condition::all().add(Column::RevokedAt.is_not_null()),
            Self::Expired => valid.add(Column::ExpiresAt.lte(now.millis())),
            Self::Active => {
                valid.add(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now.millis())))
            }
        }
    }
}

pub async fn find(scope: Scope<'_>, id: KeyId) -> Result<Model, Error> {
    let row = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).one(&scope).await;
    row.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

/// The key, to be changed. Others who would change it wait until this transaction ends.
pub async fn changeable(scope: Scope<'_>, id: KeyId) -> Result<Model, Error> {
    let row = scope.find::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive().one(&scope).await;
    row.map_err(StoreError::from)?.ok_or(Error::NotFound)
}

/// Ends a key now, on every node. A second time changes nothing.
pub async fn revoke(scope: Scope<'_>, row: &Model) -> Result<(), Error> {
    if row.revoked_at.is_some() {
        return Ok(());
    }
    scope
        .update::<Entity>()
        .col_expr(Column::RevokedAt, Expr::value(Some(scope.now().millis())))
        .filter(Column::Id.eq(row.id))
        .exec(&scope)
        .await
        .map_err(StoreError::from)?;
    let id = KeyId::from_uuid(row.id);
    scope.emit(NewEvent::new("api_key.revoked", subject(id), &json!({ "api_key": id })));
    scope.invalidate(Invalidation::Key(id));
    Ok(())
}

/// Ends every key that acts as somebody: they leave the tenant, or are no more.
pub async fn revoke_all_of(scope: Scope<'_>, owner: Actor) -> Result<(), Fault> {
    let theirs = match owner {
        Actor::User(user) => Column::UserId.eq(user.uuid()),
        Actor::ServiceAccount(account) => Column::ServiceAccount.eq(account.uuid()),
        Actor::System | Actor::Anonymous => return Ok(()),
    };
    let keys =
        scope.find::<Entity>().filter(theirs).filter(Column::RevokedAt.is_null()).lock_exclusive().all(&scope).await;
    for row in keys.map_err(StoreError::from)? {
        revoke(scope, &row).await.map_err(|error| match error {
            Error::Fault(fault) => fault,
            other => Fault::internal("a key could not be revoked").because(other),
        })?;
    }
    Ok(())
}

/// Refuses when one more key would be more than the tenant may have at work.
async fn take_place(scope: Scope<'_>) -> Result<(), Error> {
    let Some(most) = roles::locked_limits(scope).await?.api_keys else { return Ok(()) };
    let working = scope.find::<Entity>().filter(Status::Active.condition(scope.now())).count(&scope).await;
    if working.map_err(StoreError::from)? >= u64::from(most) { Err(Error::LimitReached(most)) } else { Ok(()) }
}

/// Who a key acts as.
fn owner_of(row: &Model) -> Option<Actor> {
    match (row.user_id, row.service_account) {
        (Some(user), _) => Some(Actor::User(UserId::from_uuid(user))),
        (None, Some(account)) => Some(Actor::ServiceAccount(ServiceAccountId::from_uuid(account))),
        (None, None) => None,
    }
}

/// Refuses scopes that would let the caller do, through a key that acts as `owner`, what they may not do themselves.
async fn check_reach(
    scope: Scope<'_>,
    principal: &Principal,
    owner: Actor,
    scopes: &PermissionSet,
) -> Result<(), Error> {
    if principal.may_give(scopes) {
        return Ok(());
    }
    // `*` is all that the owner may. For oneself that is no more than one has already; for a machine, what its roles allow.
    let under_ceiling = principal.scopes.as_ref().is_none_or(|ceiling| ceiling.includes(scopes));
    if !under_ceiling || *scopes != PermissionSet::all() {
        return Err(Error::BeyondOwn);
    }
    let allowed = match owner {
        owner if owner == principal.actor => true,
        Actor::ServiceAccount(id) => {
            let account = super::service_accounts::find(scope, id).await.map_err(|_| Error::BeyondOwn)?;
            let roles = view::words("service_accounts.roles", &account.roles)?;
            principal.may_give(&role_permissions(scope, &roles).await?)
        }
        _ => false,
    };
    if allowed { Ok(()) } else { Err(Error::BeyondOwn) }
}

/// A new text for a key.
fn new_secret(random: &dyn SecureRandom) -> Result<Secret, Fault> {
    Secret::generate(TokenKind::ApiKey, random)
        .map_err(|error| Fault::internal("a key could not be made").because(error))
}

/// The part of a key's text that lists show.
fn prefix(secret: &Secret) -> String {
    format!("{}{}", secret.kind().prefix(), secret.public_id())
}

/// A secret for signatures and its sealed form. The text as it stands is what requests are signed with.
async fn new_signing_secret(scope: Scope<'_>, key: KeyId) -> Result<(String, Vec<u8>), Fault> {
    let mut bytes = [0; 32];
    scope.store().world().fill(&mut bytes);
    let text = format!("pls_{}", data_encoding::HEXLOWER.encode(&bytes));
    let sealed = scope.store().vault().seal(&scope, &signing_context(key), text.as_bytes()).await?;
    Ok((text, sealed))
}

fn subject(id: KeyId) -> String {
    format!("api_key/{id}")
}
