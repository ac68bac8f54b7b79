//! POST auth/magic-link/redeem: the token of the mail for a session.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{RedeemMagicLink, SignedIn};
use plinth_gateway::{Body, Done, Endpoint, Json, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::magic_link::{self, Error, Outcome},
    routes::cookies,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/magic-link/redeem", handler)
        .summary("Sign in with the token of a mail")
        .description(
            "Confirms the address as well. `mfa_required` asks for the same request with `totp`; it does not use up the \
             token, and neither does a wrong code.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<RedeemMagicLink>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    match magic_link::redeem(&identity, &tx, request, device).await? {
        Outcome::SignedIn(signed_in) => {
            let refresh_token = signed_in.tokens.refresh_token.clone();
            let done = visitor.commit_system(tx, Json(*signed_in)).await?;
            Ok(cookies::keep(&identity, done, &refresh_token))
        }
        Outcome::WrongCode => {
            // The failed attempt is counted; the answer is the refusal.
            tx.commit().await?;
            Err(Error::WrongCode)
        }
    }
}

#[cfg(test)]
mod tests {
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    use crate::{
        routes::mfa::testing::{code, enrol},
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    async fn link(test: &TestApp, owner: &Actor) -> String {
        test.app.post("/api/v1/auth/magic-link").json(&json!({ "email": owner.email })).send().await.expect(202);
        test.mail_to(&owner.email).await.1
    }

    async fn redeem(test: &TestApp, request: &Value) -> Reply {
        test.app.post("/api/v1/auth/magic-link/redeem").json(request).send().await
    }

    #[tokio::test]
    async fn it_signs_in_once_and_confirms_the_address() {
        for test in apps().await {
            let owner = test.owner().await;
            let token = link(&test, &owner).await;
            let signed_in = redeem(&test, &json!({ "token": token })).await.expect(200);
            assert_eq!(signed_in["user"]["id"], owner.user);
            assert_eq!(signed_in["user"]["email_verified"], true);
            assert_eq!(signed_in["tenant"]["id"], owner.tenant);
            let access = signed_in["access_token"].as_str().unwrap();
            let sessions = test.app.get("/api/v1/auth/sessions").token(access).send().await.expect(200);
            let mine = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
            assert_eq!(mine["methods"], json!(["magic_link"]));
            redeem(&test, &json!({ "token": token })).await.refused(401, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn an_old_token_and_one_for_something_else_sign_nobody_in() {
        for test in apps().await {
            let owner = test.owner().await;
            let (_, verification) = test.mail_to(&owner.email).await;
            redeem(&test, &json!({ "token": verification })).await.refused(401, "one_time_token_invalid");
            let earlier = link(&test, &owner).await;
            let token = link(&test, &owner).await;
            redeem(&test, &json!({ "token": earlier })).await.refused(401, "one_time_token_invalid");
            test.advance(15 * 60 + 1).await;
            redeem(&test, &json!({ "token": token })).await.refused(401, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn the_second_factor_is_asked_for_without_using_up_the_token() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            test.advance(60).await;
            let token = link(&test, &owner).await;
            redeem(&test, &json!({ "token": token })).await.refused(401, "mfa_required");
            redeem(&test, &json!({ "token": token, "totp": "000000x" })).await.refused(401, "invalid_credentials");
            let right = json!({ "token": token, "totp": code(&test, &app.secret) });
            redeem(&test, &right).await.expect(200);
            redeem(&test, &right).await.refused(401, "one_time_token_invalid");
            let replayed = json!({ "token": link(&test, &owner).await, "totp": right["totp"] });
            redeem(&test, &replayed).await.refused(401, "invalid_credentials");
        }
    }

    #[tokio::test]
    async fn wrong_codes_lock_the_account() {
        for test in apps().await {
            let owner = test.owner().await;
            let app = enrol(&test, &owner).await;
            test.advance(60).await;
            let token = link(&test, &owner).await;
            for _ in 0..10 {
                redeem(&test, &json!({ "token": token, "totp": "wrong" })).await.refused(401, "invalid_credentials");
            }
            assert_eq!(test.mail_to(&owner.email).await.0, "account_locked");
            let right = json!({ "token": token, "totp": code(&test, &app.secret) });
            redeem(&test, &right).await.refused(401, "invalid_credentials");
            let login = json!({ "email": owner.email, "password": PASSWORD, "totp": code(&test, &app.secret) });
            test.app.post("/api/v1/auth/login").json(&login).send().await.refused(401, "invalid_credentials");
        }
    }

    #[tokio::test]
    async fn the_tenant_can_be_chosen() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let slug = |actor: &Actor| {
                let me = test.app.get("/api/v1/me").token(&actor.token).send();
                async { me.await.expect(200)["tenant"]["slug"].clone() }
            };
            let token = link(&test, &owner).await;
            let elsewhere = json!({ "token": token, "tenant": slug(&stranger).await });
            redeem(&test, &elsewhere).await.refused(403, "no_such_tenant");
            let home = json!({ "token": token, "tenant": slug(&owner).await });
            assert_eq!(redeem(&test, &home).await.expect(200)["tenant"]["id"], owner.tenant);
        }
    }
}
