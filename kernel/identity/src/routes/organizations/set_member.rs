//! PUT organizations/{id}/members/{user}

use plinth_core::{
    OrganizationId, UserId,
    api::tenants::{OrganizationMember, SetOrganizationMember},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::put};

use crate::{
    Identity,
    permissions::ReadOrganizations,
    tenancy::{
        organizations::{self, Error, members},
        tenants::own_locked,
    },
};

pub fn endpoint() -> Endpoint<Identity> {
    put("/api/v1/organizations/{id}/members/{user}", handler)
        .summary("Add a member to an organisation, or change their role")
        .description("Whoever holds organizations:write may, and a manager of the organisation. The person belongs to the tenant.")
}

async fn handler(
    caller: Caller<ReadOrganizations>,
    Path((id, user)): Path<(OrganizationId, UserId)>,
    Body(request): Body<SetOrganizationMember>,
) -> Result<Done<Json<OrganizationMember>>, Error> {
    let tx = caller.change().await?;
    own_locked(tx.scope()).await?;
    organizations::find(tx.scope(), id).await?;
    if let Some(member) = members::find(tx.scope(), id, user).await? {
        caller.require_match(&member)?;
    }
    let member = members::set(tx.scope(), caller.principal(), id, user, request.role).await?;
    Ok(caller.commit(tx, Json(member)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, role},
        testing::{Actor, TestApp, apps},
    };
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    async fn team(test: &TestApp, owner: &Actor) -> String {
        let request =
            test.app.post("/api/v1/organizations").token(&owner.token).json(&json!({ "name": "T", "slug": "team" }));
        request.send().await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    async fn set(test: &TestApp, token: &str, team: &str, user: &str, role: &str) -> Reply {
        let request = test.app.put(&format!("/api/v1/organizations/{team}/members/{user}")).token(token);
        request.json(&json!({ "role": role })).send().await
    }

    async fn remove(test: &TestApp, token: &str, team: &str, user: &str) -> Reply {
        test.app.delete(&format!("/api/v1/organizations/{team}/members/{user}")).token(token).send().await
    }

    async fn list(test: &TestApp, token: &str, team: &str, query: &str) -> Value {
        test.app.get(&format!("/api/v1/organizations/{team}/members?{query}")).token(token).send().await.expect(200)
    }

    fn people(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|row| row["user"]["id"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn people_are_added_changed_listed_and_taken_out() {
        for test in apps().await {
            let owner = test.owner().await;
            let (team, one) = (team(&test, &owner).await, member(&test, &owner, &["member"]).await);
            let added = set(&test, &owner.token, &team, &one.user, "member").await.expect(200);
            assert_eq!((&added["user"]["id"], &added["role"]), (&json!(one.user), &json!("member")));
            set(&test, &owner.token, &team, &owner.user, "manager").await.expect(200);
            let changed = set(&test, &owner.token, &team, &one.user, "manager").await.expect(200);
            assert_eq!((&changed["role"], &changed["joined_at"]), (&json!("manager"), &added["joined_at"]));
            set(&test, &owner.token, &team, &one.user, "member").await.expect(200);
            let all = list(&test, &one.token, &team, "").await;
            assert_eq!((people(&all), &all["total_estimate"]), (vec![&*one.user, &*owner.user], &json!(2)));
            assert_eq!(people(&list(&test, &one.token, &team, "role=manager").await), [&owner.user]);
            assert_eq!(people(&list(&test, &one.token, &team, &format!("q={}", one.email)).await), [&one.user]);
            let first = list(&test, &one.token, &team, "limit=1").await;
            let second =
                list(&test, &one.token, &team, &format!("limit=1&after={}", first["next"].as_str().unwrap())).await;
            assert_eq!(people(&second), [&owner.user]);
            remove(&test, &owner.token, &team, &one.user).await.expect(204);
            remove(&test, &owner.token, &team, &one.user).await.refused(404, "not_found");
            set(&test, &owner.token, &team, &one.user, "king").await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn a_manager_decides_about_their_own_organisation_only() {
        for test in apps().await {
            let owner = test.owner().await;
            let team = team(&test, &owner).await;
            let other = test
                .app
                .post("/api/v1/organizations")
                .token(&owner.token)
                .json(&json!({ "name": "O", "slug": "other" }));
            let other = other.send().await.expect(201)["id"].as_str().unwrap().to_owned();
            let keys = role(&test, &owner, &["api_keys:write"]).await;
            let (boss, one) =
                (member(&test, &owner, &["member", &keys]).await, member(&test, &owner, &["member"]).await);
            set(&test, &boss.token, &team, &one.user, "member").await.refused(403, "permission_missing");
            set(&test, &owner.token, &team, &boss.user, "manager").await.expect(200);
            set(&test, &boss.token, &team, &one.user, "member").await.expect(200);
            set(&test, &boss.token, &other, &one.user, "member").await.refused(403, "permission_missing");
            set(&test, &one.token, &team, &one.user, "manager").await.refused(403, "permission_missing");
            remove(&test, &one.token, &team, &boss.user).await.refused(403, "permission_missing");
            remove(&test, &one.token, &team, &one.user).await.expect(204);
            let narrow = key(&test, &boss.token, json!({ "scopes": ["organizations:read"] })).await;
            set(&test, &narrow.text, &team, &one.user, "member").await.refused(403, "permission_missing");
            set(&test, &boss.token, &team, &one.user, "member").await.expect(200);
            remove(&test, &boss.token, &team, &one.user).await.expect(204);
        }
    }

    #[tokio::test]
    async fn nobody_from_elsewhere_is_added_or_sees_anything() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let team = team(&test, &owner).await;
            set(&test, &owner.token, &team, &stranger.user, "member").await.refused(404, "not_found");
            set(&test, &stranger.token, &team, &stranger.user, "member").await.refused(404, "not_found");
            remove(&test, &stranger.token, &team, &owner.user).await.refused(404, "not_found");
            let path = format!("/api/v1/organizations/{team}/members");
            test.app.get(&path).token(&stranger.token).send().await.refused(404, "not_found");
            let request = test.app.put(&format!("{path}/{}", owner.user)).token(&owner.token);
            request.json(&json!({ "role": "member", "x": 1 })).send().await.refused(422, "invalid");
        }
    }
}
