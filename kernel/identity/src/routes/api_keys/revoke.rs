//! DELETE api-keys/{id}: revokes a key.

use plinth_core::KeyId;
use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    access::api_keys::{self, Error},
    permissions::WriteApiKeys,
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/api-keys/{id}", handler).summary("Revoke an API key").description(
        "It stops working at once, and stays in the list with `revoked_at`. Revoking it again changes nothing.",
    )
}

async fn handler(caller: Caller<WriteApiKeys>, Path(id): Path<KeyId>) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    let row = api_keys::changeable(tx.scope(), id).await?;
    caller.require_match(&api_keys::show(&row)?)?;
    api_keys::revoke(tx.scope(), &row).await?;
    Ok(caller.commit(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn a_revoked_key_is_refused_at_once_and_stays_in_the_list() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let key = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let list = || test.app.get("/api/v1/roles").token(&key.text).send();
            let path = format!("/api/v1/api-keys/{}", key.id);
            let revoke = |token: &str| test.app.delete(&path).token(token).send();
            list().await.expect(200);
            revoke(&other.token).await.refused(404, "not_found");
            let viewer = member(&test, &owner, &["viewer"]).await;
            revoke(&viewer.token).await.refused(403, "permission_missing");
            list().await.expect(200);
            revoke(&owner.token).await.expect(204);
            list().await.refused(401, "token_revoked");
            let revoked_at = test.app.get(&path).token(&owner.token).send().await.expect(200)["revoked_at"].clone();
            assert!(revoked_at.is_string());
            test.advance(5).await;
            revoke(&owner.token).await.expect(204);
            assert_eq!(test.app.get(&path).token(&owner.token).send().await.expect(200)["revoked_at"], revoked_at);
        }
    }
}
