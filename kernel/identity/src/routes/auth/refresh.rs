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

#[cfg(test)]
mod tests {
    use crate::testing::apps;
    use serde_json::json;

    #[tokio::test]
    async fn a_second_use_ends_the_session_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let refresh = |token: &str| test.app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send();
            let pair = refresh(&owner.refresh_token).await.expect(200);
            let access = pair["access_token"].as_str().unwrap();
            test.app.get("/api/v1/me").token(access).send().await.expect(200);
            refresh(&owner.refresh_token).await.refused(401, "token_reused");
            refresh(pair["refresh_token"].as_str().unwrap()).await.refused(401, "token_revoked");
            test.app.get("/api/v1/me").token(access).send().await.refused(401, "token_revoked");
        }
    }

    #[tokio::test]
    async fn a_lost_reply_gets_the_same_pair_for_a_minute() {
        for test in apps().await {
            let owner = test.owner().await;
            let refresh = || {
                let request = test.app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": owner.refresh_token }));
                request.header("idempotency-key", "one").send()
            };
            let first = refresh().await.expect(200);
            assert_eq!(first, refresh().await.expect(200));
            test.advance(61).await;
            refresh().await.refused(401, "token_reused");
        }
    }

    #[tokio::test]
    async fn an_expired_access_token_says_so() {
        for test in apps().await {
            let owner = test.owner().await;
            test.advance(601).await;
            test.app.get("/api/v1/me").token(&owner.token).send().await.refused(401, "token_expired");
            test.app.get("/api/v1/me").token("garbage").send().await.refused(401, "token_invalid");
            test.app.get("/api/v1/me").send().await.refused(401, "authentication_needed");
        }
    }
}
