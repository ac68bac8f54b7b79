//! POST auth/verify-email: the owner of an address confirms it.

use plinth_core::api::auth::OneTimeToken;
use plinth_gateway::{Body, Done, Endpoint, NoContent, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::verify::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/verify-email", handler)
        .summary("Confirm an address with the token of the mail")
        .description(
            "The address that the mail went to becomes the confirmed address of the account. Where it is another one than \
             before, the old address is told.",
        )
        .takes_credentials()
}

async fn handler(visitor: Visitor, Body(request): Body<OneTimeToken>) -> Result<Done<NoContent>, Error> {
    let tx = visitor.change_system().await?;
    verify::verify(&tx, &request.token).await?;
    Ok(visitor.commit_system(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{TestApp, apps};

    async fn verify(test: &TestApp, token: &str) -> plinth_testkit::Reply {
        test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": token })).send().await
    }

    #[tokio::test]
    async fn an_address_is_confirmed_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let me = || test.app.get("/api/v1/me").token(&owner.token).send();
            assert_eq!(me().await.expect(200)["user"]["email_verified"], false);
            let (_, token) = test.mail_to(&owner.email).await;
            verify(&test, &token).await.expect(204);
            assert_eq!(me().await.expect(200)["user"]["email_verified"], true);
            verify(&test, &token).await.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn an_old_token_a_wrong_one_and_one_for_something_else_confirm_nothing() {
        for test in apps().await {
            let owner = test.owner().await;
            let (_, token) = test.mail_to(&owner.email).await;
            for wrong in ["", "garbage", owner.refresh_token.as_str(), &token[..token.len() - 1]] {
                verify(&test, wrong).await.refused(422, "one_time_token_invalid");
            }
            test.app.post("/api/v1/auth/magic-link").json(&json!({ "email": owner.email })).send().await.expect(202);
            let (purpose, other) = test.mail_to(&owner.email).await;
            assert_eq!(purpose, "magic_link");
            verify(&test, &other).await.refused(422, "one_time_token_invalid");
            test.advance(2 * 86_400 + 1).await;
            verify(&test, &token).await.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn unknown_fields_are_refused() {
        for test in apps().await {
            let request = json!({ "token": "x", "email": "ada@example.com" });
            let problem = test.app.post("/api/v1/auth/verify-email").json(&request).send().await.expect(422);
            assert_eq!(problem["errors"][0]["code"], "unknown_field");
        }
    }
}
