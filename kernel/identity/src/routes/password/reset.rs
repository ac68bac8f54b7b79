//! POST auth/password/reset: a new password with the token of the mail.

use axum::extract::State;
use plinth_core::api::auth::ResetPassword;
use plinth_gateway::{Body, Done, Endpoint, NoContent, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::passwords::reset::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/password/reset", handler)
        .summary("Set a new password with the token of the mail")
        .description(
            "Ends every session of the account, lifts a lock and confirms the address. A second factor stays: signing in \
             asks for it as before.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    Body(request): Body<ResetPassword>,
) -> Result<Done<NoContent>, Error> {
    let prepared = reset::prepare(&identity, request).await?;
    let tx = visitor.change_system().await?;
    reset::reset(&identity, &tx, prepared).await?;
    Ok(visitor.commit_system(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use plinth_testkit::Reply;
    use serde_json::json;

    use crate::testing::{Actor, PASSWORD, TestApp, apps};

    const NEW: &str = "another horse battery";

    async fn forgotten(test: &TestApp, owner: &Actor) -> String {
        test.app.post("/api/v1/auth/password/forgot").json(&json!({ "email": owner.email })).send().await.expect(202);
        test.mail_to(&owner.email).await.1
    }

    async fn reset(test: &TestApp, token: &str, password: &str) -> Reply {
        let request = json!({ "token": token, "password": password });
        test.app.post("/api/v1/auth/password/reset").json(&request).send().await
    }

    async fn login(test: &TestApp, owner: &Actor, password: &str) -> Reply {
        let request = json!({ "email": owner.email, "password": password });
        test.app.post("/api/v1/auth/login").json(&request).send().await
    }

    #[tokio::test]
    async fn the_new_password_counts_and_every_session_ends() {
        for test in apps().await {
            let owner = test.owner().await;
            let second = Actor::of(&login(&test, &owner, PASSWORD).await.expect(200));
            let token = forgotten(&test, &owner).await;
            for actor in [&owner, &second] {
                test.app.get("/api/v1/me").token(&actor.token).send().await.expect(200);
            }
            reset(&test, &token, NEW).await.expect(204);
            assert_eq!(test.mail_to(&owner.email).await.0, "password_changed");
            for actor in [&owner, &second] {
                test.app.get("/api/v1/me").token(&actor.token).send().await.refused(401, "token_revoked");
                let refresh = json!({ "refresh_token": actor.refresh_token });
                test.app.post("/api/v1/auth/refresh").json(&refresh).send().await.refused(401, "token_revoked");
            }
            login(&test, &owner, PASSWORD).await.refused(401, "invalid_credentials");
            let signed_in = login(&test, &owner, NEW).await.expect(200);
            assert_eq!(signed_in["user"]["email_verified"], true);
        }
    }

    #[tokio::test]
    async fn a_token_works_once_in_time_and_for_this_alone() {
        for test in apps().await {
            let owner = test.owner().await;
            let (_, verification) = test.mail_to(&owner.email).await;
            reset(&test, &verification, NEW).await.refused(422, "one_time_token_invalid");
            let earlier = forgotten(&test, &owner).await;
            let token = forgotten(&test, &owner).await;
            reset(&test, &earlier, NEW).await.refused(422, "one_time_token_invalid");
            reset(&test, &token, NEW).await.expect(204);
            reset(&test, &token, PASSWORD).await.refused(422, "one_time_token_invalid");
            let late = forgotten(&test, &owner).await;
            test.advance(30 * 60 + 1).await;
            reset(&test, &late, PASSWORD).await.refused(422, "one_time_token_invalid");
            login(&test, &owner, NEW).await.expect(200);
        }
    }

    #[tokio::test]
    async fn a_refused_password_does_not_cost_the_token() {
        for test in apps().await {
            let owner = test.owner().await;
            let token = forgotten(&test, &owner).await;
            for (password, code) in [("short", "password_too_short"), (owner.email.as_str(), "password_is_email")] {
                let problem = reset(&test, &token, password).await.refused(422, "invalid");
                assert_eq!(problem["errors"][0]["pointer"], "/password");
                assert_eq!(problem["errors"][0]["code"], code);
            }
            reset(&test, &token, NEW).await.expect(204);
        }
    }

    #[tokio::test]
    async fn a_lock_ends() {
        for test in apps().await {
            let owner = test.owner().await;
            for _ in 0..10 {
                login(&test, &owner, "wrong password").await.refused(401, "invalid_credentials");
            }
            login(&test, &owner, PASSWORD).await.refused(401, "invalid_credentials");
            let token = forgotten(&test, &owner).await;
            reset(&test, &token, NEW).await.expect(204);
            login(&test, &owner, NEW).await.expect(200);
        }
    }

    #[tokio::test]
    async fn the_wish_for_another_address_ends() {
        for test in apps().await {
            let owner = test.owner().await;
            let wish = json!({ "email": "thief@example.com" });
            test.app.patch("/api/v1/me").token(&owner.token).json(&wish).send().await.expect(200);
            let (_, stolen) = test.mail_to("thief@example.com").await;
            let token = forgotten(&test, &owner).await;
            reset(&test, &token, NEW).await.expect(204);
            let verify = test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": stolen }));
            verify.send().await.refused(422, "one_time_token_invalid");
        }
    }
}
