//! PATCH tenants/{id}

use plinth_core::{
    TenantId,
    api::tenants::{Tenant, UpdateTenant},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    permissions::WriteTenant,
    tenancy::tenants::{self, Error},
    view,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/tenants/{id}", handler).summary("Change a tenant").description(
        "Name and slug of the tenant you act in. `limits` are set by operators who hold tenants:limit, of any tenant: a limit \
         that is left out stays, `null` takes it away.",
    )
}

async fn handler(
    caller: Caller<WriteTenant>,
    Path(id): Path<TenantId>,
    Body(request): Body<UpdateTenant>,
) -> Result<Done<Json<Tenant>>, Error> {
    tenants::may_update(caller.principal(), caller.tenant(), id, &request)?;
    let tx = caller.change_system().await?;
    let row = tenants::locked(&tx, id).await?.ok_or(Error::NotFound)?;
    caller.require_match(&view::tenant(&row)?)?;
    let tenant = tenants::update(&tx, row, request).await?;
    Ok(caller.commit_system(tx, Json(tenant)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, operator},
        testing::{TestApp, apps},
    };
    use plinth_testkit::Reply;
    use serde_json::{Value, json};

    async fn change(test: &TestApp, token: &str, id: &str, body: Value) -> Reply {
        test.app.patch(&format!("/api/v1/tenants/{id}")).token(token).json(&body).send().await
    }

    #[tokio::test]
    async fn an_owner_changes_name_and_slug() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let changed =
                change(&test, &owner.token, &owner.tenant, json!({ "name": "New", "slug": "new-slug" })).await;
            let changed = changed.expect(200);
            assert_eq!((&changed["name"], &changed["slug"]), (&json!("New"), &json!("new-slug")));
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            assert_eq!(me["tenant"]["name"], "New", "nothing old is remembered");
            change(&test, &other.token, &other.tenant, json!({ "slug": "new-slug" })).await.refused(409, "slug_taken");
            change(&test, &other.token, &owner.tenant, json!({ "name": "Mine" })).await.refused(404, "not_found");
            let wrong = change(&test, &owner.token, &owner.tenant, json!({ "name": null, "slug": "-" })).await;
            assert_eq!(wrong.refused(422, "invalid")["errors"].as_array().unwrap().len(), 2);
            let member = member(&test, &owner, &["member"]).await;
            change(&test, &member.token, &owner.tenant, json!({ "name": "M" }))
                .await
                .refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn a_change_is_refused_after_another_one() {
        for test in apps().await {
            let owner = test.owner().await;
            let path = format!("/api/v1/tenants/{}", owner.tenant);
            let seen = test.app.get(&path).token(&owner.token).send().await;
            let tag = seen.header("etag").unwrap().to_owned();
            let change = |name: &str| {
                test.app.patch(&path).token(&owner.token).header("if-match", &tag).json(&json!({ "name": name }))
            };
            change("One").send().await.expect(200);
            change("Two").send().await.refused(412, "stale");
        }
    }

    #[tokio::test]
    async fn limits_are_for_operators() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let wish = json!({ "limits": { "users": 5, "organizations": 2 } });
            change(&test, &owner.token, &owner.tenant, wish.clone()).await.refused(403, "permission_missing");
            let set = change(&test, &operator.token, &owner.tenant, wish).await.expect(200);
            assert_eq!(set["limits"], json!({ "users": 5, "organizations": 2 }));
            let more = json!({ "limits": { "users": null, "api_keys": 3 } });
            let set = change(&test, &operator.token, &owner.tenant, more).await.expect(200);
            assert_eq!(set["limits"], json!({ "organizations": 2, "api_keys": 3 }));
            change(&test, &operator.token, &owner.tenant, json!({ "limits": { "users": 0 } }))
                .await
                .refused(422, "invalid");
            change(&test, &operator.token, &owner.tenant, json!({ "name": "X" })).await.refused(403, "not_your_tenant");
            let none = change(&test, &operator.token, &owner.tenant, json!({ "limits": null })).await.expect(200);
            assert_eq!(none["limits"], json!({}));
            let visit = test.app.patch(&format!("/api/v1/tenants/{}", owner.tenant)).token(&operator.token);
            let visit = visit.header("plinth-tenant", &owner.tenant).json(&json!({ "name": "Renamed" }));
            assert_eq!(visit.send().await.expect(200)["name"], "Renamed");
        }
    }
}
