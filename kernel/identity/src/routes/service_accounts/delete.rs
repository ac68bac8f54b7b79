//! DELETE service-accounts/{id}

use plinth_core::ServiceAccountId;
use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    access::service_accounts::{self, Error},
    permissions::WriteServiceAccounts,
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/service-accounts/{id}", handler)
        .summary("Delete a service account")
        .description("All its keys are revoked and stop working at once.")
}

async fn handler(
    caller: Caller<WriteServiceAccounts>,
    Path(id): Path<ServiceAccountId>,
) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    let row = service_accounts::changeable(tx.scope(), id).await?;
    caller.require_match(&service_accounts::show(&row)?)?;
    service_accounts::delete(tx.scope(), &row).await?;
    Ok(caller.commit(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, service_account},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn its_keys_end_with_it() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let id = service_account(&test, &owner, &["viewer"]).await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*:read"], "service_account": id })).await;
            test.app.get("/api/v1/roles").token(&key.text).send().await.expect(200);
            let delete = |token: &str| test.app.delete(&format!("/api/v1/service-accounts/{id}")).token(token).send();
            delete(&other.token).await.refused(404, "not_found");
            delete(&owner.token).await.expect(204);
            test.app.get("/api/v1/roles").token(&key.text).send().await.refused(401, "token_revoked");
            let shown =
                test.app.get(&format!("/api/v1/api-keys/{}", key.id)).token(&owner.token).send().await.expect(200);
            assert!(shown["revoked_at"].is_string(), "{shown}");
            delete(&owner.token).await.refused(404, "not_found");
        }
    }
}
