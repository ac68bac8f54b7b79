//! GET service-accounts

use plinth_core::api::{ServiceAccountKind, keys::ServiceAccount};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};
use plinth_store::{Error as StoreError, Keyset, list};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};

use crate::{
    Identity,
    access::service_accounts::{self, Error},
    entities::service_accounts::{Column, Entity},
    permissions::ReadServiceAccounts,
    view,
};

struct ServiceAccounts;

impl ListSpec for ServiceAccounts {
    const SORTS: &'static [&'static str] = &["created_at", "name"];
    const DESCENDING: bool = true;
    const FILTERS: &'static [&'static str] = &["enabled"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/service-accounts", handler).summary("List the service accounts").description("`q` searches names.")
}

async fn handler(
    caller: Caller<ReadServiceAccounts>,
    listing: Listing<ServiceAccounts>,
) -> Result<Paged<ServiceAccount>, Error> {
    let asked = listing.0;
    let tx = caller.read().await?;
    let scope = tx.scope();
    let mut select = scope.find::<Entity>();
    if let Some(ids) = view::asked_ids::<ServiceAccountKind>(&asked) {
        select = select.filter(Column::Id.is_in(ids));
    }
    if let Some(text) = &asked.search {
        select = select.filter(view::holding(Column::Name, text));
    }
    match asked.filter("enabled") {
        None => {}
        Some("true") => select = select.filter(Column::Enabled.eq(true)),
        Some("false") => select = select.filter(Column::Enabled.eq(false)),
        Some(_) => return Err(Error::invalid_filter("enabled", "true or false")),
    }
    let by = if asked.sort == "name" { Column::Name } else { Column::CreatedAt };
    let order = Keyset { by, id: Column::Id, direction: asked.direction };
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let slice = list(&scope, select, order, &asked.start, asked.limit).await?;
    Ok(Paged::new(view::page(slice, service_accounts::show)?, &asked, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, service_account},
        testing::apps,
    };
    use serde_json::json;

    #[tokio::test]
    async fn the_list_is_of_the_own_tenant_and_can_be_narrowed() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let first = service_account(&test, &owner, &["viewer"]).await;
            let second = service_account(&test, &owner, &["viewer"]).await;
            let path = format!("/api/v1/service-accounts/{first}");
            let change = json!({ "name": "Build_Server 100%", "enabled": false });
            test.app.patch(&path).token(&owner.token).json(&change).send().await.expect(200);
            let list = |token: &str, query: &str| {
                test.app.get(&format!("/api/v1/service-accounts?{query}")).token(token).send()
            };
            let ids = |page: &serde_json::Value| -> Vec<String> {
                page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
            };
            let all = list(&owner.token, "").await.expect(200);
            assert_eq!((ids(&all), &all["total_estimate"]), (vec![second.clone(), first.clone()], &json!(2)));
            assert_eq!(ids(&list(&owner.token, "q=build_server").await.expect(200)), [&*first]);
            assert_eq!(ids(&list(&owner.token, "q=100%25").await.expect(200)), [&*first]);
            assert!(ids(&list(&owner.token, "q=build%25server").await.expect(200)).is_empty(), "% is no wildcard");
            assert!(ids(&list(&owner.token, "q=buildxserver").await.expect(200)).is_empty());
            assert_eq!(ids(&list(&owner.token, "enabled=true").await.expect(200)), [&*second]);
            assert_eq!(ids(&list(&owner.token, &format!("ids={second},nonsense")).await.expect(200)), [second]);
            list(&owner.token, "enabled=maybe").await.refused(422, "invalid");
            assert!(ids(&list(&other.token, "").await.expect(200)).is_empty());
            let member = member(&test, &owner, &["member"]).await;
            list(&member.token, "").await.refused(403, "permission_missing");
        }
    }
}
