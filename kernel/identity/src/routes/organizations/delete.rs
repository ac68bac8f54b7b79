//! DELETE organizations/{id}

use plinth_core::OrganizationId;
use plinth_gateway::{Caller, Done, Endpoint, NoContent, Path, endpoint::delete};

use crate::{
    Identity,
    permissions::WriteOrganizations,
    tenancy::{
        organizations::{self, Error},
        tenants::own_locked,
    },
    view,
};

pub fn endpoint() -> Endpoint<Identity> {
    delete("/api/v1/organizations/{id}", handler)
        .summary("Delete an organisation")
        .description("Its people stay in the tenant.")
}

async fn handler(caller: Caller<WriteOrganizations>, Path(id): Path<OrganizationId>) -> Result<Done<NoContent>, Error> {
    let tx = caller.change().await?;
    own_locked(tx.scope()).await?;
    let row = organizations::find_locked(tx.scope(), id).await?;
    caller.require_match(&view::organization(&row))?;
    organizations::delete(tx.scope(), &row).await?;
    Ok(caller.commit(tx, NoContent).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::apps;
    use serde_json::json;

    #[tokio::test]
    async fn it_goes_and_its_people_stay() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let team = test
                .app
                .post("/api/v1/organizations")
                .token(&owner.token)
                .json(&json!({ "name": "T", "slug": "team" }));
            let path = format!("/api/v1/organizations/{}", team.send().await.expect(201)["id"].as_str().unwrap());
            let put = test.app.put(&format!("{path}/members/{}", owner.user)).token(&owner.token);
            put.json(&json!({ "role": "manager" })).send().await.expect(200);
            test.app.delete(&path).token(&other.token).send().await.refused(404, "not_found");
            test.app.delete(&path).token(&owner.token).send().await.expect(204);
            test.app.delete(&path).token(&owner.token).send().await.refused(404, "not_found");
            let member = format!("/api/v1/tenants/{}/members/{}", owner.tenant, owner.user);
            let member = test.app.get(&member).token(&owner.token).send().await.expect(200);
            assert_eq!(member["organizations"], json!([]));
        }
    }
}
