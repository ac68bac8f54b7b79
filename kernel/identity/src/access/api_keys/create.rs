//! A new key.

use plinth_core::{
    Actor, FieldError, KeyId, NewEvent, Principal, ServiceAccountId,
    api::keys::{ApiKeyCreated, CreateApiKey},
};
use plinth_store::{Error as StoreError, Scope};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use super::{Error, check_reach, new_secret, new_signing_secret, prefix, show, subject, take_place};
use crate::{
    Identity,
    access::{roles::check_patterns, service_accounts},
    entities::{api_keys::Model, memberships},
    fields::Checks,
    view,
};

pub async fn create(
    identity: &Identity,
    scope: Scope<'_>,
    principal: &Principal,
    request: CreateApiKey,
) -> Result<ApiKeyCreated, Error> {
    if principal.impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    let mut checks = Checks::default();
    checks.name("/name", &request.name);
    let scopes = check_patterns(&mut checks, "/scopes", &request.scopes, identity.vocabulary(), scope.tenant());
    if request.expires_at.is_some_and(|end| end <= scope.now()) {
        checks.refuse("/expires_at", "in_the_past", "a time to come");
    }
    checks.done().map_err(Error::Invalid)?;
    let owner = owner(scope, principal, request.service_account).await?;
    check_reach(scope, principal, owner, &scopes).await?;
    take_place(scope).await?;
    let id: KeyId = scope.mint();
    let secret = new_secret(identity.world().random())?;
    let (signing_secret, sealed) =
        if request.signed_requests { Some(new_signing_secret(scope, id).await?).unzip() } else { (None, None) };
    let (user_id, service_account) = match owner {
        Actor::User(user) => (Some(user.uuid()), None),
        Actor::ServiceAccount(account) => (None, Some(account.uuid())),
        Actor::System | Actor::Anonymous => return Err(Error::NotAMember),
    };
    let row = Model {
        id: id.uuid(),
        tenant: scope.tenant().uuid(),
        user_id,
        service_account,
        name: request.name.trim().to_owned(),
        prefix: prefix(&secret),
        hash: secret.hash().as_bytes().to_vec(),
        previous_hash: None,
        previous_expires_at: None,
        scopes: view::write_json(&scopes.patterns().collect::<Vec<_>>())?,
        signing_secret: sealed,
        created_at: scope.now().millis(),
        expires_at: request.expires_at.map(plinth_core::Timestamp::millis),
        last_used_at: None,
        revoked_at: None,
    };
    scope.insert(row.clone()).await?;
    let told = json!({ "api_key": id, "owner": owner.to_string(), "scopes": scopes.patterns().collect::<Vec<_>>() });
    scope.emit(NewEvent::new("api_key.created", subject(id), &told));
    Ok(ApiKeyCreated { api_key: show(&row)?, key: secret.expose().to_owned(), signing_secret })
}

/// The service account that was named, or the caller, who must be at home here.
async fn owner(scope: Scope<'_>, principal: &Principal, named: Option<ServiceAccountId>) -> Result<Actor, Error> {
    if let Some(id) = named {
        return match service_accounts::find(scope, id).await {
            Ok(_) => Ok(Actor::ServiceAccount(id)),
            Err(service_accounts::Error::Fault(fault)) => Err(fault.into()),
            Err(_) => Err(Error::Invalid(vec![FieldError::new(
                "/service_account",
                "unknown_service_account",
                "the id of a service account of this tenant; GET /api/v1/service-accounts lists them",
            )])),
        };
    }
    let at_home = match principal.actor {
        Actor::User(user) => {
            let mine = scope.find::<memberships::Entity>().filter(memberships::Column::UserId.eq(user.uuid()));
            mine.count(&scope).await.map_err(StoreError::from)? > 0
        }
        Actor::ServiceAccount(id) => match service_accounts::find(scope, id).await {
            Ok(_) => true,
            Err(service_accounts::Error::Fault(fault)) => return Err(fault.into()),
            Err(_) => false,
        },
        Actor::System | Actor::Anonymous => false,
    };
    if at_home { Ok(principal.actor) } else { Err(Error::NotAMember) }
}
