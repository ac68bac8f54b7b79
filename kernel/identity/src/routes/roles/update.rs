//! PATCH roles/{key}

use axum::extract::State;
use plinth_core::api::roles::{Role, UpdateRole};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    access::roles::{self, Error},
    permissions::WriteRoles,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/roles/{key}", handler).summary("Change a role").description(
        "A change of permissions counts at once for everybody who has the role. System roles cannot be changed.",
    )
}

async fn handler(
    caller: Caller<WriteRoles>,
    State(identity): State<Identity>,
    Path(key): Path<String>,
    Body(request): Body<UpdateRole>,
) -> Result<Done<Json<Role>>, Error> {
    let tx = caller.change().await?;
    let row = roles::changeable(tx.scope(), &key).await?;
    caller.require_match(&roles::show(&row)?)?;
    let role = roles::update(&identity, tx.scope(), caller.principal(), row, request).await?;
    Ok(caller.commit(tx, Json(role)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, role},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn a_change_of_permissions_counts_at_once() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = role(&test, &owner, &["roles:read"]).await;
            let member = member(&test, &owner, &[&key]).await;
            let list = || test.app.get("/api/v1/roles").token(&member.token).send();
            list().await.expect(200);
            let change =
                |request| test.app.patch(&format!("/api/v1/roles/{key}")).token(&owner.token).json(&request).send();
            let changed =
                change(json!({ "permissions": ["api_keys:read"], "description": "Sees keys" })).await.expect(200);
            assert_eq!(
                (&changed["permissions"], &changed["description"]),
                (&json!(["api_keys:read"]), &json!("Sees keys"))
            );
            list().await.refused(403, "permission_missing");
            let bare = change(json!({ "description": null })).await.expect(200);
            assert_eq!((&bare["permissions"], &bare["description"]), (&json!(["api_keys:read"]), &json!(null)));
        }
    }

    #[tokio::test]
    async fn a_role_is_changed_by_those_who_may_as_they_have_read_it() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let key = role(&test, &owner, &["roles:*"]).await;
            let member = member(&test, &owner, &[&key]).await;
            let path = format!("/api/v1/roles/{key}");
            let change = |token: &str, request| test.app.patch(&path).token(token).json(&request);
            change(&member.token, json!({ "permissions": ["*"] })).send().await.refused(403, "beyond_own_permissions");
            change(&other.token, json!({ "name": "Mine" })).send().await.refused(404, "not_found");
            for null in ["name", "permissions"] {
                let problem = change(&owner.token, json!({ null: null })).send().await.refused(422, "invalid");
                assert_eq!(problem["errors"][0]["pointer"], format!("/{null}"));
            }
            let tag = test.app.get(&path).token(&owner.token).send().await.header("etag").unwrap().to_owned();
            let rename = |name: &str| change(&owner.token, json!({ "name": name })).header("if-match", &tag);
            rename("First").send().await.expect(200);
            rename("Second").send().await.refused(412, "stale");
            let system =
                test.app.patch("/api/v1/roles/owner").token(&owner.token).json(&json!({ "name": "King" })).send().await;
            system.refused(409, "system_role");
        }
    }

    #[tokio::test]
    async fn a_name_that_another_role_has_is_refused() {
        for test in apps().await {
            let owner = test.owner().await;
            let (first, second) =
                (role(&test, &owner, &["roles:read"]).await, role(&test, &owner, &["roles:read"]).await);
            let first = test.app.get(&format!("/api/v1/roles/{first}")).token(&owner.token).send().await.expect(200);
            let rename = |name| {
                test.app
                    .patch(&format!("/api/v1/roles/{second}"))
                    .token(&owner.token)
                    .json(&json!({ "name": name }))
                    .send()
            };
            rename(first["name"].clone()).await.refused(409, "name_taken");
            rename(json!("viewer")).await.refused(409, "name_taken");
            rename(json!("Free")).await.expect(200);
        }
    }
}
