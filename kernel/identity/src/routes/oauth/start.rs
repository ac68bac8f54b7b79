//! POST auth/oauth/{provider}/start: where to send the browser.

use axum::{
    extract::State,
    http::{HeaderMap, header},
};
use plinth_core::api::auth::{OauthStart, OauthStarted};
use plinth_gateway::{Body, Done, Endpoint, Json, Path, Visitor, endpoint::post};

use crate::{
    Identity,
    accounts::oauth::{self, Error},
};

pub fn endpoint() -> Endpoint<Identity> {
    post("/api/v1/auth/oauth/{provider}/start", handler)
        .summary("Begin a sign-in at an identity provider")
        .description(
            "Send the browser to `authorization_url` and keep `state`: when the browser comes back to `redirect_uri`, its \
             `state` must be the one you kept. `redirect_uri` is an address under the platform's public address or on the \
             person's own machine. The sign-in must come back within ten minutes. \
             With an access token the identity is linked to the account that is signed in; `tenant` names a tenant to create \
             together with a new account.",
        )
        .takes_credentials()
}

async fn handler(
    visitor: Visitor,
    State(identity): State<Identity>,
    headers: HeaderMap,
    Path(provider): Path<String>,
    Body(request): Body<OauthStart>,
) -> Result<Done<Json<OauthStarted>>, Error> {
    let link_to = oauth::linking_person(&visitor, headers.contains_key(header::AUTHORIZATION))?;
    let begun = oauth::begin(&identity, &provider, request, link_to).await?;
    let tx = visitor.change_system().await?;
    let started = oauth::keep(&tx, &provider, begun).await?;
    Ok(visitor.commit_system(tx, Json(started)).await?)
}
