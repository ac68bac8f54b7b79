//! POST invitations/accept

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::{auth::SignedIn, tenants::AcceptInvitation};
use plinth_gateway::{Body, Done, Endpoint, Json, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::profile::Oneself,
    routes::cookies,
    sessions::Device,
    tenancy::invitations::{self, AcceptError as Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/invitations/accept", handler).summary("Accept an invitation").description(
        "As somebody who is signed in with the address that was invited: send the token alone. As somebody new: send name and \
         password too, without credentials; the account that is created has its address confirmed. `sign_in_first` says that \
         an account has the address. The answer is a new session in the tenant; one that you had stays where it is.",
    ).takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<AcceptInvitation>,
) -> Result<Done<Json<SignedIn>>, Error> {
    let oneself = visitor.principal().map(|principal| Oneself::of(principal)).transpose()?;
    let prepared = invitations::prepare(&identity, visitor.read_system().await?, request, oneself).await?;
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    let signed_in = invitations::accept(&identity, &tx, prepared, device).await?;
    let refresh_token = signed_in.tokens.refresh_token.clone();
    let done = visitor.commit_system(tx, Json(signed_in)).await?;
    Ok(cookies::keep(&identity, done, &refresh_token))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accept, host, invite, invited};
    use crate::{
        IdentityConfig,
        routes::api_keys::testing::{key, operator},
        testing::{Actor, PASSWORD, TestApp, apps, apps_with, config},
    };
    use serde_json::{Value, json};

    fn newcomer(token: &str) -> Value {
        json!({ "token": token, "name": "New Person", "password": PASSWORD })
    }

    async fn me(test: &TestApp, token: &str) -> Value {
        test.app.get("/api/v1/me").token(token).send().await.expect(200)
    }

    #[tokio::test]
    async fn somebody_new_gets_an_account_with_a_confirmed_address() {
        for test in apps_with(IdentityConfig { open_registration: true, ..config() }).await {
            let host = host(&test).await;
            let team =
                test.app.post("/api/v1/organizations").token(&host.token).json(&json!({ "name": "T", "slug": "team" }));
            let team = team.send().await.expect(201)["id"].clone();
            let body = json!({ "email": "new@example.com", "roles": ["viewer"], "organization": team });
            invite(&test, &host.token, body).await.expect(201);
            let (_, token) = test.mail_to("new@example.com").await;
            let joined = accept(&test, None, newcomer(&token)).await.expect(200);
            assert_eq!(
                (&joined["tenant"]["id"], &joined["user"]["email_verified"]),
                (&json!(host.tenant), &json!(true))
            );
            let who = me(&test, joined["access_token"].as_str().unwrap()).await;
            assert_eq!((&who["roles"], &who["user"]["name"]), (&json!(["viewer"]), &json!("New Person")));
            let path = format!("/api/v1/tenants/{}/members/{}", host.tenant, joined["user"]["id"].as_str().unwrap());
            let member = test.app.get(&path).token(&host.token).send().await.expect(200);
            assert_eq!(member["organizations"], json!([team]));
            accept(&test, None, newcomer(&token)).await.refused(422, "one_time_token_invalid");
            let login = json!({ "email": "new@example.com", "password": PASSWORD });
            test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn somebody_new_says_who_they_are() {
        for test in apps().await {
            let host = host(&test).await;
            let (_, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            let missing = accept(&test, None, json!({ "token": token })).await.refused(422, "invalid");
            let pointers: Vec<_> =
                missing["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
            assert_eq!(pointers, ["/name", "/password"]);
            let weak = json!({ "token": token, "name": "N", "password": "short" });
            accept(&test, None, weak).await.refused(422, "invalid");
            accept(&test, None, json!({ "token": token, "age": 3 })).await.refused(422, "invalid");
            accept(&test, None, newcomer("pli_nonsense")).await.refused(422, "one_time_token_invalid");
            accept(&test, None, newcomer(&host.refresh_token)).await.refused(422, "one_time_token_invalid");
            accept(&test, None, newcomer(&token)).await.expect(200);
        }
    }

    #[tokio::test]
    async fn somebody_known_signs_in_and_joins_with_the_invited_address() {
        for test in apps().await {
            let (host, guest, other) = (host(&test).await, test.owner().await, test.owner().await);
            let (_, token) = invited(&test, &host.token, &guest.email.to_uppercase(), &["admin"]).await;
            let alone = json!({ "token": token });
            accept(&test, None, newcomer(&token)).await.refused(409, "sign_in_first");
            accept(&test, Some(&other.token), alone.clone()).await.refused(409, "other_address");
            accept(&test, Some(&guest.token), newcomer(&token)).await.refused(422, "invalid");
            let key = key(&test, &guest.token, json!({ "scopes": ["*"] })).await;
            accept(&test, Some(&key.text), alone.clone()).await.refused(403, "session_needed");
            let joined = accept(&test, Some(&guest.token), alone.clone()).await.expect(200);
            assert_eq!(
                (&joined["tenant"]["id"], &joined["user"]["email_verified"]),
                (&json!(host.tenant), &json!(true))
            );
            assert_eq!(me(&test, joined["access_token"].as_str().unwrap()).await["roles"], json!(["admin"]));
            assert_eq!(me(&test, &guest.token).await["tenant"]["id"], guest.tenant, "the session stays where it was");
            accept(&test, Some(&guest.token), alone).await.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn an_invitation_expires() {
        for test in apps().await {
            let host = host(&test).await;
            let (_, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            test.advance(7 * 86_400 + 1).await;
            accept(&test, None, newcomer(&token)).await.refused(422, "one_time_token_invalid");
        }
    }

    #[tokio::test]
    async fn a_tenant_that_is_full_or_shut_takes_nobody_in() {
        for test in apps().await {
            let (host, operator) = (host(&test).await, operator(&test).await);
            let (_, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            let tenant = format!("/api/v1/tenants/{}", host.tenant);
            let limit = |users: Value| {
                test.app.patch(&tenant).token(&operator.token).json(&json!({ "limits": { "users": users } })).send()
            };
            limit(json!(1)).await.expect(200);
            accept(&test, None, newcomer(&token)).await.refused(409, "limit_reached");
            limit(json!(null)).await.expect(200);
            let suspend = test.app.post(&format!("{tenant}/suspend")).token(&operator.token);
            suspend.json(&json!({ "reason": "r" })).send().await.expect(200);
            accept(&test, None, newcomer(&token)).await.refused(409, "tenant_closed");
            test.app.post(&format!("{tenant}/resume")).token(&operator.token).send().await.expect(200);
            accept(&test, None, newcomer(&token)).await.expect(200);
        }
    }

    #[tokio::test]
    async fn an_organisation_that_is_gone_is_left_out() {
        for test in apps().await {
            let host = host(&test).await;
            let team =
                test.app.post("/api/v1/organizations").token(&host.token).json(&json!({ "name": "T", "slug": "team" }));
            let team = team.send().await.expect(201)["id"].as_str().unwrap().to_owned();
            let body = json!({ "email": "new@example.com", "roles": ["viewer"], "organization": team });
            invite(&test, &host.token, body).await.expect(201);
            let (_, token) = test.mail_to("new@example.com").await;
            test.app.delete(&format!("/api/v1/organizations/{team}")).token(&host.token).send().await.expect(204);
            let joined = accept(&test, None, newcomer(&token)).await.expect(200);
            assert_eq!(me(&test, joined["access_token"].as_str().unwrap()).await["roles"], json!(["viewer"]));
        }
    }

    #[tokio::test]
    async fn one_token_lets_one_in() {
        for test in apps().await {
            let host = host(&test).await;
            let (_, token) = invited(&test, &host.token, "new@example.com", &["member"]).await;
            let (one, two) = tokio::join!(accept(&test, None, newcomer(&token)), accept(&test, None, newcomer(&token)));
            let mut statuses = [one.status.as_u16(), two.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses[0], 200, "{} {}", one.text, two.text);
            assert!([409, 422].contains(&statuses[1]), "{} {}", one.text, two.text);
        }
    }

    #[tokio::test]
    async fn the_invited_join_while_registration_is_closed() {
        for database in plinth_testkit::databases().await {
            let open = TestApp::over(database, config()).await;
            let host = host(&open).await;
            let (_, token) = invited(&open, &host.token, "new@example.com", &["member"]).await;
            let test = TestApp::over(open.database, IdentityConfig { open_registration: false, ..config() }).await;
            let joined = Actor::of(&accept(&test, None, newcomer(&token)).await.expect(200));
            assert_eq!(joined.tenant, host.tenant);
        }
    }
}
