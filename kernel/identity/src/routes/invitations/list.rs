//! GET invitations

use plinth_core::api::tenants::Invitation;
use plinth_gateway::{Caller, Endpoint, ListSpec, Listing, Paged, endpoint::get};

use crate::{
    Identity,
    permissions::ReadMembers,
    tenancy::invitations::{self, Error},
};

struct Invitations;

impl ListSpec for Invitations {
    const SORTS: &'static [&'static str] = &["created_at", "email"];
    const DESCENDING: bool = true;
    const FILTERS: &'static [&'static str] = &["status"];
    const SEARCH: bool = true;
}

pub fn endpoint() -> Endpoint<Identity> {
    get("/api/v1/invitations", handler)
        .summary("List invitations")
        .description("The newest first. `status` is pending, accepted, revoked or expired; `q` looks in addresses.")
}

async fn handler(caller: Caller<ReadMembers>, listing: Listing<Invitations>) -> Result<Paged<Invitation>, Error> {
    let tx = caller.read().await?;
    let (slice, total) = invitations::list(tx.scope(), &listing.0).await?;
    Ok(Paged::new(slice, &listing.0, Some(total)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accept, host, invited};
    use crate::testing::{PASSWORD, apps};
    use serde_json::{Value, json};

    fn emails(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn each_is_listed_with_what_became_of_it() {
        for test in apps().await {
            let (owner, other) = (host(&test).await, host(&test).await);
            invited(&test, &owner.token, "old@example.com", &["member"]).await;
            test.advance(7 * 86_400 - 60).await;
            let login = json!({ "email": owner.email, "password": PASSWORD });
            let token = test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200);
            let token = token["access_token"].as_str().unwrap();
            let (revoked, _) = invited(&test, token, "gone@example.com", &["member"]).await;
            test.app.delete(&format!("/api/v1/invitations/{revoked}")).token(token).send().await.expect(204);
            let (_, taken) = invited(&test, token, "in@example.com", &["member"]).await;
            accept(&test, None, json!({ "token": taken, "name": "In", "password": PASSWORD })).await.expect(200);
            invited(&test, token, "new@example.com", &["viewer"]).await;
            test.advance(120).await;
            let list = |query: &str| test.app.get(&format!("/api/v1/invitations?{query}")).token(token).send();
            let all = list("").await.expect(200);
            assert_eq!(emails(&all), ["new@example.com", "in@example.com", "gone@example.com", "old@example.com"]);
            for (status, email) in [("pending", "new"), ("accepted", "in"), ("revoked", "gone"), ("expired", "old")] {
                let page = list(&format!("status={status}")).await.expect(200);
                assert_eq!(
                    (emails(&page), &page["data"][0]["status"]),
                    (vec![&*format!("{email}@example.com")], &json!(status))
                );
            }
            assert_eq!(emails(&list("q=NEW").await.expect(200)), ["new@example.com"]);
            assert_eq!(emails(&list("sort=email&limit=1").await.expect(200)), ["gone@example.com"]);
            list("status=lost").await.refused(422, "invalid");
            let login = json!({ "email": other.email, "password": PASSWORD });
            let other = test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200);
            let theirs =
                test.app.get("/api/v1/invitations").token(other["access_token"].as_str().unwrap()).send().await;
            assert_eq!(theirs.expect(200)["data"], json!([]));
        }
    }
}
