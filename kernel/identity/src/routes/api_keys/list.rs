//! GET api-keys

use plinth_core::{
    ServiceAccountId, UserId,
    api::{KeyKind, keys::ApiKey},
};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};
use plinth_store::{Error as StoreError, Keyset, list};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};

use crate::{
    Identity,
    access::api_keys::{self, Error, Status},
    entities::api_keys::{Column, Entity},
    permissions::ReadApiKeys,
    view,
};

struct ApiKeys;

impl ListSpec for ApiKeys {
    const SORTS: &'static [&'static str] = &["created_at", "name"];
    const DESCENDING: bool = true;
    const FILTERS: &'static [&'static str] = &["status", "user", "service_account"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/api-keys", handler).summary("List the API keys").description(
        "Revoked keys stay in the list. `status` is `active`, `revoked` or `expired`; `user` and `service_account` leave the \
         keys of one owner; `q` searches names.",
    )
}

async fn handler(caller: Caller<ReadApiKeys>, listing: Listing<ApiKeys>) -> Result<Paged<ApiKey>, Error> {
    let asked = listing.0;
    let tx = caller.read().await?;
    let scope = tx.scope();
    let mut select = scope.find::<Entity>();
    if let Some(ids) = view::asked_ids::<KeyKind>(&asked) {
        select = select.filter(Column::Id.is_in(ids));
    }
    if let Some(text) = &asked.search {
        select = select.filter(view::holding(Column::Name, text));
    }
    if let Some(status) = asked.filter("status") {
        let status = Status::parse(status).ok_or(Error::invalid_filter("status", "active, revoked or expired"))?;
        select = select.filter(status.condition(scope.now()));
    }
    if let Some(user) = asked.filter("user") {
        let user: UserId = user.parse().map_err(|_| Error::invalid_filter("user", "the id of a person"))?;
        select = select.filter(Column::UserId.eq(user.uuid()));
    }
    if let Some(account) = asked.filter("service_account") {
        let account: ServiceAccountId =
            account.parse().map_err(|_| Error::invalid_filter("service_account", "the id of a service account"))?;
        select = select.filter(Column::ServiceAccount.eq(account.uuid()));
    }
    let by = if asked.sort == "name" { Column::Name } else { Column::CreatedAt };
    let order = Keyset { by, id: Column::Id, direction: asked.direction };
    let total = select.clone().count(&scope).await.map_err(StoreError::from)?;
    let slice = list(&scope, select, order, &asked.start, asked.limit).await?;
    Ok(Paged::new(view::page(slice, api_keys::show)?, &asked, Some(total)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        routes::api_keys::testing::{key, member, service_account},
        testing::apps,
    };
    use serde_json::{Value, json};

    #[tokio::test]
    async fn the_list_is_of_the_own_tenant_and_can_be_narrowed() {
        for test in apps().await {
            let (owner, other) = (test.owner().await, test.owner().await);
            let colleague = member(&test, &owner, &["admin"]).await;
            let account = service_account(&test, &owner, &["viewer"]).await;
            let end = test.database.world.now() + Duration::from_secs(30);
            let expired = key(&test, &owner.token, json!({ "scopes": ["*"], "expires_at": end })).await;
            let revoked = key(&test, &colleague.token, json!({ "scopes": ["*"] })).await;
            let active = key(&test, &owner.token, json!({ "scopes": ["*"], "service_account": account })).await;
            let named = test.app.patch(&format!("/api/v1/api-keys/{}", active.id)).token(&owner.token);
            named.json(&json!({ "name": "Nightly build" })).send().await.expect(200);
            test.app.delete(&format!("/api/v1/api-keys/{}", revoked.id)).token(&owner.token).send().await.expect(204);
            test.advance(31).await;
            let list =
                |token: &str, query: String| test.app.get(&format!("/api/v1/api-keys?{query}")).token(token).send();
            let mine = |query: String| list(&owner.token, query);
            let ids = |page: Value| -> Vec<String> {
                page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
            };
            let (expired, revoked, active) = (expired.id, revoked.id, active.id);
            assert_eq!(ids(mine(String::new()).await.expect(200)), [&*active, &revoked, &expired]);
            for (query, wanted) in [
                ("status=active".into(), &active),
                ("status=revoked".into(), &revoked),
                ("status=expired".into(), &expired),
                (format!("user={}", colleague.user), &revoked),
                (format!("service_account={account}"), &active),
                ("q=NIGHTLY".into(), &active),
                (format!("ids={revoked}"), &revoked),
            ] {
                assert_eq!(ids(mine(query.clone()).await.expect(200)), [&**wanted], "{query}");
            }
            for bad in ["status=old", "user=me", "service_account=it", "colour=red"] {
                mine(bad.into()).await.refused(422, "invalid");
            }
            let first = mine("limit=2".into()).await.expect(200);
            let rest = mine(format!("limit=2&after={}", first["next"].as_str().unwrap())).await.expect(200);
            assert_eq!((ids(first), ids(rest)), (vec![active, revoked], vec![expired]));
            assert!(ids(list(&other.token, String::new()).await.expect(200)).is_empty());
        }
    }
}
