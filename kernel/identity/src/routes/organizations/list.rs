//! GET organizations

use plinth_core::api::tenants::Organization;
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};

use crate::{
    Identity,
    permissions::ReadOrganizations,
    tenancy::organizations::{self, Error},
};

struct Organizations;

impl ListSpec for Organizations {
    const SORTS: &'static [&'static str] = &["created_at", "name", "slug"];
    const FILTERS: &'static [&'static str] = &["slug", "user"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/organizations", handler)
        .summary("List organisations")
        .description("`user` leaves those that a member belongs to; `q` looks in name and slug.")
}

async fn handler(
    caller: Caller<ReadOrganizations>,
    listing: Listing<Organizations>,
) -> Result<Paged<Organization>, Error> {
    let tx = caller.read().await?;
    let (slice, total) = organizations::list(tx.scope(), &listing.0).await?;
    Ok(Paged::new(slice, &listing.0, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::testing::apps;
    use serde_json::{Value, json};

    fn slugs(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|row| row["slug"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn they_are_sorted_filtered_and_paged() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let mut ids = Vec::new();
            for (name, slug) in [("Zoo", "zoo"), ("Ärzte", "doctors"), ("Lab_1", "lab")] {
                let request = test.app.post("/api/v1/organizations").token(&owner.token);
                let created = request.json(&json!({ "name": name, "slug": slug })).send().await.expect(201);
                ids.push(created["id"].as_str().unwrap().to_owned());
            }
            let list =
                |query: String| test.app.get(&format!("/api/v1/organizations?{query}")).token(&owner.token).send();
            let all = list(String::new()).await.expect(200);
            assert_eq!((slugs(&all), &all["total_estimate"]), (vec!["zoo", "doctors", "lab"], &json!(3)));
            assert_eq!(slugs(&list("sort=-slug".into()).await.expect(200)), ["zoo", "lab", "doctors"]);
            assert_eq!(slugs(&list("slug=lab".into()).await.expect(200)), ["lab"]);
            assert_eq!(slugs(&list("q=%C3%84rz".into()).await.expect(200)), ["doctors"]);
            assert_eq!(slugs(&list("q=b_".into()).await.expect(200)), ["lab"], "_ is no wildcard");
            assert_eq!(slugs(&list(format!("ids={},{}", ids[0], ids[2])).await.expect(200)), ["zoo", "lab"]);
            let put =
                test.app.put(&format!("/api/v1/organizations/{}/members/{}", ids[1], owner.user)).token(&owner.token);
            put.json(&json!({ "role": "member" })).send().await.expect(200);
            assert_eq!(slugs(&list(format!("user={}", owner.user)).await.expect(200)), ["doctors"]);
            list("user=me".into()).await.refused(422, "invalid");
            let first = list("limit=2".into()).await.expect(200);
            let second = list(format!("limit=2&after={}", first["next"].as_str().unwrap())).await.expect(200);
            assert_eq!(slugs(&second), ["lab"]);
            let theirs = test.app.get("/api/v1/organizations").token(&other.token).send().await.expect(200);
            assert_eq!(theirs["data"], json!([]));
        }
    }
}
