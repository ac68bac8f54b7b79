//! POST impersonations: an operator acts as a person for a while.

use axum::{extract::State, http::HeaderMap};
use plinth_core::api::auth::{Impersonate as Request, ImpersonationStarted};
use plinth_gateway::{Body, Caller, Created, Done, Endpoint, endpoint::post};

use crate::{
    Identity,
    access::impersonation::{self, Error},
    permissions::Impersonate,
    sessions::Device,
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/impersonations", handler)
        .summary("Act as a person")
        .description(
            "Gives an access token that acts as the person in one of their tenants until it expires; it cannot be refreshed. \
             The tenant's log tells who began it and why, and names the operator with everything that is done. Operators \
             cannot be impersonated.",
        )
}

async fn handler(
    caller: Caller<Impersonate>,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Body(request): Body<Request>,
) -> Result<Done<Created<ImpersonationStarted>>, Error> {
    let device = Device::of(&caller, &headers);
    let tx = caller.change_system().await?;
    let started = impersonation::start(&identity, &tx, caller.principal(), request, device).await?;
    Ok(caller.commit_system(tx, Created(started)).await?)
}
