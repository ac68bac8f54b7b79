//! POST auth/register: a person, their tenant and its ownership in one transaction.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{Register, SignedIn};
use plinth_gateway::{Body, Created, Done, Endpoint, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::register::{self, Error},
    routes::cookies,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/register", handler)
        .summary("Register a person with a tenant of their own")
        .description(
            "The person becomes the owner of the tenant and is signed in. A mail asks them to confirm the address.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<Register>,
) -> Result<Done<Created<SignedIn>>, Error> {
    let prepared = register::prepare(&identity, request).await?;
    let device = Device::of(&visitor, &headers);
    let tx = visitor.change_system().await?;
    let signed_in = register::register(&identity, &tx, prepared, device).await?;
    let refresh_token = signed_in.tokens.refresh_token.clone();
    let done = visitor.commit_system(tx, Created(signed_in)).await?;
    Ok(cookies::keep(&identity, done, &refresh_token))
}

#[cfg(test)]
mod tests {
    use crate::testing::{PASSWORD, apps};
    use serde_json::json;

    #[tokio::test]
    async fn a_person_gets_a_tenant_and_is_signed_in_as_its_owner() {
        for test in apps().await {
            let owner = test.owner().await;
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            assert_eq!(me["user"]["id"], owner.user);
            assert_eq!(me["tenant"]["id"], owner.tenant);
            assert_eq!(me["roles"], json!(["owner"]));
            assert_eq!(test.mail_to(&owner.email).await.0, "verify_email");
        }
    }

    #[tokio::test]
    async fn an_address_or_a_slug_is_taken_once_and_nothing_half_made_stays() {
        for test in apps().await {
            let owner = test.owner().await;
            let mut request = json!({
                "email": owner.email.to_uppercase(), "password": PASSWORD, "name": "Ada",
                "tenant": { "name": "Other", "slug": "other-slug" },
            });
            test.app.post("/api/v1/auth/register").json(&request).send().await.refused(409, "email_taken");
            request["email"] = json!("new@example.com");
            let me = test.app.get("/api/v1/me").token(&owner.token).send().await.expect(200);
            request["tenant"]["slug"] = me["tenant"]["slug"].clone();
            test.app.post("/api/v1/auth/register").json(&request).send().await.refused(409, "slug_taken");
            request["tenant"]["slug"] = json!("other-slug");
            test.app.post("/api/v1/auth/register").json(&request).send().await.expect(201);
        }
    }

    #[tokio::test]
    async fn everything_wrong_is_told_at_once() {
        for test in apps().await {
            let request = json!({
                "email": "nobody", "password": "short", "name": "", "tenant": { "name": "T", "slug": "No Slug" },
            });
            let problem = test.app.post("/api/v1/auth/register").json(&request).send().await.refused(422, "invalid");
            let pointers: Vec<_> =
                problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
            assert_eq!(pointers, ["/email", "/name", "/tenant/slug", "/password"]);
        }
    }

    #[tokio::test]
    async fn the_same_key_registers_once() {
        for test in apps().await {
            let request = json!({
                "email": "twice@example.com", "password": PASSWORD, "name": "Ada", "tenant": { "name": "T", "slug": "twice" },
            });
            let send = || test.app.post("/api/v1/auth/register").json(&request).header("idempotency-key", "k1").send();
            let (first, second) = (send().await, send().await);
            assert_eq!(second.header("idempotent-replayed"), Some("true"));
            assert_eq!(first.expect(201), second.expect(201));
            let mut other = request.clone();
            other["name"] = json!("Grace");
            let mismatch =
                test.app.post("/api/v1/auth/register").json(&other).header("idempotency-key", "k1").send().await;
            mismatch.refused(422, "idempotency_mismatch");
        }
    }
}
