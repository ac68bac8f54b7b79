//! PATCH api-keys/{id}

use axum::extract::State;
use plinth_core::{
    KeyId,
    api::keys::{ApiKey, UpdateApiKey},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    access::api_keys::{self, Error},
    permissions::WriteApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/api-keys/{id}", handler).summary("Change an API key").description(
        "Its name, scopes or end; it counts at once. `expires_at: null` is a key that does not expire. A revoked key cannot \
         be changed.",
    )
}

async fn handler(
    caller: Caller<WriteApiKeys>,
    State(identity): State<Identity>,
    Path(id): Path<KeyId>,
    Body(request): Body<UpdateApiKey>,
) -> Result<Done<Json<ApiKey>>, Error> {
    let tx = caller.change().await?;
    let row = api_keys::changeable(tx.scope(), id).await?;
    caller.require_match(&api_keys::show(&row)?)?;
    let key = api_keys::update(&identity, tx.scope(), caller.principal(), row, request).await?;
    Ok(caller.commit(tx, Json(key)).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        routes::api_keys::testing::{key, member, role},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn scopes_and_end_count_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let end = test.database.world.now() + Duration::from_secs(30);
            let key = key(&test, &owner.token, json!({ "scopes": ["*"], "expires_at": end })).await;
            let list = || test.app.get("/api/v1/roles").token(&key.text).send();
            let change = |request| {
                test.app.patch(&format!("/api/v1/api-keys/{}", key.id)).token(&owner.token).json(&request).send()
            };
            list().await.expect(200);
            change(json!({ "scopes": ["api_keys:read"] })).await.expect(200);
            list().await.refused(403, "permission_missing");
            let changed =
                change(json!({ "scopes": ["roles:read"], "name": "Roles", "expires_at": null })).await.expect(200);
            assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("Roles"), &json!(null)));
            test.advance(31).await;
            list().await.expect(200);
        }
    }

    #[tokio::test]
    async fn it_is_changed_by_those_who_may_as_they_have_read_it() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let weak = role(&test, &owner, &["api_keys:*"]).await;
            let member = member(&test, &owner, &[&weak]).await;
            let id = key(&test, &owner.token, json!({ "scopes": ["api_keys:read"] })).await.id;
            let path = format!("/api/v1/api-keys/{id}");
            let change = |token: &str, request| test.app.patch(&path).token(token).json(&request);
            change(&other.token, json!({ "name": "Mine" })).send().await.refused(404, "not_found");
            for beyond in ["*", "roles:read"] {
                let request = json!({ "scopes": [beyond] });
                change(&member.token, request).send().await.refused(403, "beyond_own_permissions");
            }
            let bad = json!({ "name": null, "scopes": null, "expires_at": "2020-01-01T00:00:00Z" });
            let problem = change(&owner.token, bad).send().await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
            assert_eq!(pointers, ["/name", "/scopes", "/expires_at"]);
            let tag = test.app.get(&path).token(&owner.token).send().await.header("etag").unwrap().to_owned();
            let rename = |name: &str| change(&owner.token, json!({ "name": name })).header("if-match", &tag);
            rename("First").send().await.expect(200);
            rename("Second").send().await.refused(412, "stale");
            test.app.delete(&path).token(&owner.token).send().await.expect(204);
            change(&owner.token, json!({ "name": "Again" })).send().await.refused(409, "key_revoked");
        }
    }
}
