//! PATCH service-accounts/{id}

use plinth_core::{
    ServiceAccountId,
    api::keys::{ServiceAccount, UpdateServiceAccount},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    access::service_accounts::{self, Error},
    permissions::WriteServiceAccounts,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/service-accounts/{id}", handler).summary("Change a service account").description(
        "Other roles count at once. `enabled: false` stops all its keys at once; they work again when it is enabled.",
    )
}

async fn handler(
    caller: Caller<WriteServiceAccounts>,
    Path(id): Path<ServiceAccountId>,
    Body(request): Body<UpdateServiceAccount>,
) -> Result<Done<Json<ServiceAccount>>, Error> {
    let tx = caller.change().await?;
    let row = service_accounts::changeable(tx.scope(), id).await?;
    caller.require_match(&service_accounts::show(&row)?)?;
    let account = service_accounts::update(tx.scope(), caller.principal(), row, request).await?;
    Ok(caller.commit(tx, Json(account)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, role, service_account},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn disabling_stops_its_keys_at_once_until_it_is_enabled_again() {
        for test in apps().await {
            let owner = test.owner().await;
            let id = service_account(&test, &owner, &["viewer"]).await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*:read"], "service_account": id })).await;
            let list = || test.app.get("/api/v1/roles").token(&key.text).send();
            let change = |request| {
                test.app.patch(&format!("/api/v1/service-accounts/{id}")).token(&owner.token).json(&request).send()
            };
            list().await.expect(200);
            change(json!({ "enabled": false })).await.expect(200);
            list().await.refused(401, "token_revoked");
            change(json!({ "enabled": true })).await.expect(200);
            list().await.expect(200);
            change(json!({ "roles": ["member"] })).await.expect(200);
            list().await.refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn it_is_changed_by_those_who_may_as_they_have_read_it() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let id = service_account(&test, &owner, &["viewer"]).await;
            let weak = role(&test, &owner, &["service_accounts:*"]).await;
            let member = member(&test, &owner, &[&weak]).await;
            let path = format!("/api/v1/service-accounts/{id}");
            let change = |token: &str, request| test.app.patch(&path).token(token).json(&request);
            change(&other.token, json!({ "name": "Mine" })).send().await.refused(404, "not_found");
            change(&member.token, json!({ "roles": ["owner"] })).send().await.refused(403, "beyond_own_permissions");
            let nulls = json!({ "name": null, "roles": null, "enabled": null, "description": null });
            let problem = change(&owner.token, nulls).send().await.refused(422, "invalid");
            assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "{problem}");
            let tag = test.app.get(&path).token(&owner.token).send().await.header("etag").unwrap().to_owned();
            let rename = |name: &str| change(&owner.token, json!({ "name": name })).header("if-match", &tag);
            rename("First").send().await.expect(200);
            rename("Second").send().await.refused(412, "stale");
        }
    }
}
