//! Fills the edge's port: who is behind a token.

use std::sync::Arc;

use async_trait::async_trait;
use plinth_core::{
    Cause, KeyId, NewEvent, Principal, SessionId, Timestamp,
    ports::{Authenticate, AuthenticationError, Credential},
};
use plinth_store::Error;
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{cache::CacheKey, resolve};
use crate::{
    Identity,
    entities::api_keys,
    jwt::TokenError,
    tokens::{Secret, TokenHash, TokenKind},
};

/// How old `last_used_at` of a key may get before it is written again.
const LAST_USED_STEP_MS: i64 = 60_000;

#[async_trait]
impl Authenticate for Identity {
    fn cached(&self, credential: Credential<'_>) -> Option<Arc<Principal>> {
        self.principals().get(CacheKey::new(credential.token, credential.act_in), self.world().now())
    }

    async fn authenticate(&self, credential: Credential<'_>) -> Result<Arc<Principal>, AuthenticationError> {
        let seen = self.principals().mark();
        let principal = if credential.token.starts_with(TokenKind::ApiKey.prefix()) {
            self.by_key(credential).await?
        } else {
            self.by_token(credential).await?
        };
        let principal = Arc::new(principal);
        if credential.act_in.is_some() && principal.is_visiting() {
            self.tell_of_visit(&principal).await?;
        }
        let key = CacheKey::new(credential.token, credential.act_in);
        self.principals().put(key, principal.clone(), seen, self.world().now());
        Ok(principal)
    }
}

impl Identity {
    async fn by_token(&self, credential: Credential<'_>) -> Result<Principal, AuthenticationError> {
        let claims =
            self.signing().verify(credential.token, self.world().now().seconds()).map_err(|error| match error {
                TokenError::Expired => AuthenticationError::Expired,
                _ => AuthenticationError::Invalid,
            })?;
        let session: SessionId =
            claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or(AuthenticationError::Invalid)?;
        let tx = self.store().read_system(Cause::system("authentication")).await.map_err(fault)?;
        let tenant = claims.tid.as_deref().and_then(|tid| tid.parse().ok());
        let mut principal = resolve::session(self, &tx, session, tenant, credential.act_in).await?;
        principal.expires_at = Some(Timestamp::from_millis(claims.exp * 1000));
        Ok(principal)
    }

    async fn by_key(&self, credential: Credential<'_>) -> Result<Principal, AuthenticationError> {
        let presented = Secret::parse(credential.token).map_err(|_| AuthenticationError::Invalid)?;
        let hash: TokenHash = presented.hash();
        let tx = self.store().read_system(Cause::system("authentication")).await.map_err(fault)?;
        let (principal, row) = resolve::key(self, &tx, hash, credential.act_in).await?;
        drop(tx);
        let now = self.world().now().millis();
        if row.last_used_at.is_none_or(|last| now - last > LAST_USED_STEP_MS) {
            let identity = self.clone();
            tokio::spawn(async move {
                if let Err(error) = identity.note_use(KeyId::from_uuid(row.id), now).await {
                    tracing::warn!(%error, "the last use of an API key could not be noted");
                }
            });
        }
        Ok(principal)
    }

    async fn note_use(&self, key: KeyId, now: i64) -> Result<(), Error> {
        let tx = self.store().change_system(Cause::system("authentication")).await?;
        tx.update::<api_keys::Entity>()
            .col_expr(api_keys::Column::LastUsedAt, Expr::value(Some(now)))
            .filter(api_keys::Column::Id.eq(key.uuid()))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A tenant can see in its own log when somebody of the platform looked at it.
    async fn tell_of_visit(&self, principal: &Principal) -> Result<(), AuthenticationError> {
        let Some(tenant) = principal.tenant else { return Ok(()) };
        let cause = Cause { actor: principal.actor, ..Cause::system("authentication") };
        let visit = NewEvent::new(
            "tenant.visited",
            format!("tenant/{tenant}"),
            &json!({ "operator": principal.actor.to_string() }),
        );
        self.store().append(tenant, &cause, vec![visit]).await.map_err(fault)?;
        Ok(())
    }
}

fn fault(error: Error) -> AuthenticationError {
    AuthenticationError::Fault(error.into())
}
