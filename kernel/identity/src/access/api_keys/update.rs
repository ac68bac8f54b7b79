//! Another name, other scopes or another end for a key.

use plinth_core::{
    KeyId, NewEvent, Principal, Timestamp,
    api::{
        Patch,
        keys::{ApiKey, UpdateApiKey},
    },
};
use plinth_store::{Error as StoreError, Invalidation, Scope};
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::json;

use super::{Error, check_reach, owner_of, show, subject, take_place};
use crate::{
    Identity,
    access::roles::check_patterns,
    entities::api_keys::{ActiveModel, Column, Entity, Model},
    fields::Checks,
    view,
};

pub async fn update(
    identity: &Identity,
    scope: Scope<'_>,
    principal: &Principal,
    mut row: Model,
    request: UpdateApiKey,
) -> Result<ApiKey, Error> {
    if row.revoked_at.is_some() {
        return Err(Error::Revoked);
    }
    let before = row.clone();
    let now = scope.now();
    let mut checks = Checks::default();
    match &request.name {
        Patch::Absent => {}
        Patch::Null => drop(checks.refuse("/name", "required", "a key has a name")),
        Patch::Value(name) => drop(checks.name("/name", name)),
    }
    let scopes = match &request.scopes {
        Patch::Absent => None,
        Patch::Null => {
            checks.refuse("/scopes", "required", "a key has at least one scope");
            None
        }
        Patch::Value(scopes) => {
            Some(check_patterns(&mut checks, "/scopes", scopes, identity.vocabulary(), scope.tenant()))
        }
    };
    if let Patch::Value(end) = request.expires_at
        && end <= now
    {
        checks.refuse("/expires_at", "in_the_past", "a time to come, or null for a key that does not expire");
    }
    checks.done().map_err(Error::Invalid)?;
    if let Some(scopes) = scopes {
        let owner = owner_of(&row).ok_or(Error::Revoked)?;
        check_reach(scope, principal, owner, &scopes).await?;
        row.scopes = view::write_json(&scopes.patterns().collect::<Vec<_>>())?;
    }
    if let Patch::Value(name) = request.name {
        name.trim().clone_into(&mut row.name);
    }
    let had_ended = row.expires_at.is_some_and(|end| end <= now.millis());
    let mut end = row.expires_at.map(Timestamp::from_millis);
    if request.expires_at.apply(&mut end) && had_ended {
        // It works again, so it counts again.
        take_place(scope).await?;
    }
    row.expires_at = end.map(Timestamp::millis);
    if row != before {
        save(scope, &row).await?;
    }
    Ok(show(&row)?)
}

async fn save(scope: Scope<'_>, row: &Model) -> Result<(), Error> {
    let change = ActiveModel {
        name: Set(row.name.clone()),
        scopes: Set(row.scopes.clone()),
        expires_at: Set(row.expires_at),
        ..Default::default()
    };
    let saved = scope.update::<Entity>().set(change).filter(Column::Id.eq(row.id)).exec(&scope).await;
    saved.map_err(StoreError::from)?;
    let id = KeyId::from_uuid(row.id);
    let told = json!({
        "api_key": id,
        "scopes": view::words("api_keys.scopes", &row.scopes)?,
        "expires_at": row.expires_at.map(Timestamp::from_millis),
    });
    scope.emit(NewEvent::new("api_key.updated", subject(id), &told));
    scope.invalidate(Invalidation::Key(id));
    Ok(())
}
