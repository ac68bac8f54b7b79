//! POST auth/refresh: a new pair for a refresh token, which is used up by it.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{Refresh, Tokens};
use plinth_gateway::{Body, Done, Endpoint, Json, Visitor, endpoint::post};

use crate::{
    Identity,
    routes::cookies,
    sessions::{RefreshError as Error, Refreshed, refresh},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/refresh", handler)
        .summary("Exchange a refresh token for a new pair")
        .description(
            "Each refresh token is used once. The same token under the same Idempotency-Key gives the same pair for a minute; \
             any other second use ends the session with `token_reused`. The body may be left out where the token is in a cookie.",
        )
        .own_idempotency()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    body: Option<Body<Refresh>>,
) -> Result<Done<Json<Tokens>>, Error> {
    let sent = body.and_then(|Body(request)| request.refresh_token);
    let token = sent.or_else(|| cookies::read(&identity, &headers)).ok_or(Error::Missing)?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let tx = visitor.change_system().await?;
    match refresh(&identity, &tx, &token, key).await? {
        Refreshed::Tokens(tokens) => {
            let refresh_token = tokens.refresh_token.clone();
            let done = visitor.commit_system(tx, Json(tokens)).await?;
            Ok(cookies::keep(&identity, done, &refresh_token))
        }
        Refreshed::Reused => {
            // The session ends for good; the answer is the refusal.
            tx.commit().await?;
            Err(Error::Reused)
        }
    }
}
