//! Refresh: each token is used once. A second use means that somebody else has it, so the whole session ends, with one
//! exception: the same token under the same Idempotency-Key within a minute is a lost reply, and gets the same pair.

use plinth_core::{Fault, NewEvent, SYSTEM_TENANT, SessionId, TenantId, UserId, api::auth::Tokens};
use plinth_gateway::refuses;
use plinth_store::{Error as StoreError, Invalidation, SystemTx};
use ring::digest;
use sea_orm::{ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::open::issue;
use crate::{
    Identity,
    entities::{refresh_tokens, sessions},
    tokens::Secret,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the refresh token is not known or has ended; sign in again")]
    Invalid,
    #[error("the refresh token was used before, so the session was ended; sign in again")]
    Reused,
    #[error("the session was revoked; sign in again")]
    Revoked,
    #[error("send refresh_token in the body, or the cookie that sign-in has set")]
    Missing,
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::Invalid => Unauthenticated "refresh_invalid",
    Self::Reused => Unauthenticated "token_reused",
    Self::Revoked => Unauthenticated "token_revoked",
    Self::Missing => Unauthenticated "refresh_missing",
});

/// What a refresh comes to. A reuse changes something too: it must be committed.
pub enum Refreshed {
    Tokens(Tokens),
    Reused,
}

pub async fn refresh(
    identity: &Identity,
    tx: &SystemTx,
    token: &str,
    idempotency_key: Option<&str>,
) -> Result<Refreshed, Error> {
    let hash = Secret::parse(token).map_err(|_| Error::Invalid)?.hash();
    let row = tx
        .find::<refresh_tokens::Entity>()
        .filter(refresh_tokens::Column::Hash.eq(hash.as_bytes().to_vec()))
        .one(tx)
        .await
        .map_err(StoreError::from)?
        .ok_or(Error::Invalid)?;
    let session = tx
        .find::<sessions::Entity>()
        .filter(sessions::Column::Id.eq(row.session))
        .one(tx)
        .await
        .map_err(StoreError::from)?
        .ok_or(Error::Invalid)?;
    let now = tx.now();
    let id = SessionId::from_uuid(session.id);
    let (user, tenant) = (UserId::from_uuid(session.user_id), session.tenant.map(TenantId::from_uuid));
    if session.revoked_at.is_some() {
        return Err(if row.used_at.is_some() { Error::Reused } else { Error::Revoked });
    }
    if row.expires_at <= now.millis() || session.expires_at <= now.millis() {
        return Err(Error::Invalid);
    }
    let key_hash = idempotency_key.map(|key| digest::digest(&digest::SHA256, key.as_bytes()).as_ref().to_vec());
    if let Some(used_at) = row.used_at {
        let in_time = now.millis() - used_at <= identity.config().refresh_grace.as_millis() as i64;
        if in_time
            && key_hash.is_some()
            && row.used_key == key_hash
            && let Some(answer) = &row.answer
        {
            let plain = identity.store().vault().open(tx, &context(&row.hash), answer).await?;
            let tokens = serde_json::from_slice(&plain)
                .map_err(|error| Fault::internal("a kept answer is unreadable").because(error))?;
            return Ok(Refreshed::Tokens(tokens));
        }
        revoke(tx, &session, "a refresh token was used twice").await?;
        return Ok(Refreshed::Reused);
    }
    let tokens = issue(identity, tx, id, user, tenant).await?;
    let answer =
        serde_json::to_vec(&tokens).map_err(|error| Fault::internal("tokens cannot be written").because(error))?;
    let answer = identity.store().vault().seal(tx, &context(&row.hash), &answer).await?;
    let used = tx
        .update::<refresh_tokens::Entity>()
        .set(refresh_tokens::ActiveModel {
            used_at: Set(Some(now.millis())),
            used_key: Set(key_hash),
            answer: Set(Some(answer)),
            ..Default::default()
        })
        .filter(refresh_tokens::Column::Hash.eq(row.hash))
        .filter(refresh_tokens::Column::UsedAt.is_null())
        .exec(tx)
        .await
        .map_err(StoreError::from)?;
    if used.rows_affected == 0 {
        // Two refreshes at the same moment: the other one has won, and the caller repeats with the same key for its answer.
        return Err(Fault::unavailable("two refreshes with one token at the same moment").into());
    }
    touch(identity, tx, &session).await?;
    Ok(Refreshed::Tokens(tokens))
}

async fn touch(identity: &Identity, tx: &SystemTx, session: &sessions::Model) -> Result<(), StoreError> {
    let now = tx.now();
    tx.update::<sessions::Entity>()
        .col_expr(sessions::Column::LastSeenAt, Expr::value(now.millis()))
        .col_expr(sessions::Column::ExpiresAt, Expr::value((now + identity.config().session_idle).millis()))
        .filter(sessions::Column::Id.eq(session.id))
        .exec(tx)
        .await?;
    Ok(())
}

fn context(hash: &[u8]) -> String {
    format!("refresh_tokens.answer {}", data_encoding::HEXLOWER.encode(hash))
}

/// Ends a session now, on every node.
pub async fn revoke(tx: &SystemTx, session: &sessions::Model, why: &str) -> Result<(), StoreError> {
    let id = SessionId::from_uuid(session.id);
    tx.update::<sessions::Entity>()
        .col_expr(sessions::Column::RevokedAt, Expr::value(Some(tx.now().millis())))
        .col_expr(sessions::Column::RevokedWhy, Expr::value(Some(why.to_owned())))
        .filter(sessions::Column::Id.eq(session.id))
        .filter(sessions::Column::RevokedAt.is_null())
        .exec(tx)
        .await?;
    let user = UserId::from_uuid(session.user_id);
    tx.in_tenant(session.tenant.map_or(SYSTEM_TENANT, TenantId::from_uuid)).emit(NewEvent::new(
        "session.revoked",
        format!("session/{id}"),
        &json!({ "user": user, "session": id, "why": why }),
    ));
    tx.invalidate(Invalidation::Session(id));
    Ok(())
}
