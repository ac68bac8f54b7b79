//! POST tenants

use axum::extract::State;
use plinth_core::api::{auth::NewTenant, tenants::Tenant};
use plinth_gateway::{Body, Created, Done, Endpoint, Person, endpoint::post};

use crate::{
    Identity,
    accounts::profile::Oneself,
    tenancy::tenants::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/tenants", handler).summary("Create a tenant").description(
        "You become its owner. Your session stays where it is; POST /api/v1/auth/switch-tenant moves it. Where registration \
         is closed only operators create tenants.",
    )
}

async fn handler(
    person: Person,
    State(identity): State<Identity>,
    Body(request): Body<NewTenant>,
) -> Result<Done<Created<Tenant>>, Error> {
    let oneself = Oneself::of(person.principal())?;
    if !identity.config().open_registration && !person.principal().operator {
        return Err(Error::Closed);
    }
    let tx = person.change_system().await?;
    let tenant = tenants::create(&tx, oneself.user, &request).await?;
    Ok(person.commit_system(tx, Created(tenant)).await?)
}

#[cfg(test)]
mod tests {
    use crate::{
        IdentityConfig,
        routes::api_keys::testing::{key, operator},
        testing::{PASSWORD, TestApp, apps, config},
    };
    use serde_json::json;

    #[tokio::test]
    async fn the_creator_owns_it_and_stays_where_they_are() {
        for test in apps().await {
            let owner = test.owner().await;
            let create = |body| test.app.post("/api/v1/tenants").token(&owner.token).json(&body).send();
            let tenant = create(json!({ "name": " Second ", "slug": "second" })).await.expect(201);
            assert_eq!((&tenant["name"], &tenant["state"]), (&json!("Second"), &json!("active")));
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            assert_eq!(me["tenant"]["id"], owner.tenant);
            let login = json!({ "email": owner.email, "password": PASSWORD, "tenant": "second" });
            let there = test.app.post("/api/v1/auth/login").json(&login).send().await.expect(200);
            let me = test.app.get("/api/v1/me").token(there["access_token"].as_str().unwrap()).send().await.expect(200);
            assert_eq!(me["roles"], json!(["owner"]));
            create(json!({ "name": "Third", "slug": "second" })).await.refused(409, "slug_taken");
            let wrong = create(json!({ "name": "", "slug": "A B" })).await.refused(422, "invalid");
            assert_eq!(wrong["errors"].as_array().unwrap().len(), 2);
            create(json!({ "name": "N", "slug": "third", "limits": {} })).await.refused(422, "invalid");
        }
    }

    #[tokio::test]
    async fn a_repeated_request_creates_one() {
        for test in apps().await {
            let owner = test.owner().await;
            let create = || {
                let request = test.app.post("/api/v1/tenants").token(&owner.token).header("idempotency-key", "one");
                request.json(&json!({ "name": "Second", "slug": "second" })).send()
            };
            let first = create().await.expect(201);
            assert_eq!(first, create().await.expect(201));
        }
    }

    #[tokio::test]
    async fn keys_create_none() {
        for test in apps().await {
            let owner = test.owner().await;
            let key = key(&test, &owner.token, json!({ "scopes": ["*"] })).await;
            let request =
                test.app.post("/api/v1/tenants").token(&key.text).json(&json!({ "name": "N", "slug": "new" }));
            request.send().await.refused(403, "session_needed");
        }
    }

    #[tokio::test]
    async fn where_registration_is_closed_operators_create_tenants() {
        for database in plinth_testkit::databases().await {
            let open = TestApp::over(database, config()).await;
            let owner = open.owner().await;
            let closed = IdentityConfig { open_registration: false, ..config() };
            let test = TestApp::over(open.database, closed).await;
            let create = |token: &str| {
                test.app.post("/api/v1/tenants").token(token).json(&json!({ "name": "New", "slug": "new-one" })).send()
            };
            create(&owner.token).await.refused(403, "registration_closed");
            create(&operator(&test).await.token).await.expect(201);
        }
    }
}
