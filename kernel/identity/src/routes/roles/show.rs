//! GET roles/{key}

use plinth_core::api::roles::Role;
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    access::roles::{self, Error},
    permissions::ReadRoles,
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/roles/{key}", handler)
        .summary("Show a role")
        .description("`key` is the name of a system role, such as `owner`, or the id of one of the tenant's own.")
}

async fn handler(caller: Caller<ReadRoles>, Path(key): Path<String>) -> Result<Json<Role>, Error> {
    let tx = caller.read().await?;
    Ok(Json(roles::get(tx.scope(), &key).await?))
}

#[cfg(test)]
mod tests {
    use crate::{routes::api_keys::testing::role, testing::apps};
    use serde_json::json;

    #[tokio::test]
    async fn system_roles_are_known_by_name_and_own_ones_by_id() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let key = role(&test, &owner, &["roles:read"]).await;
            let show = |token: &str, key: &str| test.app.get(&format!("/api/v1/roles/{key}")).token(token).send();
            let viewer = show(&owner.token, "viewer").await.expect(200);
            assert_eq!((&viewer["system"], &viewer["permissions"]), (&json!(true), &json!(["*:read"])));
            let own = show(&owner.token, &key).await.expect(200);
            assert_eq!((&own["system"], &own["key"], &own["id"]), (&json!(false), &json!(key), &json!(key)));
            show(&other.token, &key).await.refused(404, "not_found");
            show(&owner.token, "nonsense").await.refused(404, "not_found");
        }
    }
}
