//! POST service-accounts

use plinth_core::api::keys::{CreateServiceAccount, ServiceAccount};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    access::service_accounts::{self, Error},
    permissions::WriteServiceAccounts,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/service-accounts", handler).summary("Create a service account").description(
        "A machine identity with roles of its own; it calls through API keys that are made for it with \
         POST /api/v1/api-keys. You cannot give it roles that hold more than you do.",
    )
}

async fn handler(
    caller: Caller<WriteServiceAccounts>,
    Body(request): Body<CreateServiceAccount>,
) -> Result<Done<Created<ServiceAccount>>, Error> {
    let tx = caller.change().await?;
    let account = service_accounts::create(tx.scope(), caller.principal(), request).await?;
    Ok(caller.commit(tx, Created(account)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, role},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn a_service_account_acts_through_its_keys() {
        for test in apps().await {
            let owner = test.owner().await;
            let request = json!({ "name": "Build server", "description": "Builds", "roles": ["viewer"] });
            let create = test.app.post("/api/v1/service-accounts").token(&owner.token);
            let account = create.json(&request).send().await.expect(201);
            assert_eq!((&account["enabled"], &account["roles"]), (&json!(true), &json!(["viewer"])));
            let key = key(&test, &owner.token, json!({ "scopes": ["*:read"], "service_account": account["id"] })).await;
            let me = test.app.get("/api/v1/me").token(&key.text).send().await.expect(200);
            assert_eq!((&me["service_account"], &me["user"]), (&account["id"], &json!(null)));
            assert_eq!(me["api_key"], key.id);
        }
    }

    #[tokio::test]
    async fn its_roles_exist_and_hold_no_more_than_the_giver_does() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let theirs = role(&test, &other, &["roles:read"]).await;
            let weak = role(&test, &owner, &["service_accounts:*", "roles:read"]).await;
            let member = member(&test, &owner, &[&weak]).await;
            let create = |token: &str, name: &str, roles: serde_json::Value| {
                let request = json!({ "name": name, "roles": roles });
                test.app.post("/api/v1/service-accounts").token(token).json(&request).send()
            };
            let problem = create(&owner.token, "A", json!(["viewer", theirs, "king"])).await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
            assert_eq!(pointers, ["/roles/1", "/roles/2"]);
            create(&owner.token, "A", json!([])).await.refused(422, "invalid");
            create(&member.token, "A", json!(["viewer"])).await.refused(403, "beyond_own_permissions");
            create(&member.token, "A", json!([weak])).await.expect(201);
            create(&owner.token, "A", json!(["viewer"])).await.refused(409, "name_taken");
        }
    }
}
