//! GET auth/sessions: where the caller is signed in.

use plinth_core::{SessionId, api::auth::Session};
use plinth_gateway::{Endpoint, ListSpec, Listing, Paged, Person, endpoint::get};
use plinth_store::{Error as StoreError, Keyset, list};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter};

use super::Error;
use crate::{
    Identity,
    accounts::profile::{self, Oneself},
    entities::sessions::Column,
};

pub struct Sessions;

impl ListSpec for Sessions {
    const SORTS: &'static [&'static str] = &["created_at", "last_seen_at"];
    const DESCENDING: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/auth/sessions", handler)
        .summary("List your sessions")
        .description("Those that can still be used, the newest first. An operator who acts as you is among them.")
}

async fn handler(person: Person, listing: Listing<Sessions>) -> Result<Paged<Session>, Error> {
    let oneself = Oneself::of(person.principal())?;
    let asked = listing.0;
    let tx = person.read_system().await?;
    let mut select = profile::open_sessions(&tx, oneself.user);
    if let Some(ids) = &asked.ids {
        let known = ids.iter().filter_map(|id| id.parse::<SessionId>().ok()).map(SessionId::uuid);
        select = select.filter(Column::Id.is_in(known));
    }
    let total = select.clone().count(&tx).await.map_err(StoreError::from)?;
    let by = if asked.sort == "last_seen_at" { Column::LastSeenAt } else { Column::CreatedAt };
    let order = Keyset { by, id: Column::Id, direction: asked.direction };
    let page = list(&tx, select, order, &asked.start, asked.limit).await?;
    Ok(Paged::new(page.map(|row| profile::session(&row, oneself.session)), &asked, Some(total)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        routes::sessions::testing::impersonation,
        testing::{Actor, PASSWORD, TestApp, apps},
    };

    async fn login(test: &TestApp, owner: &Actor, device: &str) -> Actor {
        let request = json!({ "email": owner.email, "password": PASSWORD });
        let login = test.app.post("/api/v1/auth/login").header("user-agent", device).json(&request);
        Actor::of(&login.send().await.expect(200))
    }

    async fn list(test: &TestApp, actor: &Actor, query: &str) -> Value {
        test.app.get(&format!("/api/v1/auth/sessions{query}")).token(&actor.token).send().await.expect(200)
    }

    fn devices(page: &Value) -> Vec<&str> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["user_agent"].as_str().unwrap_or("none"))
            .collect()
    }

    #[tokio::test]
    async fn ones_own_are_listed_and_the_present_one_is_marked() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            test.advance(1).await;
            let phone = login(&test, &owner, "phone").await;
            let page = list(&test, &phone, "").await;
            assert_eq!(devices(&page), ["phone", "none"]);
            assert_eq!(page["total_estimate"], 2);
            let current: Vec<_> =
                page["data"].as_array().unwrap().iter().map(|session| session["current"].clone()).collect();
            assert_eq!(current, [true, false]);
            assert_eq!(page["data"][0]["methods"], json!(["password"]));
            assert_eq!(devices(&list(&test, &stranger, "").await).len(), 1);
        }
    }

    #[tokio::test]
    async fn pages_orders_and_ids_are_understood() {
        for test in apps().await {
            let owner = test.owner().await;
            for device in ["one", "two", "three"] {
                test.advance(1).await;
                login(&test, &owner, device).await;
            }
            let first = list(&test, &owner, "?limit=2").await;
            assert_eq!((devices(&first), &first["has_more"]), (vec!["three", "two"], &json!(true)));
            let next = first["next"].as_str().unwrap();
            assert_eq!(devices(&list(&test, &owner, &format!("?limit=2&after={next}")).await), ["one", "none"]);
            assert_eq!(devices(&list(&test, &owner, "?sort=created_at&limit=2").await), ["none", "one"]);
            let id = first["data"][1]["id"].as_str().unwrap();
            assert_eq!(devices(&list(&test, &owner, &format!("?ids={id},nonsense")).await), ["two"]);
            let unknown = test.app.get("/api/v1/auth/sessions?state=open").token(&owner.token);
            unknown.send().await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn what_has_ended_is_not_listed() {
        for test in apps().await {
            let owner = test.owner().await;
            let phone = login(&test, &owner, "phone").await;
            test.app.post("/api/v1/auth/logout").token(&phone.token).send().await.expect(204);
            assert_eq!(devices(&list(&test, &owner, "").await), ["none"]);
            test.advance(30 * 86_400 + 1).await;
            let again = login(&test, &owner, "again").await;
            assert_eq!(devices(&list(&test, &again, "").await), ["again"]);
        }
    }

    #[tokio::test]
    async fn an_operator_who_acts_as_the_person_is_listed() {
        for test in apps().await {
            let owner = test.owner().await;
            impersonation(&test, &owner).await;
            let page = list(&test, &owner, "").await;
            let methods: Vec<_> =
                page["data"].as_array().unwrap().iter().map(|session| session["methods"].clone()).collect();
            assert!(methods.contains(&json!(["impersonation"])), "{methods:?}");
        }
    }
}
