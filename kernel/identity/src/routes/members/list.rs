//! GET tenants/{id}/members

use plinth_core::{TenantId, api::users::Member};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, Path, endpoint::get};

use crate::{
    Identity,
    permissions::ReadMembers,
    tenancy::members::{self, Error},
};

struct Members;

impl ListSpec for Members {
    const SORTS: &'static [&'static str] = &["joined_at"];
    const FILTERS: &'static [&'static str] = &["role", "organization"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/tenants/{id}/members", handler).summary("List who belongs to the tenant").description(
        "`role` takes the key of a role, `organization` the id of one, `ids` the ids of people; `q` looks in names and \
         addresses.",
    )
}

async fn handler(
    caller: Caller<ReadMembers>,
    Path(id): Path<TenantId>,
    listing: Listing<Members>,
) -> Result<Paged<Member>, Error> {
    if id != caller.tenant() {
        return Err(Error::NotFound);
    }
    let tx = caller.read().await?;
    let (slice, total) = members::list(tx.scope(), &listing.0).await?;
    Ok(Paged::new(slice, &listing.0, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, role},
        testing::apps,
    };
    use serde_json::{Value, json};

    fn people(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|member| member["user"]["id"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn members_are_found_by_what_is_known_of_them() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let custom = role(&test, &owner, &["roles:read"]).await;
            let one = member(&test, &owner, &["viewer"]).await;
            let two = member(&test, &owner, &["member", &custom]).await;
            let team = test
                .app
                .post("/api/v1/organizations")
                .token(&owner.token)
                .json(&json!({ "name": "T", "slug": "team" }));
            let team = team.send().await.expect(201)["id"].as_str().unwrap().to_owned();
            let place = format!("/api/v1/organizations/{team}/members/{}", two.user);
            test.app.put(&place).token(&owner.token).json(&json!({ "role": "member" })).send().await.expect(200);
            let path = format!("/api/v1/tenants/{}/members", owner.tenant);
            let list = |query: String| test.app.get(&format!("{path}?{query}")).token(&one.token).send();
            let all = list(String::new()).await.expect(200);
            assert_eq!(people(&all), [&owner.user, &one.user, &two.user]);
            assert_eq!((&all["total_estimate"], &all["data"][0]["roles"]), (&json!(3), &json!(["owner"])));
            assert_eq!(all["data"][2]["organizations"], json!([team]));
            for (query, wanted) in [
                ("role=viewer".into(), &one.user),
                (format!("role={custom}"), &two.user),
                (format!("organization={team}"), &two.user),
                (format!("q={}", one.email.to_uppercase()), &one.user),
                (format!("ids={}", two.user), &two.user),
            ] {
                assert_eq!(people(&list(query.clone()).await.expect(200)), [wanted], "{query}");
            }
            let first = list("limit=2".into()).await.expect(200);
            let second = list(format!("limit=2&after={}", first["next"].as_str().unwrap())).await.expect(200);
            assert_eq!(people(&second), [&two.user]);
            list("role=king".into()).await.refused(422, "invalid");
            list("organization=none".into()).await.refused(422, "invalid");
            assert_eq!(people(&list(format!("q={}", other.email)).await.expect(200)), [""; 0]);
        }
    }

    #[tokio::test]
    async fn the_members_of_others_are_not_shown() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let path = format!("/api/v1/tenants/{}/members", owner.tenant);
            test.app.get(&path).token(&other.token).send().await.refused(404, "not_found");
            let narrow = role(&test, &owner, &["roles:read"]).await;
            let narrow = member(&test, &owner, &[&narrow]).await;
            test.app.get(&path).token(&narrow.token).send().await.refused(403, "permission_missing");
        }
    }
}
