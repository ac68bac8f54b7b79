//! GET tenants

use plinth_core::api::tenants::Tenant;
use plinth_gateway::{Endpoint, ListSpec, Listing, Paged, Person, endpoint::get};

use crate::{
    Identity,
    tenancy::tenants::{self, Error},
};

struct Tenants;

impl ListSpec for Tenants {
    const SORTS: &'static [&'static str] = &["created_at", "name", "slug"];
    const FILTERS: &'static [&'static str] = &["status", "slug"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/tenants", handler).summary("List tenants").description(
        "The ones you belong to; with an API key the one it is for. An operator who holds tenants:read sees all. `status` is \
         active, suspended, pending_deletion or erased; `q` looks in name and slug.",
    )
}

async fn handler(person: Person, listing: Listing<Tenants>) -> Result<Paged<Tenant>, Error> {
    let tx = person.read_system().await?;
    let (slice, total) = tenants::list(&tx, person.principal(), &listing.0).await?;
    Ok(Paged::new(slice, &listing.0, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{key, member, operator},
        testing::{TestApp, apps},
    };
    use serde_json::{Value, json};

    fn ids(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|tenant| tenant["id"].as_str().unwrap()).collect()
    }

    async fn list(test: &TestApp, token: &str, query: &str) -> Value {
        test.app.get(&format!("/api/v1/tenants?{query}")).token(token).send().await.expect(200)
    }

    #[tokio::test]
    async fn people_see_their_own_and_operators_all() {
        for test in apps().await {
            let (one, two, operator) = (test.owner().await, test.owner().await, operator(&test).await);
            assert_eq!(ids(&list(&test, &one.token, "").await), [one.tenant.as_str()]);
            let both = member(&test, &one, &["member"]).await;
            let seen = list(&test, &both.token, "").await;
            assert_eq!(seen["total_estimate"], 2);
            assert!(ids(&seen).contains(&one.tenant.as_str()) && !ids(&seen).contains(&two.tenant.as_str()));
            let all = list(&test, &operator.token, "sort=name").await;
            assert_eq!(all["total_estimate"], 4, "{all}");
        }
    }

    #[tokio::test]
    async fn a_key_sees_the_tenant_it_is_for() {
        for test in apps().await {
            let owner = test.owner().await;
            let both = member(&test, &owner, &["admin"]).await;
            let key = key(&test, &both.token, json!({ "scopes": ["*"] })).await;
            assert_eq!(ids(&list(&test, &key.text, "").await), [owner.tenant.as_str()]);
        }
    }

    #[tokio::test]
    async fn filters_narrow_and_pages_follow_each_other() {
        for test in apps().await {
            let (one, two, operator) = (test.owner().await, test.owner().await, operator(&test).await);
            let slug = list(&test, &one.token, "").await["data"][0]["slug"].as_str().unwrap().to_owned();
            assert_eq!(ids(&list(&test, &operator.token, &format!("slug={slug}")).await), [one.tenant.as_str()]);
            assert_eq!(
                ids(&list(&test, &operator.token, &format!("q={}", slug.to_uppercase())).await),
                [one.tenant.as_str()]
            );
            assert_eq!(ids(&list(&test, &operator.token, &format!("ids={}", two.tenant)).await), [two.tenant.as_str()]);
            assert_eq!(list(&test, &operator.token, "status=suspended").await["data"], json!([]));
            let first = list(&test, &operator.token, "sort=slug&limit=2").await;
            let after = first["next"].as_str().unwrap();
            let second = list(&test, &operator.token, &format!("sort=slug&limit=2&after={after}")).await;
            let seen = [ids(&first), ids(&second)].concat();
            assert_eq!(seen.len(), 3);
            assert!(seen.contains(&one.tenant.as_str()) && seen.contains(&two.tenant.as_str()));
            let wrong =
                test.app.get("/api/v1/tenants?status=gone").token(&one.token).send().await.refused(422, "invalid");
            assert_eq!(wrong["errors"][0]["pointer"], "status");
            test.app.get("/api/v1/tenants").send().await.refused(401, "authentication_needed");
        }
    }
}
