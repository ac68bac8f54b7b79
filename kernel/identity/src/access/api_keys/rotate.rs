//! A new text for a key. The one before works on for a while, so that programs can be told of the new one without a gap;
//! the one before that ends at once.
//!
//! A signing secret belongs to the key and not to one of its texts: during an overlap both texts are used with the same
//! secret, and only a rotation that leaves no overlap renews it as well.

use std::time::Duration;

use plinth_core::{
    Actor, KeyId, NewEvent, PermissionSet, Principal,
    api::keys::{ApiKeyCreated, RotateApiKey},
};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::json;

use super::{Error, check_reach, new_secret, new_signing_secret, owner_of, prefix, show, subject};
use crate::{
    entities::api_keys::{ActiveModel, Column, Entity, Model},
    fields::Checks,
    view,
};

const OVERLAP_SECONDS: u32 = 86_400;
const LONGEST_OVERLAP_SECONDS: u32 = 604_800;

pub async fn rotate(
    scope: Scope<'_>,
    principal: &Principal,
    mut row: Model,
    request: &RotateApiKey,
) -> Result<ApiKeyCreated, Error> {
    let overlap = request.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    let mut checks = Checks::default();
    if overlap > LONGEST_OVERLAP_SECONDS {
        checks.refuse("/overlap_seconds", "invalid_value", format!("0 to {LONGEST_OVERLAP_SECONDS}"));
    }
    checks.done().map_err(Error::Invalid)?;
    check_allowed(scope, principal, &row).await?;
    let id = KeyId::from_uuid(row.id);
    let secret = new_secret(scope.store().world().random())?;
    let old_hash = std::mem::replace(&mut row.hash, secret.hash().as_bytes().to_vec());
    row.prefix = prefix(&secret);
    let mut signing_secret = None;
    if overlap == 0 {
        (row.previous_hash, row.previous_expires_at) = (None, None);
        if row.signing_secret.is_some() {
            (signing_secret, row.signing_secret) = Some(new_signing_secret(scope, id).await?).unzip();
        }
    } else {
        let end = scope.now() + Duration::from_secs(overlap.into());
        (row.previous_hash, row.previous_expires_at) = (Some(old_hash), Some(end.millis()));
    }
    let change = ActiveModel {
        prefix: Set(row.prefix.clone()),
        hash: Set(row.hash.clone()),
        previous_hash: Set(row.previous_hash.clone()),
        previous_expires_at: Set(row.previous_expires_at),
        signing_secret: Set(row.signing_secret.clone()),
        ..Default::default()
    };
    let saved = scope.update::<Entity>().set(change).filter(Column::Id.eq(row.id)).exec(&scope).await;
    saved.map_err(StoreError::from)?;
    let told = json!({ "api_key": id, "overlap_seconds": overlap });
    scope.emit(NewEvent::new("api_key.rotated", subject(id), &told));
    // What is remembered of the old text knows nothing of its new end.
    scope.invalidate(Invalidation::Key(id));
    Ok(ApiKeyCreated { api_key: show(&row)?, key: secret.expose().to_owned(), signing_secret })
}

/// Whoever rotates a key learns a text that acts as its owner.
async fn check_allowed(scope: Scope<'_>, principal: &Principal, row: &Model) -> Result<(), Error> {
    if principal.impersonator.is_some() {
        return Err(Error::Impersonated);
    }
    if row.revoked_at.is_some() {
        return Err(Error::Revoked);
    }
    if row.expires_at.is_some_and(|end| end <= scope.now().millis()) {
        return Err(Error::Expired);
    }
    let scopes: PermissionSet = view::words("api_keys.scopes", &row.scopes)?.iter().collect();
    match owner_of(row).ok_or(Error::Revoked)? {
        // A key of one's own can do no more than oneself, whatever its scopes; a calling key must not outgrow its own.
        owner if owner == principal.actor => {
            let under_ceiling = principal.scopes.as_ref().is_none_or(|ceiling| ceiling.includes(&scopes));
            if under_ceiling { Ok(()) } else { Err(Error::BeyondOwn) }
        }
        Actor::ServiceAccount(id) => check_reach(scope, principal, Actor::ServiceAccount(id), &scopes).await,
        _ => Err(Error::NotYours),
    }
}
