//! GET tenants/{id}/members/{user}

use plinth_core::{TenantId, UserId, api::users::Member};
use plinth_gateway::{Caller, Endpoint, Json, Path, endpoint::get};

use crate::{
    Identity,
    permissions::ReadMembers,
    tenancy::members::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/tenants/{id}/members/{user}", handler).summary("Show a member")
}

async fn handler(
    caller: Caller<ReadMembers>,
    Path((id, user)): Path<(TenantId, UserId)>,
) -> Result<Json<Member>, Error> {
    if id != caller.tenant() {
        return Err(Error::NotFound);
    }
    let tx = caller.read().await?;
    Ok(Json(members::find(tx.scope(), user).await?))
}

#[cfg(test)]
mod tests {
    use crate::testing::apps;

    #[tokio::test]
    async fn a_member_is_shown_to_their_own_tenant() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let show = |token: &str, tenant: &str, user: &str| {
                test.app.get(&format!("/api/v1/tenants/{tenant}/members/{user}")).token(token).send()
            };
            let member = show(&owner.token, &owner.tenant, &owner.user).await.expect(200);
            assert_eq!(member["user"]["email"], owner.email);
            show(&owner.token, &owner.tenant, &other.user).await.refused(404, "not_found");
            show(&other.token, &owner.tenant, &owner.user).await.refused(404, "not_found");
        }
    }
}
