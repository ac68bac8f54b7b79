//! GET api-keys/{id}

use plinth_core::{KeyId, api::keys::ApiKey};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    access::api_keys::{self, Error},
    permissions::ReadApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/api-keys/{id}", handler).summary("Show an API key")
}

async fn handler(caller: Caller<ReadApiKeys>, Path(id): Path<KeyId>) -> Result<Json<ApiKey>, Error> {
    let tx = caller.read().await?;
    Ok(Json(api_keys::show(&api_keys::find(tx.scope(), id).await?)?))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn it_is_seen_in_its_tenant_by_those_who_may() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let id = key(&test, &owner.token, json!({ "scopes": ["*"] })).await.id;
            let show = |token: &str, id: &str| test.app.get(&format!("/api/v1/api-keys/{id}")).token(token).send();
            assert_eq!(show(&owner.token, &id).await.expect(200)["id"], id);
            show(&other.token, &id).await.refused(404, "not_found");
            show(&owner.token, "key_nonsense").await.refused(404, "not_found");
            let member = member(&test, &owner, &["member"]).await;
            show(&member.token, &id).await.refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn the_last_use_appears() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let path = format!("/api/v1/api-keys/{}", key.id);
            let last_used = || async {
                test.app.get(&path).token(&owner.token).send().await.expect(200)["last_used_at"]
                    .as_str()
                    .map(str::to_owned)
            };
            assert_eq!(last_used().await, None);
            test.app.get("/api/v1/me").token(&key.text).send().await.expect(200);
            // It is noted beside the answer: look until it is there.
            for _ in 0..1000 {
                if last_used().await.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert!(last_used().await.is_some());
        }
    }
}
