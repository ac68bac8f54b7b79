//! POST api-keys/{id}/rotate: a new text for a key.

use plinth_core::{
    KeyId,
    api::keys::{ApiKeyCreated, RotateApiKey},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::post};

use crate::{
    Identity,
    access::api_keys::{self, Error},
    permissions::WriteApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/api-keys/{id}/rotate", handler).summary("Rotate an API key").description(
        "The key keeps its id, scopes and usage and gets a new text, which is shown this once. The old text works for \
         `overlap_seconds` more: 24 hours without a wish, 7 days at most; 0 ends it at once. A text that an earlier \
         rotation left over ends at once. The signing secret stays the same, so that both texts work with it; only a \
         rotation without overlap makes a new one and shows it. A key of a person is rotated by that person only.",
    )
}

async fn handler(
    caller: Caller<WriteApiKeys>,
    Path(id): Path<KeyId>,
    request: Option<Body<RotateApiKey>>,
) -> Result<Done<Json<ApiKeyCreated>>, Error> {
    let request = request.map_or(RotateApiKey { overlap_seconds: None }, |Body(request)| request);
    let tx = caller.change().await?;
    let row = api_keys::changeable(tx.scope(), id).await?;
    let rotated = api_keys::rotate(tx.scope(), caller.principal(), row, &request).await?;
    Ok(caller.commit(tx, Json(rotated)).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        routes::api_keys::testing::{Key, key, member, role, service_account},
        testing::{TestApp, apps},
    };
    use serde_json::{Value, json};

    fn rotate(test: &TestApp, token: &str, id: &str, request: &Value) -> impl Future<Output = plinth_testkit::Reply> {
        test.app.post(&format!("/api/v1/api-keys/{id}/rotate")).token(token).json(request).send()
    }

    fn list(test: &TestApp, key: &str) -> impl Future<Output = plinth_testkit::Reply> {
        test.app.get("/api/v1/roles").token(key).send()
    }

    #[tokio::test]
    async fn the_old_text_works_until_the_overlap_ends() {
        for test in apps().await {
            let owner = test.owner().await;
            let old = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            list(&test, &old.text).await.expect(200);
            let answer = test
                .app
                .post(&format!("/api/v1/api-keys/{}/rotate", old.id))
                .token(&owner.token)
                .send()
                .await
                .expect(200);
            let day = test.database.world.now() + Duration::from_hours(24);
            assert!(answer["previous_valid_until"].as_str().unwrap() <= day.to_string().as_str(), "{answer}");
            let new = Key::of(&answer);
            assert_eq!(new.id, old.id);
            assert!(new.text.starts_with(answer["prefix"].as_str().unwrap()), "{answer}");
            for text in [&old.text, &new.text] {
                list(&test, text).await.expect(200);
            }
            // A person's session lasts ten minutes: the key itself is asked.
            test.advance(86_390).await;
            list(&test, &old.text).await.expect(200);
            test.advance(20).await;
            list(&test, &old.text).await.refused(401, "token_revoked");
            list(&test, &new.text).await.expect(200);
        }
    }

    #[tokio::test]
    async fn without_overlap_the_old_text_ends_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let old = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            list(&test, &old.text).await.expect(200);
            let answer = rotate(&test, &owner.token, &old.id, &json!({ "overlap_seconds": 0 })).await.expect(200);
            assert_eq!(answer["previous_valid_until"], json!(null));
            list(&test, &old.text).await.refused(401, "token_invalid");
            list(&test, &Key::of(&answer).text).await.expect(200);
        }
    }

    #[tokio::test]
    async fn a_second_rotation_ends_the_text_before_the_last() {
        for test in apps().await {
            let owner = test.owner().await;
            let first = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let wish = json!({ "overlap_seconds": 600 });
            let again = || rotate(&test, &owner.token, &first.id, &wish);
            let (second, third) = (Key::of(&again().await.expect(200)), Key::of(&again().await.expect(200)));
            list(&test, &first.text).await.refused(401, "token_invalid");
            list(&test, &second.text).await.expect(200);
            list(&test, &third.text).await.expect(200);
        }
    }

    #[tokio::test]
    async fn nobody_learns_a_text_that_could_do_more_than_they() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let weak = role(&test, &owner, &["api_keys:*", "roles:read"]).await;
            let member = member(&test, &owner, &[&weak]).await;
            let strong = service_account(&test, &owner, &["admin"]).await;
            let of_owner = key(&test, &owner.token, json!({ "scopes": ["roles:read"] })).await;
            let of_member = key(&test, &member.token, json!({ "scopes": ["*"] })).await;
            let of_strong = key(&test, &owner.token, json!({ "scopes": ["*"], "service_account": strong })).await;
            let narrow = key(&test, &owner.token, json!({ "scopes": ["roles:read"], "service_account": strong })).await;
            let plain = json!({});
            rotate(&test, &other.token, &of_owner.id, &plain).await.refused(404, "not_found");
            rotate(&test, &member.token, &of_owner.id, &plain).await.refused(403, "not_your_key");
            rotate(&test, &owner.token, &of_member.id, &plain).await.refused(403, "not_your_key");
            rotate(&test, &member.token, &of_strong.id, &plain).await.refused(403, "beyond_own_permissions");
            rotate(&test, &member.token, &narrow.id, &plain).await.expect(200);
            let limited = key(&test, &member.token, json!({ "scopes": ["api_keys:*"] })).await;
            rotate(&test, &limited.text, &of_member.id, &plain).await.refused(403, "beyond_own_permissions");
            rotate(&test, &limited.text, &limited.id, &plain).await.expect(200);
            rotate(&test, &member.token, &of_member.id, &plain).await.expect(200);
        }
    }

    #[tokio::test]
    async fn a_key_that_has_ended_is_not_rotated() {
        for test in apps().await {
            let owner = test.owner().await;
            let end = test.database.world.now() + Duration::from_secs(30);
            let brief = key(&test, &owner.token, json!({ "scopes": ["*"], "expires_at": end })).await;
            let revoked = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            test.app.delete(&format!("/api/v1/api-keys/{}", revoked.id)).token(&owner.token).send().await.expect(204);
            rotate(&test, &owner.token, &revoked.id, &json!({})).await.refused(409, "key_revoked");
            let long = json!({ "overlap_seconds": 604_801 });
            let problem = rotate(&test, &owner.token, &brief.id, &long).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "/overlap_seconds");
            test.advance(31).await;
            rotate(&test, &owner.token, &brief.id, &json!({})).await.refused(409, "key_expired");
        }
    }
}
