//! GET tenants/{id}/export

use axum::extract::State;
use plinth_core::{NewEvent, TenantId, api::tenants::TenantExport};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};
use serde_json::json;

use crate::{
    Identity,
    permissions::ExportTenant,
    tenancy::tenants::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/tenants/{id}/export", handler).summary("Take all data of the tenant along").description(
        "Settings, members with their profiles, roles, organisations, invitations, service accounts, API keys and the event \
         log. Secrets and hashes of secrets are left out. Of a very long log the newest events are in it, and `truncated` \
         says so. The log notes who took an export.",
    )
}

async fn handler(
    caller: Caller<ExportTenant>,
    State(identity): State<Identity>,
    Path(id): Path<TenantId>,
) -> Result<Json<TenantExport>, Error> {
    if id != caller.tenant() {
        return Err(Error::NotFound);
    }
    let tx = caller.read().await?;
    let export = tenants::export(tx.scope()).await?;
    drop(tx);
    let taken = NewEvent::new("tenant.exported", format!("tenant/{id}"), &json!({ "tenant": id }));
    identity.store().append(id, &caller.cause(), vec![taken]).await?;
    Ok(Json(export))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, role, service_account},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn everything_is_in_it_and_no_secret() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let custom = role(&test, &owner, &["roles:read"]).await;
            let member = member(&test, &owner, &["member", &custom]).await;
            let machine = service_account(&test, &owner, &["viewer"]).await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*:read"], "signed_requests": true })).await;
            let team = json!({ "name": "Team", "slug": "team" });
            let team = test.app.post("/api/v1/organizations").token(&owner.token).json(&team).send().await.expect(201);
            let place = format!("/api/v1/organizations/{}/members/{}", team["id"].as_str().unwrap(), member.user);
            test.app.put(&place).token(&owner.token).json(&json!({ "role": "manager" })).send().await.expect(200);
            let path = format!("/api/v1/tenants/{}/export", owner.tenant);
            let reply = test.app.get(&path).token(&owner.token).send().await;
            for secret in [&key.text, key.signing_secret.as_ref().unwrap(), "argon2", "hash"] {
                assert!(!reply.text.contains(secret), "{secret} is in the export");
            }
            let export = reply.expect(200);
            let data = &export["data"];
            assert_eq!(export["tenant"]["id"], owner.tenant);
            assert_eq!(data["members"].as_array().unwrap().len(), 2);
            assert_eq!(data["members"][1]["user"]["email"], member.email);
            assert_eq!(data["roles"][0]["id"], custom);
            assert_eq!(data["organizations"][0]["members"][0]["user"], member.user);
            assert_eq!(data["service_accounts"][0]["id"], machine);
            assert_eq!(
                (&data["api_keys"][0]["id"], &data["api_keys"][0]["signed_requests"]),
                (&json!(key.id), &json!(true))
            );
            assert_eq!(data["events"][0]["type"], "tenant.created");
            assert_eq!(data["truncated"], json!(null));
            let log = data["events"].to_string();
            for personal in [&owner.email, &member.email] {
                assert!(!log.contains(personal), "{personal} is in the log");
            }
            let again = test.app.get(&path).token(&owner.token).send().await.expect(200);
            let kinds = again["data"]["events"].as_array().unwrap();
            assert!(kinds.iter().any(|event| event["type"] == "tenant.exported" && event["actor"] == owner.user));
            test.app.get(&path).token(&other.token).send().await.refused(404, "not_found");
            test.app.get(&path).token(&member.token).send().await.refused(403, "permission_missing");
            assert!(!again.to_string().contains(&other.email), "nothing of others");
        }
    }
}
