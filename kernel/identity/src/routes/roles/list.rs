//! GET roles: the system roles and the tenant's own.

use plinth_core::{RoleId, api::roles::Role, page::CursorValue};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};
use uuid::Uuid;

use crate::{
    Identity,
    access::roles::{self, Error, Placed, window},
    permissions::ReadRoles,
};

struct Roles;

impl ListSpec for Roles {
    const SORTS: &'static [&'static str] = &["created_at", "name"];
    const FILTERS: &'static [&'static str] = &["system"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/roles", handler).summary("List the roles").description(
        "System roles, which every tenant has, come first; the tenant's own follow by age. `ids` takes keys. \
         `system=false` leaves the tenant's own.",
    )
}

async fn handler(caller: Caller<ReadRoles>, listing: Listing<Roles>) -> Result<Paged<Role>, Error> {
    let asked = listing.0;
    let system = match asked.filter("system") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Error::invalid_filter("system", "true or false")),
    };
    let search = asked.search.as_deref().map(str::to_lowercase);
    let wanted = |role: &Role| {
        system.is_none_or(|system| system == role.system)
            && asked.ids.as_ref().is_none_or(|keys| keys.contains(&role.key))
            && search.as_ref().is_none_or(|text| role.name.to_lowercase().contains(text) || role.key.contains(text))
    };
    let all = roles::all(caller.read().await?.scope()).await?;
    let placed: Vec<_> = all
        .into_iter()
        .enumerate()
        .filter(|(_, role)| wanted(role))
        .map(|(index, role)| Placed {
            by: if asked.sort == "name" {
                CursorValue::Text(role.name.clone())
            } else {
                CursorValue::Number(role.created_at.map_or(0, plinth_core::Timestamp::millis))
            },
            // System roles stand first in the list, in a fixed order: their number tells them apart.
            id: role.id.map_or(Uuid::from_u128(index as u128), RoleId::uuid),
            thing: role,
        })
        .collect();
    let total = placed.len() as u64;
    Ok(Paged::new(window(placed, &asked), &asked, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, role},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn system_roles_come_first_and_own_ones_follow() {
        for test in apps().await {
            let owner = test.owner().await;
            let own = role(&test, &owner, &["roles:read"]).await;
            let list = |query: &str| test.app.get(&format!("/api/v1/roles{query}")).token(&owner.token).send();
            let keys = |page: &serde_json::Value| -> Vec<String> {
                page["data"].as_array().unwrap().iter().map(|role| role["key"].as_str().unwrap().to_owned()).collect()
            };
            let all = list("").await.expect(200);
            assert_eq!(keys(&all), ["owner", "admin", "viewer", "member", own.as_str()]);
            assert_eq!(all["total_estimate"], 5);
            let first = list("?limit=2").await.expect(200);
            let second = list(&format!("?limit=2&after={}", first["next"].as_str().unwrap())).await.expect(200);
            assert_eq!(keys(&second), ["viewer", "member"]);
            assert_eq!(keys(&list("?system=false").await.expect(200)), [own.as_str()]);
            assert_eq!(keys(&list(&format!("?ids=admin,{own},gone")).await.expect(200)), ["admin", own.as_str()]);
            assert_eq!(keys(&list("?q=ADMINI").await.expect(200)), ["admin"]);
            list("?system=perhaps").await.refused(422, "invalid");
            assert_eq!(list("?fields=key&limit=1").await.expect(200)["data"], json!([{ "key": "owner" }]));
        }
    }

    #[tokio::test]
    async fn a_list_shows_nothing_of_other_tenants_and_needs_its_permission() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            role(&test, &owner, &["roles:read"]).await;
            let theirs = test.app.get("/api/v1/roles?system=false").token(&other.token).send().await.expect(200);
            assert_eq!(theirs["data"], json!([]));
            let member = member(&test, &owner, &["member"]).await;
            test.app.get("/api/v1/roles").token(&member.token).send().await.refused(403, "permission_missing");
        }
    }
}
