//! GET users

use plinth_core::FieldError;
use plinth_core::api::{UserKind, users::User};
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};
use plinth_store::{Error as StoreError, Keyset, list};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter};

use super::{Error, members_of, sees_everybody};
use crate::{
    Identity,
    entities::users::{Column, Entity},
    permissions::ReadMembers,
    view,
};

struct Users;

impl ListSpec for Users {
    const SORTS: &'static [&'static str] = &["created_at", "name", "email"];
    const DESCENDING: bool = true;
    const FILTERS: &'static [&'static str] = &["all"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/users", handler).summary("List people").description(
        "Those who belong to the tenant; `q` searches names and addresses. Operators with `tenants:read` see all users of \
         the platform with `all=true`, in the system tenant.",
    )
}

async fn handler(caller: Caller<ReadMembers>, listing: Listing<Users>) -> Result<Paged<User>, Error> {
    let asked = listing.0;
    let everybody = match asked.filter("all") {
        None | Some("false") => false,
        Some("true") if sees_everybody(&caller) => true,
        Some("true") => return Err(Error::OperatorsOnly),
        Some(_) => return Err(Error::Invalid(vec![FieldError::new("all", "invalid_value", "true or false")])),
    };
    let tx = caller.read_system().await?;
    let mut select = if everybody { tx.find::<Entity>() } else { members_of(&tx, caller.tenant()) };
    if let Some(ids) = view::asked_ids::<UserKind>(&asked) {
        select = select.filter(Column::Id.is_in(ids));
    }
    if let Some(text) = &asked.search {
        let named = Condition::any().add(view::holding(Column::Name, text)).add(view::holding(Column::Email, text));
        select = select.filter(named);
    }
    let by = match asked.sort {
        "name" => Column::Name,
        "email" => Column::Email,
        _ => Column::CreatedAt,
    };
    let order = Keyset { by, id: Column::Id, direction: asked.direction };
    // Counting all people of a platform is not cheap.
    let total = if everybody { None } else { Some(select.clone().count(&tx).await.map_err(StoreError::from)?) };
    let slice = list(&tx, select, order, &asked.start, asked.limit).await?;
    Ok(Paged::new(slice.map(|row| view::user(&row)), &asked, total))
}

#[cfg(test)]
mod tests {
    use crate::{
        routes::api_keys::testing::{member, operator, role},
        testing::apps,
    };
    use serde_json::{Value, json};

    fn ids(page: &Value) -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn people_of_the_own_tenant_are_listed() {
        for test in apps().await {
            let (owner, stranger) = (test.owner().await, test.owner().await);
            let member = member(&test, &owner, &["member"]).await;
            let list = |query: &str| test.app.get(&format!("/api/v1/users?{query}")).token(&member.token).send();
            let all = list("").await.expect(200);
            assert_eq!((ids(&all), &all["total_estimate"]), (vec![member.user.clone(), owner.user.clone()], &json!(2)));
            assert!(!all.to_string().contains("password"), "{all}");
            assert_eq!(ids(&list(&format!("q={}", owner.email.to_uppercase())).await.expect(200)), [&*owner.user]);
            let name = all["data"][0]["name"].as_str().unwrap().replace(' ', "%20");
            assert_eq!(ids(&list(&format!("q={name}")).await.expect(200)), [&*member.user]);
            assert_eq!(ids(&list("q=person_").await.expect(200)), Vec::<String>::new(), "_ is no wildcard");
            assert_eq!(ids(&list(&format!("ids={},{}", owner.user, stranger.user)).await.expect(200)), [&*owner.user]);
            let first = list("sort=email&limit=1").await.expect(200);
            let second =
                list(&format!("sort=email&limit=1&after={}", first["next"].as_str().unwrap())).await.expect(200);
            let mut both = [ids(&first), ids(&second)].concat();
            both.sort();
            let mut wanted = vec![owner.user.clone(), member.user.clone()];
            wanted.sort();
            assert_eq!(both, wanted);
            list("all=perhaps").await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn everybody_is_shown_to_operators_at_home() {
        for test in apps().await {
            let (owner, operator) = (test.owner().await, operator(&test).await);
            let list = |token: &str| test.app.get("/api/v1/users?all=true").token(token);
            list(&owner.token).send().await.refused(403, "permission_missing");
            list(&operator.token)
                .header("plinth-tenant", &owner.tenant)
                .send()
                .await
                .refused(403, "permission_missing");
            let all = ids(&list(&operator.token).send().await.expect(200));
            assert!(all.contains(&owner.user) && all.contains(&operator.user), "{all:?}");
            let here = test.app.get("/api/v1/users").token(&operator.token).header("plinth-tenant", &owner.tenant);
            assert_eq!(ids(&here.send().await.expect(200)), [owner.user]);
        }
    }

    #[tokio::test]
    async fn people_are_shown_to_those_who_may() {
        for test in apps().await {
            let owner = test.owner().await;
            let narrow = role(&test, &owner, &["roles:read"]).await;
            let member = member(&test, &owner, &[&narrow]).await;
            test.app.get("/api/v1/users").token(&member.token).send().await.refused(403, "permission_missing");
            test.app.get("/api/v1/users").send().await.refused(401, "authentication_needed");
        }
    }
}
