//! GET permissions: the words that roles and scopes are made of.

use axum::extract::State;
use plinth_core::{api::roles::Permission, page::CursorValue};
use plinth_gateway::{Endpoint, Failed, ListSpec, Listing, Paged, Person, endpoint::get};
use uuid::Uuid;

use crate::{
    Identity,
    access::roles::{Placed, visible, window},
};

struct Permissions;

impl ListSpec for Permissions {
    const SORTS: &'static [&'static str] = &["name"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/permissions", handler).summary("List the permissions").description(
        "Roles and the scopes of API keys are made of these words, and of patterns: `roles:*` is all that can be done with \
         roles, `*:read` is seeing everything, `*` is everything. Words for operators are shown to operators.",
    )
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    listing: Listing<Permissions>,
) -> Result<Paged<Permission>, Failed> {
    let asked = listing.0;
    let search = asked.search.as_deref().map(str::to_lowercase);
    let wanted = |word: &Permission| {
        asked.ids.as_ref().is_none_or(|names| names.contains(&word.name))
            && search
                .as_ref()
                .is_none_or(|text| word.name.contains(text) || word.description.to_lowercase().contains(text))
    };
    let words = visible(identity.vocabulary(), person.principal().operator).filter(wanted);
    let placed: Vec<_> =
        words.map(|word| Placed { by: CursorValue::Text(word.name.clone()), id: Uuid::nil(), thing: word }).collect();
    let total = placed.len() as u64;
    Ok(Paged::new(window(placed, &asked), &asked, Some(total)))
}

#[cfg(test)]
mod tests {
    use crate::{routes::api_keys::testing::operator, testing::apps};

    #[tokio::test]
    async fn the_vocabulary_is_listed_without_words_for_operators() {
        for test in apps().await {
            let owner = test.owner().await;
            let operator = operator(&test).await;
            let list = |token: &str| test.app.get("/api/v1/permissions?limit=200").token(token).send();
            let (mine, all) = (list(&owner.token).await.expect(200), list(&operator.token).await.expect(200));
            let words = mine["data"].as_array().unwrap();
            assert!(words.iter().any(|word| word["name"] == "roles:write" && word["description"] != ""));
            assert!(words.iter().all(|word| word["operator_only"] == false), "{mine}");
            let vocabulary = test.identity.vocabulary();
            assert_eq!(all["total_estimate"], vocabulary.len());
            assert_eq!(mine["total_estimate"], vocabulary.iter().filter(|word| !word.operator).count());
            test.app.get("/api/v1/permissions").send().await.refused(401, "authentication_needed");
        }
    }

    #[tokio::test]
    async fn it_is_paged_and_searched_like_every_list() {
        for test in apps().await {
            let owner = test.owner().await;
            let list = |query: &str| test.app.get(&format!("/api/v1/permissions?{query}")).token(&owner.token).send();
            let names = |page: &serde_json::Value| -> Vec<String> {
                page["data"].as_array().unwrap().iter().map(|word| word["name"].as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(names(&list("q=roles:").await.expect(200)), ["roles:read", "roles:write"]);
            let all = names(&list("limit=200").await.expect(200));
            let first = list("limit=3").await.expect(200);
            assert_eq!((names(&first), &first["has_more"]), (all[..3].to_vec(), &true.into()));
            let second = list(&format!("limit=3&after={}", first["next"].as_str().unwrap())).await.expect(200);
            assert_eq!(names(&second), all[3..6]);
            let back = list(&format!("limit=2&before={}", second["prev"].as_str().unwrap())).await.expect(200);
            assert_eq!(names(&back), all[1..3]);
            let last = list("limit=2&anchor=last").await.expect(200);
            assert_eq!((names(&last), &last["has_more"]), (all[all.len() - 2..].to_vec(), &true.into()));
            let mut reversed = names(&list("limit=200&sort=-name").await.expect(200));
            reversed.reverse();
            assert_eq!(reversed, all);
        }
    }
}
