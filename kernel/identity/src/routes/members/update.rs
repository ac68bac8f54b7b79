//! PATCH tenants/{id}/members/{user}

use plinth_core::{
    TenantId, UserId,
    api::users::{Member, UpdateMember},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    permissions::WriteMembers,
    tenancy::{
        members::{self, Error},
        tenants::own_locked,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/tenants/{id}/members/{user}", handler).summary("Give a member other roles").description(
        "They count at once. You cannot give roles that allow more than you may do, nor change somebody who may do more. The \
         last owner stays one.",
    )
}

async fn handler(
    caller: Caller<WriteMembers>,
    Path((id, user)): Path<(TenantId, UserId)>,
    Body(request): Body<UpdateMember>,
) -> Result<Done<Json<Member>>, Error> {
    if id != caller.tenant() {
        return Err(Error::NotFound);
    }
    let tx = caller.change().await?;
    own_locked(tx.scope()).await?;
    let member = members::find(tx.scope(), user).await?;
    caller.require_match(&member)?;
    let member = members::update(tx.scope(), caller.principal(), user, member, request).await?;
    Ok(caller.commit(tx, Json(member)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, role},
        testing::{Actor, TestApp, apps},
    };
    use plinth_testkit::Reply;
    use serde_json::json;

    async fn give(test: &TestApp, token: &str, to: &Actor, roles: &[&str]) -> Reply {
        let path = format!("/api/v1/tenants/{}/members/{}", to.tenant, to.user);
        test.app.patch(&path).token(token).json(&json!({ "roles": roles })).send().await
    }

    #[tokio::test]
    async fn roles_are_given_and_count_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let member = member(&test, &owner, &["member"]).await;
            let custom = role(&test, &owner, &["roles:read"]).await;
            test.app.get("/api/v1/roles").token(&member.token).send().await.refused(403, "permission_missing");
            let given = give(&test, &owner.token, &member, &["member", &custom, "member"]).await.expect(200);
            let mut wanted = vec!["member".to_owned(), custom];
            wanted.sort();
            assert_eq!(given["roles"], json!(wanted));
            test.app.get("/api/v1/roles").token(&member.token).send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn roles_that_do_not_exist_are_refused() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let member = member(&test, &owner, &["member"]).await;
            let foreign = role(&test, &other, &["roles:read"]).await;
            for bad in ["king", foreign.as_str()] {
                let refused = give(&test, &owner.token, &member, &["member", bad]).await.refused(422, "invalid");
                assert_eq!(refused["errors"][0]["pointer"], "/roles/1");
            }
            give(&test, &owner.token, &member, &[]).await.refused(422, "invalid");
            let path = format!("/api/v1/tenants/{}/members/{}", member.tenant, member.user);
            let extra = json!({ "roles": ["member"], "name": "N" });
            test.app.patch(&path).token(&owner.token).json(&extra).send().await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn nobody_gives_or_takes_what_they_do_not_have() {
        for test in apps().await {
            let owner = test.owner().await;
            let (admin, member) = (member(&test, &owner, &["admin"]).await, member(&test, &owner, &["member"]).await);
            give(&test, &admin.token, &member, &["owner"]).await.refused(403, "beyond_own_permissions");
            give(&test, &admin.token, &admin, &["owner"]).await.refused(403, "beyond_own_permissions");
            give(&test, &admin.token, &owner, &["member"]).await.refused(403, "holds_more");
            give(&test, &member.token, &member, &["member"]).await.refused(403, "permission_missing");
            give(&test, &admin.token, &member, &["viewer"]).await.expect(200);
            let narrow = key(&test, &owner.token, json!({ "scopes": ["members:write", "members:read"] })).await;
            give(&test, &narrow.text, &member, &["admin"]).await.refused(403, "holds_more");
        }
    }

    #[tokio::test]
    async fn the_last_owner_stays_one() {
        for test in apps().await {
            let owner = test.owner().await;
            let second = member(&test, &owner, &["member"]).await;
            give(&test, &owner.token, &owner, &["admin"]).await.refused(409, "last_owner");
            give(&test, &owner.token, &second, &["owner"]).await.expect(200);
            give(&test, &owner.token, &owner, &["admin"]).await.expect(200);
            give(&test, &second.token, &second, &["admin"]).await.refused(409, "last_owner");
        }
    }

    #[tokio::test]
    async fn people_of_others_do_not_exist() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            give(&test, &other.token, &owner, &["member"]).await.refused(404, "not_found");
            let mixed = Actor { tenant: other.tenant.clone(), ..owner };
            give(&test, &other.token, &mixed, &["member"]).await.refused(404, "not_found");
        }
    }
}
