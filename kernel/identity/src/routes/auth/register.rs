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
        .description("The person becomes the owner of the tenant and is signed in. A mail asks them to confirm the address.")
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
