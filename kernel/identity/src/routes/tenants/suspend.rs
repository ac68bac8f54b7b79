//! POST tenants/{id}/suspend

use plinth_core::{
    TenantId,
    api::tenants::{Reason, Tenant},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::post};

use crate::{
    Identity,
    permissions::SuspendTenants,
    tenancy::tenants::life::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/tenants/{id}/suspend", handler).summary("Suspend a tenant").description(
        "Nobody can work in it until it is resumed, and its API keys are refused; its data is kept. Its owners are told the \
         reason by mail.",
    )
}

async fn handler(
    caller: Caller<SuspendTenants>,
    Path(id): Path<TenantId>,
    Body(request): Body<Reason>,
) -> Result<Done<Json<Tenant>>, Error> {
    let tx = caller.change_system().await?;
    let tenant = life::suspend(&tx, id, &request.reason).await?;
    Ok(caller.commit_system(tx, Json(tenant)).await?)
}

#[cfg(test)]
mod tests {
    use plinth_core::SYSTEM_TENANT;
    use serde_json::json;

    use crate::{
        routes::api_keys::testing::{key, operator},
        testing::apps,
    };

    #[tokio::test]
    async fn a_suspended_tenant_is_shut_until_it_is_resumed() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let key = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let act = |what: &str, body| {
                let request = test.app.post(&format!("/api/v1/tenants/{}/{what}", owner.tenant)).token(&operator.token);
                if what == "resume" { request.send() } else { request.json(&body).send() }
            };
            act("resume", json!(null)).await.refused(409, "tenant_state");
            act("suspend", json!({ "reason": " " })).await.refused(422, "invalid");
            let suspended = act("suspend", json!({ "reason": "unpaid" })).await.expect(200);
            assert_eq!((&suspended["state"], &suspended["state_reason"]), (&json!("suspended"), &json!("unpaid")));
            assert_eq!(test.mail_to(&owner.email).await.0, "tenant_suspended");
            for token in [&owner.token, &key.text] {
                test.app.get("/api/v1/me").token(token).send().await.refused(403, "tenant_suspended");
            }
            act("suspend", json!({ "reason": "again" })).await.refused(409, "tenant_state");
            let resumed = act("resume", json!(null)).await.expect(200);
            assert_eq!((&resumed["state"], &resumed["state_reason"]), (&json!("active"), &json!(null)));
            for token in [&owner.token, &key.text] {
                test.app.get("/api/v1/me").token(token).send().await.expect(200);
            }
        }
    }

    #[tokio::test]
    async fn only_operators_suspend_and_never_themselves() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let suspend = |token: &str, id: &str| {
                test.app
                    .post(&format!("/api/v1/tenants/{id}/suspend"))
                    .token(token)
                    .json(&json!({ "reason": "r" }))
                    .send()
            };
            suspend(&owner.token, &owner.tenant).await.refused(403, "permission_missing");
            suspend(&operator.token, &SYSTEM_TENANT.to_string()).await.refused(409, "system_tenant");
            let unknown = plinth_core::TenantId::from_uuid(uuid::Uuid::from_u128(99)).to_string();
            suspend(&operator.token, &unknown).await.refused(404, "not_found");
        }
    }
}
