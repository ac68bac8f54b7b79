//! DELETE tenants/{id}/members/{user}

use plinth_core::{TenantId, UserId};
use plinth_gateway::{Done, Endpoint, NoContent, Path, Person, endpoint::delete};

use crate::{
    Identity,
    accounts::profile::Oneself,
    tenancy::{
        members::{self, Error},
        tenants::locked,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/tenants/{id}/members/{user}", handler).summary("Remove a member, or leave").description(
        "Their sessions and API keys in this tenant end at once, and their places in its organisations. To remove somebody \
         else you act in the tenant and hold members:write; to leave you need nothing but to be somebody else than the last \
         owner.",
    )
}

async fn handler(person: Person, Path((id, user)): Path<(TenantId, UserId)>) -> Result<Done<NoContent>, Error> {
    let principal = person.principal();
    let leaves = Oneself::of(principal).is_ok_and(|oneself| oneself.user == user);
    if !leaves && principal.tenant != Some(id) {
        return Err(Error::NotFound);
    }
    let tx = person.change_system().await?;
    locked(&tx, id).await?.ok_or(Error::NotFound)?;
    if leaves {
        let member = members::find(tx.in_tenant(id), user).await?;
        person.require_match(&member)?;
        members::leave(&tx, principal, id, &member).await?;
    } else {
        members::require_may_remove(principal)?;
        let member = members::find(tx.in_tenant(id), user).await?;
        person.require_match(&member)?;
        members::remove(&tx, principal, id, user, &member).await?;
    }
    Ok(person.commit_system(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member},
        testing::{Actor, PASSWORD, TestApp, apps},
    };
    use plinth_testkit::Reply;
    use serde_json::json;

    async fn remove(test: &TestApp, token: &str, from: &str, whom: &Actor) -> Reply {
        test.app.delete(&format!("/api/v1/tenants/{from}/members/{}", whom.user)).token(token).send().await
    }

    #[tokio::test]
    async fn a_removed_member_is_out_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let member = member(&test, &owner, &["admin"]).await;
            let theirs = key(&test, &member.token, json!({ "scopes": ["*:read"] })).await;
            let team = test
                .app
                .post("/api/v1/organizations")
                .token(&owner.token)
                .json(&json!({ "name": "T", "slug": "team" }));
            let team = team.send().await.expect(201)["id"].as_str().unwrap().to_owned();
            let place = format!("/api/v1/organizations/{team}/members");
            let put = test.app.put(&format!("{place}/{}", member.user)).token(&owner.token);
            put.json(&json!({ "role": "member" })).send().await.expect(200);
            for token in [&member.token, &theirs.text] {
                test.app.get("/api/v1/me").token(token).send().await.expect(200);
            }
            remove(&test, &owner.token, &owner.tenant, &member).await.expect(204);
            for token in [&member.token, &theirs.text] {
                test.app.get("/api/v1/me").token(token).send().await.refused(401, "token_revoked");
            }
            let refresh = json!({ "refresh_token": member.refresh_token });
            test.app.post("/api/v1/auth/refresh").json(&refresh).send().await.refused(401, "token_revoked");
            let left = test.app.get(&place).token(&owner.token).send().await.expect(200);
            assert_eq!(left["data"], json!([]));
            remove(&test, &owner.token, &owner.tenant, &member).await.refused(404, "not_found");
            let login = json!({ "email": member.email, "password": PASSWORD });
            let home = Actor::of(&test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200));
            assert!(home.tenant != owner.tenant && !home.tenant.is_empty(), "the person has their own tenant still");
        }
    }

    #[tokio::test]
    async fn anybody_leaves_but_the_last_owner() {
        for test in apps().await {
            let owner = test.owner().await;
            let (one, two) = (member(&test, &owner, &["member"]).await, member(&test, &owner, &["owner"]).await);
            remove(&test, &one.token, &owner.tenant, &two).await.refused(403, "permission_missing");
            remove(&test, &one.token, &owner.tenant, &one).await.expect(204);
            let own = key(&test, &owner.token, json!({ "scopes": ["members:read"] })).await;
            remove(&test, &own.text, &owner.tenant, &owner).await.refused(403, "permission_missing");
            remove(&test, &two.token, &owner.tenant, &two).await.expect(204);
            remove(&test, &owner.token, &owner.tenant, &owner).await.refused(409, "last_owner");
            test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn one_leaves_a_tenant_from_elsewhere_too() {
        for test in apps().await {
            let owner = test.owner().await;
            let there = member(&test, &owner, &["member"]).await;
            let login = json!({ "email": there.email, "password": PASSWORD });
            let home = Actor::of(&test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200));
            assert_ne!(home.tenant, owner.tenant);
            remove(&test, &home.token, &owner.tenant, &there).await.expect(204);
            test.app.get("/api/v1/me").token(&there.token).send().await.refused(401, "token_revoked");
            test.app.get("/api/v1/me").token(&home.token).send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn nobody_removes_somebody_who_may_do_more_or_is_elsewhere() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let admin = member(&test, &owner, &["admin"]).await;
            remove(&test, &admin.token, &owner.tenant, &owner).await.refused(403, "holds_more");
            remove(&test, &other.token, &owner.tenant, &admin).await.refused(404, "not_found");
            remove(&test, &other.token, &other.tenant, &admin).await.refused(404, "not_found");
            remove(&test, &other.token, &owner.tenant, &other).await.refused(404, "not_found");
        }
    }

    #[tokio::test]
    async fn of_two_last_owners_who_leave_at_once_one_stays() {
        for test in apps().await {
            for _ in 0..3 {
                let one = test.owner().await;
                let two = member(&test, &one, &["owner"]).await;
                let (first, second) = tokio::join!(
                    remove(&test, &one.token, &one.tenant, &one),
                    remove(&test, &two.token, &one.tenant, &two)
                );
                let mut statuses = [first.status.as_u16(), second.status.as_u16()];
                statuses.sort_unstable();
                assert_eq!(statuses, [204, 409], "{} {}", first.text, second.text);
            }
        }
    }
}
