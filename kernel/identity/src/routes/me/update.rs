//! PATCH me: the caller's own name, language and address.

use axum::extract::State;
use plinth_core::api::{
    Patch,
    users::{Me, UpdateMe},
};
use plinth_gateway::{Body, Done, Endpoint, Json, Person, endpoint::patch};

use crate::{
    Identity,
    accounts::{
        passwords::even_time::EvenTime,
        profile::{self, Error, Oneself},
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/me", handler).summary("Change your profile").description(
        "A new address counts once the mail that is sent to it was answered; until then the old one stays. The answer does \
         not tell whether another account has the address.",
    )
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(change): Body<UpdateMe>,
) -> Result<Done<Json<Me>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    profile::check(&change)?;
    let even = matches!(change.email, Patch::Value(_)).then(EvenTime::begin);
    let tx = person.change_system().await?;
    let user = profile::load(&tx, oneself.user).await?;
    person.require_match(&profile::me(person.principal(), &user))?;
    let user = profile::update(&identity, &tx, user, change).await?;
    let done = person.commit_system(tx, Json(profile::me(person.principal(), &user))).await?;
    if let Some(even) = even {
        even.wait().await;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    use crate::{
        routes::sessions::testing::{platform_events, purposes_to},
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    async fn update(test: &TestApp, actor: &Actor, change: &Value) -> Reply {
        test.app.patch("/api/v1/me").token(&actor.token).json(change).send().await
    }

    async fn me(test: &TestApp, actor: &Actor) -> Value {
        test.app.get("/api/v1/me").token(&actor.token).send().await.expect(200)
    }

    async fn verify(test: &TestApp, token: &str) -> Reply {
        test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": token })).send().await
    }

    #[tokio::test]
    async fn name_and_language_change_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let before = me(&test, &owner).await;
            let changed = update(&test, &owner, &json!({ "name": " Ada ", "locale": "de-AT" })).await.expect(200);
            assert_eq!((&changed["user"]["name"], &changed["user"]["locale"]), (&json!("Ada"), &json!("de-AT")));
            assert_eq!((&changed["tenant"], &changed["permissions"]), (&before["tenant"], &before["permissions"]));
            assert_eq!(me(&test, &owner).await, changed);
            let cleared = update(&test, &owner, &json!({ "locale": null })).await.expect(200);
            assert_eq!((&cleared["user"]["name"], &cleared["user"]["locale"]), (&json!("Ada"), &Value::Null));
            update(&test, &owner, &json!({})).await.expect(200);
            let updates = platform_events(&test).await.into_iter().filter(|kind| kind == "user.updated").count();
            assert_eq!(updates, 2, "a change that changes nothing is not told");
        }
    }

    #[tokio::test]
    async fn mistakes_are_told_at_once_and_a_stale_change_is_refused() {
        for test in apps().await {
            let owner = test.owner().await;
            let problem = update(&test, &owner, &json!({ "name": null, "locale": "xx_YY", "email": null })).await;
            let problem = problem.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
            assert_eq!(pointers, ["/name", "/locale", "/email"]);
            update(&test, &owner, &json!({ "role": "owner" })).await.refused(422, "invalid");
            let shown = test.app.get("/api/v1/me").token(&owner.token).send().await;
            let tag = shown.header("etag").unwrap().to_owned();
            let matching = || {
                let request = test.app.patch("/api/v1/me").token(&owner.token).header("if-match", &tag);
                request.json(&json!({ "name": "Grace" })).send()
            };
            matching().await.expect(200);
            matching().await.refused(412, "stale");
        }
    }

    #[tokio::test]
    async fn another_address_counts_once_its_owner_has_answered() {
        for test in apps().await {
            let owner = test.owner().await;
            let new = format!("new-{}", owner.email);
            let asked = update(&test, &owner, &json!({ "email": new })).await.expect(200);
            assert_eq!(asked["user"]["email"], owner.email);
            let login = |email: &str| {
                test.app.post("/api/v1/auth/login").json(&json!({ "email": email, "password": PASSWORD })).send()
            };
            login(&new).await.refused(401, "invalid_credentials");
            test.app
                .post("/api/v1/auth/password/forgot")
                .json(&json!({ "email": owner.email }))
                .send()
                .await
                .expect(202);
            let (_, reset) = test.mail_to(&owner.email).await;
            let (purpose, token) = test.mail_to(&new).await;
            assert_eq!(purpose, "verify_email");
            verify(&test, &token).await.expect(204);
            let user = me(&test, &owner).await["user"].clone();
            assert_eq!((&user["email"], &user["email_verified"]), (&json!(new), &json!(true)));
            assert_eq!(purposes_to(&test, &owner.email).await[0], "email_changed");
            login(&owner.email).await.refused(401, "invalid_credentials");
            login(&new).await.expect(200);
            let request = json!({ "token": reset, "password": "another horse battery" });
            let late = test.app.post("/api/v1/auth/password/reset").json(&request).send().await;
            late.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_answered_like_a_free_one() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let (_, verification) = test.mail_to(&owner.email).await;
            verify(&test, &verification).await.expect(204);
            let mut answers = Vec::new();
            for email in [other.email.to_uppercase(), "free@example.com".to_owned()] {
                let reply = update(&test, &owner, &json!({ "email": email })).await;
                let resent = test.app.post("/api/v1/auth/verify-email/resend").token(&owner.token).send().await;
                let mut names: Vec<_> =
                    reply.headers.keys().chain(resent.headers.keys()).map(ToString::to_string).collect();
                names.sort();
                answers.push((names, reply.expect(200), resent.expect(202)));
            }
            assert_eq!(answers[0], answers[1]);
            assert_eq!(purposes_to(&test, &other.email).await, ["email_in_use", "verify_email"]);
            assert_eq!(purposes_to(&test, "free@example.com").await, ["verify_email", "verify_email"]);
        }
    }

    #[tokio::test]
    async fn an_address_that_was_taken_meanwhile_does_not_move_in() {
        for test in apps().await {
            let owner = test.owner().await;
            update(&test, &owner, &json!({ "email": "wanted@example.com" })).await.expect(200);
            let (_, token) = test.mail_to("wanted@example.com").await;
            let request = json!({
                "email": "wanted@example.com", "password": PASSWORD, "name": "Ada", "tenant": { "name": "T", "slug": "meanwhile" },
            });
            test.app.post("/api/v1/auth/register").json(&request).send().await.expect(201);
            verify(&test, &token).await.refused(409, "email_taken");
            assert_eq!(me(&test, &owner).await["user"]["email"], owner.email);
        }
    }

    #[tokio::test]
    async fn going_back_to_the_confirmed_address_ends_the_wish() {
        for test in apps().await {
            let owner = test.owner().await;
            let (_, verification) = test.mail_to(&owner.email).await;
            verify(&test, &verification).await.expect(204);
            update(&test, &owner, &json!({ "email": "typo@example.com" })).await.expect(200);
            let (_, typo) = test.mail_to("typo@example.com").await;
            update(&test, &owner, &json!({ "email": owner.email })).await.expect(200);
            verify(&test, &typo).await.refused(422, "one_time_token_invalid");
        }
    }
}
