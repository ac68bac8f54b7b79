//! PATCH organizations/{id}

use plinth_core::{
    OrganizationId,
    api::tenants::{Organization, UpdateOrganization},
};
use plinth_gateway::{Body, Caller, Done, Endpoint, Json, Path, endpoint::patch};

use crate::{
    Identity,
    permissions::WriteOrganizations,
    tenancy::organizations::{self, Error},
    view,
};

pub fn endpoint() -> Endpoint<Identity> {
    patch("/api/v1/organizations/{id}", handler).summary("Change an organisation")
}

async fn handler(
    caller: Caller<WriteOrganizations>,
    Path(id): Path<OrganizationId>,
    Body(request): Body<UpdateOrganization>,
) -> Result<Done<Json<Organization>>, Error> {
    let tx = caller.change().await?;
    let row = organizations::find_locked(tx.scope(), id).await?;
    caller.require_match(&view::organization(&row))?;
    let organization = organizations::update(tx.scope(), row, request).await?;
    Ok(caller.commit(tx, Json(organization)).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::apps;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn name_and_slug_change_for_whoever_saw_the_latest() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let create = |slug: &str| {
                let request = test.app.post("/api/v1/organizations").token(&owner.token);
                request.json(&json!({ "name": "Team", "slug": slug })).send()
            };
            create("taken").await.expect(201);
            let team = create("team").await;
            let tag = team.header("etag").unwrap().to_owned();
            let path = format!("/api/v1/organizations/{}", team.expect(201)["id"].as_str().unwrap());
            let change = |token: &str, tag: &str, body: Value| {
                test.app.patch(&path).token(token).header("if-match", tag).json(&body).send()
            };
            change(&owner.token, &tag, json!({ "slug": "taken" })).await.refused(409, "slug_taken");
            change(&owner.token, &tag, json!({ "slug": null, "name": " " })).await.refused(422, "invalid");
            let changed = change(&owner.token, &tag, json!({ "name": "Crew" })).await.expect(200);
            assert_eq!((&changed["name"], &changed["slug"]), (&json!("Crew"), &json!("team")));
            change(&owner.token, &tag, json!({ "name": "Gang" })).await.refused(412, "stale");
            change(&other.token, "*", json!({ "name": "Mine" })).await.refused(404, "not_found");
            test.app.get(&path).token(&other.token).send().await.refused(404, "not_found");
            assert_eq!(test.app.get(&path).token(&owner.token).send().await.expect(200), changed);
        }
    }
}
