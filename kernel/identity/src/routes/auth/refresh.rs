//! POST auth/refresh: a new pair for a refresh token, which is used up by it.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use plinth_core::{
    Fault, Kind, Problem,
    api::auth::{Refresh, Tokens},
};
use plinth_gateway::{Body, Done, Endpoint, Json, Refuses, Visitor, endpoint::post};

use crate::{
    Identity,
    routes::cookies::{self, ForeignOrigin},
    sessions::{RefreshError, Refreshed, refresh},
};

/// What a refresh can be refused for, and what a cookie can be besides.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Foreign(#[from] ForeignOrigin),
}

impl Problem for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Refresh(error) => error.kind(),
            Self::Foreign(ForeignOrigin) => Kind::Forbidden,
        }
    }

    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Refresh(error) => error.code(),
            Self::Foreign(ForeignOrigin) => "foreign_origin".into(),
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        if let Self::Refresh(error) = self { error.retry_after_seconds() } else { None }
    }
}

impl Refuses for Error {
    const CASES: &'static [(Kind, &'static str)] = &{
        const SHARED: usize = RefreshError::CASES.len();
        let mut cases = [(Kind::Forbidden, "foreign_origin"); SHARED + 1];
        let mut index = 0;
        while index < SHARED {
            cases[index] = RefreshError::CASES[index];
            index += 1;
        }
        cases
    };
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        plinth_gateway::refuse(&self)
    }
}

impl From<plinth_store::Error> for Error {
    fn from(error: plinth_store::Error) -> Self {
        Self::Refresh(error.into())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Refresh(fault.into())
    }
}

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/refresh", handler)
        .summary("Exchange a refresh token for a new pair")
        .description(
            "Each refresh token is used once. The same token under the same Idempotency-Key gives the same pair for a minute; \
             any other second use ends the session with `token_reused`. The body may be left out where the token is in a cookie; \
             the cookie counts only for pages of the platform's own origin.",
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
    let token = match sent {
        Some(token) => token,
        None => cookies::read(&identity, &headers)?.ok_or(RefreshError::Missing)?,
    };
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
            Err(RefreshError::Reused.into())
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
            let refresh =
                |token: &str| test.app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send();
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
                let request =
                    test.app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": owner.refresh_token }));
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
