//! POST auth/login: an address and a password for a session.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{Login, SignedIn};
use plinth_gateway::{Body, Done, Endpoint, Json, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::login::{self, Error, Outcome},
    routes::cookies,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/login", handler)
        .summary("Sign in with a password")
        .description(
            "Says `invalid_credentials` for a wrong password, a locked account and no account alike. \
             `mfa_required` asks for the same request with `totp`.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<Login>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let attempt = login::attempt(&identity, visitor.read_system().await?, request).await?;
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    match login::login(&identity, &tx, attempt, device).await? {
        Outcome::SignedIn(signed_in) => {
            let refresh_token = signed_in.tokens.refresh_token.clone();
            let done = visitor.commit_system(tx, Json(signed_in)).await?;
            Ok(cookies::keep(&identity, done, &refresh_token))
        }
        Outcome::Refused(error) => {
            // The failed attempt is counted; the answer is the refusal.
            tx.commit().await?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{PASSWORD, apps};
    use serde_json::json;

    #[tokio::test]
    async fn the_right_password_signs_in_and_all_else_is_answered_alike() {
        for test in apps().await {
            let owner = test.owner().await;
            let login = |email: &str, password: &str| {
                test.app.post("/api/v1/auth/login").json(&json!({ "email": email, "password": password })).send()
            };
            let signed_in = login(&owner.email, PASSWORD).await.expect(200);
            assert_eq!(signed_in["tenant"]["id"], owner.tenant);
            let wrong = login(&owner.email, "wrong password").await.refused(401, "invalid_credentials");
            let unknown = login("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
            assert_eq!(wrong["detail"], unknown["detail"]);
        }
    }

    #[tokio::test]
    async fn too_many_failures_lock_the_account_for_a_while() {
        for test in apps().await {
            let owner = test.owner().await;
            let login = |password: &str| {
                test.app.post("/api/v1/auth/login").json(&json!({ "email": owner.email, "password": password })).send()
            };
            for _ in 0..10 {
                login("wrong password").await.refused(401, "invalid_credentials");
            }
            login(PASSWORD).await.refused(401, "invalid_credentials");
            assert_eq!(test.mail_to(&owner.email).await.0, "account_locked");
            test.advance(16 * 60).await;
            login(PASSWORD).await.expect(200);
        }
    }
}
