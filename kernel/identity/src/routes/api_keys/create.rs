//! POST api-keys: a key, whose text is shown this once.

use axum::extract::State;
use plinth_core::api::keys::{ApiKeyCreated, CreateApiKey};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    access::api_keys::{self, Error},
    permissions::WriteApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/api-keys", handler).summary("Create an API key").description(
        "The key acts as you, or as `service_account`. `scopes` are a ceiling: permissions, patterns such as `*:read`, or \
         `*` for all that the owner of the key may. You cannot give a key more than you hold yourself. `key` and \
         `signing_secret` are shown this once. With `signed_requests` every request must carry \
         `Plinth-Signature: t=<unix seconds>,v1=<hex>`, the HMAC-SHA256 of `<t>.<METHOD>.<path and query>.<hex of the \
         SHA-256 of the body>` under the characters of `signing_secret`.",
    )
}

async fn handler(
    caller: Caller<WriteApiKeys>,
    State(identity): State<Identity>,
    Body(request): Body<CreateApiKey>,
) -> Result<Done<Created<ApiKeyCreated>>, Error> {
    let tx = caller.change().await?;
    let created = api_keys::create(&identity, tx.scope(), caller.principal(), request).await?;
    Ok(caller.commit(tx, Created(created)).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        access::api_keys,
        entities::{memberships, tenants},
        routes::api_keys::testing::{key, member, operator, role, service_account},
        testing::{Actor, TestApp, apps},
    };
    use plinth_core::{
        Cause, TenantId, UserId,
        ports::{Authenticate, Credential},
    };
    use plinth_store::Invalidation;
    use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
    use serde_json::{Value, json};

    fn create(test: &TestApp, token: &str, mut request: Value) -> impl Future<Output = plinth_testkit::Reply> + use<> {
        request["name"] = json!("A key");
        test.app.post("/api/v1/api-keys").token(token).json(&request).send()
    }

    #[tokio::test]
    async fn a_key_acts_as_its_maker_under_its_scopes() {
        for test in apps().await {
            let owner = test.owner().await;
            let created =
                create(&test, &owner.token, json!({ "scopes": ["members:read", "roles:read"] })).await.expect(201);
            let text = created["key"].as_str().unwrap();
            assert!(text.starts_with("plk_") && text.starts_with(created["prefix"].as_str().unwrap()), "{created}");
            assert_eq!((&created["user"], &created["signing_secret"]), (&json!(owner.user), &json!(null)));
            let me = test.app.get("/api/v1/me").token(text).send().await.expect(200);
            assert_eq!((&me["api_key"], &me["user"]["id"]), (&created["id"], &json!(owner.user)));
            assert_eq!(me["permissions"], json!(["members:read", "roles:read"]));
            test.app.get("/api/v1/users").token(text).send().await.expect(200);
            let role = json!({ "name": "New", "permissions": ["roles:read"] });
            let write = test.app.post("/api/v1/roles").token(text).json(&role).send().await;
            write.refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn the_text_is_shown_once_and_kept_nowhere() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*"], "signed_requests": true })).await;
            let secret = key.signing_secret.unwrap();
            for path in [format!("/api/v1/api-keys/{}", key.id), "/api/v1/api-keys".into()] {
                let shown = test.app.get(&path).token(&owner.token).send().await;
                assert!(
                    shown.text.contains(&key.id) && !shown.text.contains(&key.text) && !shown.text.contains(&secret)
                );
            }
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_place() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let bad = json!({ "scopes": ["roles:read", "role:read"], "expires_at": "2020-01-01T00:00:00Z" });
            let problem = create(&test, &owner.token, bad).await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
            assert_eq!(pointers, ["/scopes/1", "/expires_at"]);
            create(&test, &owner.token, json!({ "scopes": [] })).await.refused(422, "invalid");
            create(&test, &owner.token, json!({ "scopes": ["*"], "colour": "red" })).await.refused(422, "invalid");
            let theirs = service_account(&test, &other, &["viewer"]).await;
            let problem = create(&test, &owner.token, json!({ "scopes": ["*"], "service_account": theirs })).await;
            assert_eq!(problem.refused(422, "invalid")["errors"][0]["pointer"], "/service_account");
        }
    }

    #[tokio::test]
    async fn nobody_gives_a_key_more_than_they_have() {
        for test in apps().await {
            let owner = test.owner().await;
            let weak = role(&test, &owner, &["api_keys:*", "roles:read"]).await;
            let member = member(&test, &owner, &[&weak]).await;
            let strong = service_account(&test, &owner, &["admin"]).await;
            let humble = service_account(&test, &owner, &[&weak]).await;
            for beyond in [json!(["roles:write"]), json!(["*:read"]), json!(["roles:*"])] {
                create(&test, &member.token, json!({ "scopes": beyond })).await.refused(403, "beyond_own_permissions");
            }
            // All that oneself may is never too much; all that a stronger machine may is.
            let own = key(&test, &member.token, json!({ "scopes": ["*"] })).await;
            let me = test.app.get("/api/v1/me").token(&own.text).send().await.expect(200);
            assert_eq!(me["permissions"], json!(["api_keys:read", "api_keys:write", "roles:read"]));
            let everything = |account: &str| json!({ "scopes": ["*"], "service_account": account });
            create(&test, &member.token, everything(&strong)).await.refused(403, "beyond_own_permissions");
            create(&test, &member.token, everything(&humble)).await.expect(201);
            create(&test, &owner.token, everything(&strong)).await.expect(201);
            let within = json!({ "scopes": ["roles:read"], "service_account": strong });
            create(&test, &member.token, within).await.expect(201);
        }
    }

    #[tokio::test]
    async fn a_key_makes_keys_under_its_own_ceiling() {
        for test in apps().await {
            let owner = test.owner().await;
            let maker = key(&test, &owner.token, json!({ "scopes": ["api_keys:*", "roles:read"] })).await;
            for beyond in [json!(["*"]), json!(["roles:write"]), json!(["*:read"])] {
                create(&test, &maker.text, json!({ "scopes": beyond })).await.refused(403, "beyond_own_permissions");
            }
            let child = key(&test, &maker.text, json!({ "scopes": ["roles:read"] })).await;
            test.app.get("/api/v1/roles").token(&child.text).send().await.expect(200);
            test.app.get("/api/v1/api-keys").token(&child.text).send().await.refused(403, "permission_missing");
        }
    }

    async fn set_limits(test: &TestApp, owner: &Actor, limits: &str) {
        let tenant: TenantId = owner.tenant.parse().unwrap();
        let tx = test.database.store.change_system(Cause::system("test")).await.unwrap();
        let update = tx.update::<tenants::Entity>().col_expr(tenants::Column::Limits, Expr::value(limits));
        update.filter(tenants::Column::Id.eq(tenant.uuid())).exec(&tx).await.unwrap();
        tx.invalidate(Invalidation::Tenant(tenant));
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_tenant_has_as_many_working_keys_as_its_limit_allows() {
        for test in apps().await {
            let owner = test.owner().await;
            set_limits(&test, &owner, r#"{"api_keys":2}"#).await;
            let soon = test.database.world.now() + Duration::from_mins(1);
            let brief = key(&test, &owner.token, json!({ "scopes": ["*"], "expires_at": soon })).await;
            let long = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            create(&test, &owner.token, json!({ "scopes": ["*"] })).await.refused(409, "limit_reached");
            test.app.delete(&format!("/api/v1/api-keys/{}", long.id)).token(&owner.token).send().await.expect(204);
            key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            test.advance(61).await;
            // The brief one has expired and counts no more, until somebody wants it back.
            key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let revive = test.app.patch(&format!("/api/v1/api-keys/{}", brief.id)).token(&owner.token);
            revive.json(&json!({ "expires_at": null })).send().await.refused(409, "limit_reached");
        }
    }

    #[tokio::test]
    async fn requests_at_one_moment_do_not_both_take_the_last_place() {
        for test in apps().await {
            let owner = test.owner().await;
            set_limits(&test, &owner, r#"{"api_keys":1}"#).await;
            let credential = Credential { token: &owner.token, act_in: None };
            let principal = test.identity.authenticate(credential).await.unwrap();
            let first = test.database.store.change(principal.tenant.unwrap(), Cause::system("test")).await.unwrap();
            let request = serde_json::from_value(json!({ "name": "The first", "scopes": ["*"] })).unwrap();
            api_keys::create(&test.identity, first.scope(), &principal, request).await.unwrap();
            let mut second = tokio::spawn(create(&test, &owner.token, json!({ "scopes": ["*"] })));
            let waits = tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_err();
            assert!(waits, "the second cannot know yet whether there is room");
            first.commit().await.unwrap();
            second.await.unwrap().refused(409, "limit_reached");
        }
    }

    #[tokio::test]
    async fn a_key_ends_when_it_expires() {
        for test in apps().await {
            let owner = test.owner().await;
            let end = test.database.world.now() + Duration::from_secs(30);
            let key = key(&test, &owner.token, json!({ "scopes": ["*"], "expires_at": end })).await;
            let list = || test.app.get("/api/v1/roles").token(&key.text).send();
            list().await.expect(200);
            test.advance(31).await;
            list().await.refused(401, "token_expired");
        }
    }

    #[tokio::test]
    async fn the_key_of_somebody_who_left_is_dead() {
        for test in apps().await {
            let owner = test.owner().await;
            let member = member(&test, &owner, &["admin"]).await;
            let key = key(&test, &member.token, json!({ "scopes": ["*"] })).await;
            let list = || test.app.get("/api/v1/roles").token(&key.text).send();
            list().await.expect(200);
            let user: UserId = member.user.parse().unwrap();
            let tx = test.database.store.change_system(Cause::system("test")).await.unwrap();
            let scope = tx.in_tenant(owner.tenant.parse().unwrap());
            let delete = scope.delete::<memberships::Entity>().filter(memberships::Column::UserId.eq(user.uuid()));
            delete.exec(&scope).await.unwrap();
            tx.invalidate(Invalidation::User(user));
            tx.commit().await.unwrap();
            let status = list().await.status.as_u16();
            assert!([401, 403].contains(&status), "{status}");
        }
    }

    #[tokio::test]
    async fn a_visitor_makes_keys_for_machines_only() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let machine = service_account(&test, &owner, &["viewer"]).await;
            let visit = |request: Value| {
                let call =
                    test.app.post("/api/v1/api-keys").token(&operator.token).header("plinth-tenant", &owner.tenant);
                call.json(&request).send()
            };
            visit(json!({ "name": "Mine", "scopes": ["*"] })).await.refused(403, "not_a_member");
            visit(json!({ "name": "Its", "scopes": ["*"], "service_account": machine })).await.expect(201);
        }
    }

    #[tokio::test]
    async fn no_key_outlives_an_impersonation() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let before = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let request = json!({ "user": owner.user, "tenant": owner.tenant, "reason": "A ticket" });
            let start = test.app.post("/api/v1/impersonations").token(&operator.token).json(&request).send().await;
            let started = start.expect(201);
            let token = started["access_token"].as_str().unwrap();
            create(&test, token, json!({ "scopes": ["*"] })).await.refused(403, "not_while_impersonating");
            let rotate = test.app.post(&format!("/api/v1/api-keys/{}/rotate", before.id)).token(token).send().await;
            rotate.refused(403, "not_while_impersonating");
        }
    }

    #[tokio::test]
    async fn a_repeated_request_makes_one_key_and_shows_it_again() {
        for test in apps().await {
            let owner = test.owner().await;
            let request = json!({ "name": "Once", "scopes": ["*"] });
            let send = || {
                let call = test.app.post("/api/v1/api-keys").token(&owner.token).header("idempotency-key", "once");
                call.json(&request).send()
            };
            assert_eq!(send().await.expect(201), send().await.expect(201));
            let list = test.app.get("/api/v1/api-keys").token(&owner.token).send().await.expect(200);
            assert_eq!(list["total_estimate"], 1);
        }
    }

    #[tokio::test]
    async fn keys_are_made_by_those_who_may() {
        for test in apps().await {
            let owner = test.owner().await;
            let viewer = member(&test, &owner, &["viewer"]).await;
            create(&test, &viewer.token, json!({ "scopes": ["*"] })).await.refused(403, "permission_missing");
            create(&test, "garbage", json!({ "scopes": ["*"] })).await.refused(401, "token_invalid");
        }
    }
}
