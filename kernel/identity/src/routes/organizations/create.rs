//! POST organizations

use plinth_core::api::tenants::{CreateOrganization, Organization};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    permissions::WriteOrganizations,
    tenancy::organizations::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/organizations", handler).summary("Create an organisation")
}

async fn handler(
    caller: Caller<WriteOrganizations>,
    Body(request): Body<CreateOrganization>,
) -> Result<Done<Created<Organization>>, Error> {
    let tx = caller.change().await?;
    let organization = organizations::create(tx.scope(), request).await?;
    Ok(caller.commit(tx, Created(organization)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, operator},
        testing::apps,
    };
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_slug_is_taken_once_in_each_tenant() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let create =
                |token: &str, body: Value| test.app.post("/api/v1/organizations").token(token).json(&body).send();
            let body = json!({ "name": " Team ", "slug": "team" });
            let created = create(&owner.token, body.clone()).await.expect(201);
            assert_eq!((&created["name"], &created["slug"]), (&json!("Team"), &json!("team")));
            create(&owner.token, body.clone()).await.refused(409, "slug_taken");
            create(&other.token, body.clone()).await.expect(201);
            let wrong = create(&owner.token, json!({ "name": "", "slug": "T" })).await.refused(422, "invalid");
            assert_eq!(wrong["errors"].as_array().unwrap().len(), 2);
            create(&owner.token, json!({ "name": "N", "slug": "new", "x": 1 })).await.refused(422, "invalid");
            let viewer = member(&test, &owner, &["viewer"]).await;
            create(&viewer.token, body).await.refused(403, "permission_missing");
        }
    }

    #[tokio::test]
    async fn the_last_place_under_a_limit_is_given_once() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let limit = test.app.patch(&format!("/api/v1/tenants/{}", owner.tenant)).token(&operator.token);
            limit.json(&json!({ "limits": { "organizations": 1 } })).send().await.expect(200);
            let create = async |number: u32| {
                let request = test.app.post("/api/v1/organizations").token(&owner.token);
                request.json(&json!({ "name": "Team", "slug": format!("team-{number}") })).send().await
            };
            let (a, b, c, d) = tokio::join!(create(1), create(2), create(3), create(4));
            let mut statuses = [a, b, c, d].map(|reply| reply.status.as_u16());
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409, 409, 409]);
            create(5).await.refused(409, "limit_reached");
        }
    }
}
