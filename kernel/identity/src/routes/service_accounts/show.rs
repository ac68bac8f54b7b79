//! GET service-accounts/{id}

use plinth_core::{ServiceAccountId, api::keys::ServiceAccount};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    access::service_accounts::{self, Error},
    permissions::ReadServiceAccounts,
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/service-accounts/{id}", handler).summary("Show a service account")
}

async fn handler(
    caller: Caller<ReadServiceAccounts>,
    Path(id): Path<ServiceAccountId>,
) -> Result<Json<ServiceAccount>, Error> {
    let tx = caller.read().await?;
    Ok(Json(service_accounts::show(&service_accounts::find(tx.scope(), id).await?)?))
}

#[cfg(test)]
mod tests {
    use crate::{routes::api_keys::testing::service_account, testing::apps};

    #[tokio::test]
    async fn it_is_seen_in_its_tenant_only() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let id = service_account(&test, &owner, &["viewer"]).await;
            let show =
                |token: &str, id: &str| test.app.get(&format!("/api/v1/service-accounts/{id}")).token(token).send();
            assert_eq!(show(&owner.token, &id).await.expect(200)["id"], id);
            show(&other.token, &id).await.refused(404, "not_found");
            show(&owner.token, "sva_nonsense").await.refused(404, "not_found");
        }
    }
}
