//! POST invitations

use axum::extract::State;
use plinth_core::api::tenants::{CreateInvitation, Invitation};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    permissions::WriteMembers,
    tenancy::invitations::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/invitations", handler).summary("Invite somebody into the tenant").description(
        "The token goes out by mail. Your own address must be confirmed, and you cannot give roles that allow more than you \
         may do. Pending invitations count against the tenant's limit of users.",
    )
}

async fn handler(
    caller: Caller<WriteMembers>,
    State(identity): State<Identity>,
    Body(request): Body<CreateInvitation>,
) -> Result<Done<Created<Invitation>>, Error> {
    let tx = caller.change_system().await?;
    let scope = tx.in_tenant(caller.tenant());
    let invitation = invitations::create(&identity, &tx, scope, caller.principal(), request).await?;
    Ok(caller.commit_system(tx, Created(invitation)).await?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{host, invite};
    use crate::{
        routes::api_keys::testing::{key, member, operator, role, service_account},
        testing::{TestApp, apps},
    };
    use serde_json::json;

    async fn limit_users(test: &TestApp, tenant: &str, most: u32) {
        let operator = operator(test).await;
        let limits = json!({ "limits": { "users": most } });
        let path = format!("/api/v1/tenants/{tenant}");
        test.app.patch(&path).token(&operator.token).json(&limits).send().await.expect(200);
    }

    #[tokio::test]
    async fn an_invitation_goes_out_by_mail_and_carries_no_token_in_the_answer() {
        for test in apps().await {
            let host = host(&test).await;
            let custom = role(&test, &host, &["roles:read"]).await;
            let body = json!({ "email": " New@Example.com ", "roles": [custom] });
            let reply = invite(&test, &host.token, body).await;
            let (purpose, token) = test.mail_to("New@Example.com").await;
            assert_eq!(purpose, "invitation");
            assert!(token.starts_with("pli_") && !reply.text.contains(&token));
            let sent = reply.expect(201);
            assert_eq!((&sent["status"], &sent["invited_by"]), (&json!("pending"), &json!(host.user)));
            assert_eq!((&sent["email"], &sent["roles"]), (&json!("New@Example.com"), &json!([custom])));
        }
    }

    #[tokio::test]
    async fn whoever_has_not_confirmed_their_address_invites_nobody() {
        for test in apps().await {
            let owner = test.owner().await;
            let body = json!({ "email": "new@example.com", "roles": ["member"] });
            invite(&test, &owner.token, body.clone()).await.refused(403, "email_unverified");
            let machine = service_account(&test, &owner, &["admin"]).await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*"], "service_account": machine })).await;
            invite(&test, &key.text, body.clone()).await.refused(403, "email_unverified");
            let (_, token) = test.mail_to(&owner.email).await;
            test.app.post("/api/v1/auth/verify-email").json(&json!({ "token": token })).send().await.expect(204);
            let sent = invite(&test, &key.text, body).await.expect(201);
            assert_eq!(sent["invited_by"], json!(null));
        }
    }

    #[tokio::test]
    async fn nobody_is_invited_twice_or_to_where_they_are() {
        for test in apps().await {
            let host = host(&test).await;
            let member = member(&test, &host, &["member"]).await;
            let body = |email: &str| json!({ "email": email, "roles": ["member"] });
            invite(&test, &host.token, body(&member.email.to_uppercase())).await.refused(409, "already_member");
            invite(&test, &host.token, body("new@example.com")).await.expect(201);
            invite(&test, &host.token, body("NEW@example.com")).await.refused(409, "already_invited");
            invite(&test, &member.token, body("x@example.com")).await.refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn what_is_offered_must_exist_and_be_ones_own_to_give() {
        for test in apps().await {
            let (host, other) = (host(&test).await, test.owner().await);
            let foreign = test
                .app
                .post("/api/v1/organizations")
                .token(&other.token)
                .json(&json!({ "name": "F", "slug": "foreign" }));
            let foreign = foreign.send().await.expect(201);
            let refused = |body| invite(&test, &host.token, body);
            let body = json!({ "email": "new@example.com", "roles": ["member"], "organization": foreign["id"] });
            let problem = refused(body).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "/organization");
            refused(json!({ "email": "nobody", "roles": ["member"] })).await.refused(422, "invalid");
            refused(json!({ "email": "new@example.com", "roles": ["king"] })).await.refused(422, "invalid");
            refused(json!({ "email": "new@example.com", "roles": [] })).await.refused(422, "invalid");
            refused(json!({ "email": "n@example.com", "roles": ["member"], "x": 1 })).await.refused(422, "invalid");
            let narrow = key(&test, &host.token, json!({ "scopes": ["members:write"] })).await;
            let body = json!({ "email": "new@example.com", "roles": ["admin"] });
            invite(&test, &narrow.text, body).await.refused(403, "beyond_own_permissions");
        }
    }

    #[tokio::test]
    async fn pending_invitations_take_places() {
        for test in apps().await {
            let host = host(&test).await;
            limit_users(&test, &host.tenant, 2).await;
            let body = |email: &str| json!({ "email": email, "roles": ["member"] });
            let first = invite(&test, &host.token, body("one@example.com")).await.expect(201);
            invite(&test, &host.token, body("two@example.com")).await.refused(409, "limit_reached");
            let path = format!("/api/v1/invitations/{}", first["id"].as_str().unwrap());
            test.app.delete(&path).token(&host.token).send().await.expect(204);
            invite(&test, &host.token, body("two@example.com")).await.expect(201);
        }
    }

    #[tokio::test]
    async fn the_last_place_is_given_once() {
        for test in apps().await {
            let host = host(&test).await;
            limit_users(&test, &host.tenant, 2).await;
            let ask = async |number: u32| {
                let body = json!({ "email": format!("guest{number}@example.com"), "roles": ["member"] });
                invite(&test, &host.token, body).await.status.as_u16()
            };
            let (a, b, c, d) = tokio::join!(ask(1), ask(2), ask(3), ask(4));
            let mut statuses = [a, b, c, d];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409, 409, 409]);
        }
    }
}
