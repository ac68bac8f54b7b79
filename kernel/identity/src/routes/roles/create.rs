//! POST roles: a role of the tenant's own.

use axum::extract::State;
use plinth_core::api::roles::{CreateRole, Role};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    access::roles::{self, Error},
    permissions::WriteRoles,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/roles", handler).summary("Define a role").description(
        "Permissions are words of GET permissions or patterns of them. You cannot put more into a role than you hold \
         yourself. Give the role to people and machines by its `key`. A tenant has 200 roles of its own at most.",
    )
}

async fn handler(
    caller: Caller<WriteRoles>,
    State(identity): State<Identity>,
    Body(request): Body<CreateRole>,
) -> Result<Done<Created<Role>>, Error> {
    let tx = caller.change().await?;
    let role = roles::create(&identity, tx.scope(), caller.principal(), request).await?;
    Ok(caller.commit(tx, Created(role)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        access::roles::MOST_ROLES,
        entities,
        routes::api_keys::testing::{member, operator, role},
        testing::apps,
    };
    use plinth_core::{Cause, RoleId};
    use serde_json::json;

    #[tokio::test]
    async fn a_role_lets_its_members_do_what_it_says_and_no_more() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = role(&test, &owner, &["roles:read"]).await;
            let member = member(&test, &owner, &[&key]).await;
            test.app.get("/api/v1/roles").token(&member.token).send().await.expect(200);
            let create = test.app.post("/api/v1/roles").token(&member.token);
            create
                .json(&json!({ "name": "More", "permissions": ["*"] }))
                .send()
                .await
                .refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn nobody_gives_what_they_do_not_have() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = role(&test, &owner, &["roles:*", "api_keys:read"]).await;
            let member = member(&test, &owner, &[&key]).await;
            let create = |permissions: serde_json::Value| {
                let request = json!({ "name": "New", "permissions": permissions });
                test.app.post("/api/v1/roles").token(&member.token).json(&request).send()
            };
            for beyond in
                [json!(["api_keys:write"]), json!(["*"]), json!(["*:read"]), json!(["roles:read", "api_keys:*"])]
            {
                create(beyond).await.refused(403, "beyond_own_permissions");
            }
            create(json!(["roles:*", "api_keys:read"])).await.expect(201);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_place() {
        for test in apps().await {
            let owner = test.owner().await;
            let create =
                |request: serde_json::Value| test.app.post("/api/v1/roles").token(&owner.token).json(&request).send();
            let bad = json!({ "name": "", "description": " ", "permissions": ["roles:read", "role:read"] });
            let problem = create(bad).await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
            assert_eq!(pointers, ["/name", "/description", "/permissions/1"]);
            create(json!({ "name": "None", "permissions": [] })).await.refused(422, "invalid");
            let unknown = json!({ "name": "A", "permissions": ["roles:read"], "colour": "red" });
            assert_eq!(create(unknown).await.refused(422, "invalid")["errors"][0]["code"], "unknown_field");
        }
    }

    #[tokio::test]
    async fn names_are_taken_once_per_tenant_and_system_names_are_taken() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let create = |token: &str, name: &str| {
                let request = json!({ "name": name, "permissions": ["roles:read"] });
                test.app.post("/api/v1/roles").token(token).json(&request).send()
            };
            create(&owner.token, "Auditor").await.expect(201);
            create(&owner.token, " Auditor ").await.refused(409, "name_taken");
            create(&owner.token, "OWNER").await.refused(409, "name_taken");
            create(&owner.token, "administrator").await.refused(409, "name_taken");
            create(&other.token, "Auditor").await.expect(201);
        }
    }

    #[tokio::test]
    async fn words_for_operators_belong_to_the_system_tenant() {
        for test in apps().await {
            let Some(word) = test.identity.vocabulary().iter().find(|word| word.operator) else { continue };
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let request = json!({ "name": "Operators", "permissions": [word.name] });
            let create = |token: &str| test.app.post("/api/v1/roles").token(token).json(&request);
            create(&owner.token).send().await.refused(422, "invalid");
            create(&operator.token).header("plinth-tenant", &owner.tenant).send().await.refused(422, "invalid");
            create(&operator.token).send().await.expect(201);
        }
    }

    #[tokio::test]
    async fn a_tenant_has_so_many_roles_and_no_more() {
        for test in apps().await {
            let owner = test.owner().await;
            let tx = test.database.store.change(owner.tenant.parse().unwrap(), Cause::system("test")).await.unwrap();
            for number in 1..MOST_ROLES {
                let id: RoleId = tx.scope().mint();
                let row = entities::roles::Model {
                    id: id.uuid(),
                    tenant: id.uuid(),
                    name: format!("Role {number}"),
                    description: None,
                    permissions: r#"["roles:read"]"#.into(),
                    created_at: 0,
                };
                tx.scope().insert(row).await.unwrap();
            }
            tx.commit().await.unwrap();
            let create = |name: &str| {
                let request = json!({ "name": name, "permissions": ["roles:read"] });
                test.app.post("/api/v1/roles").token(&owner.token).json(&request).send()
            };
            create("The last").await.expect(201);
            create("One more").await.refused(409, "limit_reached");
        }
    }

    #[tokio::test]
    async fn a_repeated_request_defines_one_role() {
        for test in apps().await {
            let owner = test.owner().await;
            let request = json!({ "name": "Once", "permissions": ["roles:read"] });
            let send = || {
                let call = test.app.post("/api/v1/roles").token(&owner.token).header("idempotency-key", "once");
                call.json(&request).send()
            };
            assert_eq!(send().await.expect(201), send().await.expect(201));
        }
    }
}
